"""Frozen features with a trained projection."""

import numpy as np
import torch
from torch import Tensor, nn

from urecjpq.data.catalogue import Features
from urecjpq.losses import bpr_loss
from urecjpq.sampling import Triples


class FrozenProjection(nn.Module):
    """``W x_i + c`` for frozen features ``x``: only ``W`` and ``c`` are trained.

    Args:
        features: What the encoder said, and of which items; float16 is widened.
        embedding_dim: ``d``, length of the projection.
    """

    values: Tensor
    present: Tensor

    def __init__(self, features: Features, embedding_dim: int) -> None:
        super().__init__()
        values = torch.from_numpy(np.array(features.values, dtype=np.float32))
        self.register_buffer("values", values, persistent=False)
        self.register_buffer("present", torch.from_numpy(features.present.copy()), persistent=False)
        self.linear = nn.Linear(values.shape[1], embedding_dim)

    def forward(self, items: Tensor) -> Tensor:
        """Return the projected features of ``items``. Shape ``(*items.shape, d)``."""
        return self.linear(self.values[items])

    def loss(self, users: Tensor, batch: Triples) -> Tensor:
        """Return the BPR loss of user vectors against projected features. Scalar.

        A pair in which either item has no content counts as zero.
        """
        known = self.present[batch.positives] & self.present[batch.negatives]
        if not known.any():
            return users.new_zeros(())
        positives, negatives = self(batch.positives[known]), self(batch.negatives[known])
        return bpr_loss(users[known], positives, negatives) * known.float().mean()
