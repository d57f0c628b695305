"""Frozen features inside a model: as vectors, or as codes that are decoded when asked for."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urecjpq.data.catalogue import Features, QuantisedFeatures

BLOCK = 2048


class FrozenFeatures(nn.Module):
    """Features as constants: no parameters, and no part of the state that is saved.

    Args:
        features: What the encoder said, and of which items; float16 is widened. Rows of items
            without content are zeros here, whatever they were.
        unit: Whether rows are given length 1.
    """

    values: Tensor
    present: Tensor

    def __init__(self, features: Features, unit: bool = False) -> None:
        super().__init__()
        values = np.array(features.values, dtype=np.float32)
        values[~features.present] = 0
        if unit:
            values /= _lengths(values)
        self._hold(values=values, present=features.present.copy())

    def _hold(self, **arrays: np.ndarray) -> None:
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    @property
    def width(self) -> int:
        """``f``, length of a feature vector."""
        return self.values.shape[1]

    @property
    def num_bytes(self) -> int:
        """Bytes that the features take in memory."""
        return sum(buffer.nbytes for buffer in self.buffers())

    def forward(self, items: Tensor | None = None) -> Tensor:
        """Return the features of ``items``, all if None. Shape ``(*items.shape, f)``."""
        return self.values if items is None else self.values[items]

    def project(self, linear: nn.Linear, items: Tensor | None = None) -> Tensor:
        """Return ``linear`` of the features of ``items``, all if None; without a mask."""
        return linear(self(items))

    def mask(self, items: Tensor | None = None) -> Tensor:
        """Return 1 for items with content and 0 for others. Shape ``(*items.shape, 1)``."""
        present = self.present if items is None else self.present[items]
        return present.unsqueeze(-1).float()


class FrozenCodes(FrozenFeatures):
    """Features as product-quantised codes: m sub-ids for each item, and centroids for all.

    A projection never decodes: ``W x_i = Σ_k W_k ψ_k[g_ik]``, so the centroids ψ are projected, and
    the rows asked for are sums of m of these products. For n items that are ``b·f·d + n·m·d``
    multiplications and additions instead of ``n·f·d``, and no n vectors of f numbers are held.

    Args:
        features: Codes and centroids.
        unit: Whether rows count as of length 1: each is divided by its length, a number per item.
    """

    centroids: Tensor
    scales: Tensor

    def __init__(self, features: QuantisedFeatures, unit: bool = False) -> None:
        nn.Module.__init__(self)
        starts = range(0, len(features.present) if unit else 0, BLOCK)
        scales = [1 / _lengths(features.rows(slice(s, s + BLOCK))) for s in starts]
        self._hold(
            values=np.array(features.values),
            present=features.present.copy(),
            centroids=np.array(features.centroids, dtype=np.float32),
            scales=np.concatenate([np.zeros((0, 1), np.float32), *scales]),
        )

    @property
    def width(self) -> int:
        """``f``, length of a decoded vector."""
        return self.centroids.shape[0] * self.centroids.shape[2]

    def forward(self, items: Tensor | None = None) -> Tensor:
        """Return the decoded features of ``items``, all if None. Shape ``(*items.shape, f)``."""
        rows = F.embedding(self._flat_ids(items), self.centroids.flatten(0, 1)).flatten(-2)
        return self._scaled(rows, items) * self.mask(items)

    def project(self, linear: nn.Linear, items: Tensor | None = None) -> Tensor:
        """Return ``linear`` of the features of ``items``, all if None; without a mask."""
        splits = linear.weight.unflatten(1, (self.centroids.shape[0], -1))
        table = torch.einsum("mbc,dmc->mbd", self.centroids, splits).flatten(0, 1)
        flat_ids = self._flat_ids(items)
        sums = F.embedding_bag(flat_ids.flatten(0, -2), table, mode="sum")
        rows = self._scaled(sums.unflatten(0, flat_ids.shape[:-1]), items)
        return rows if linear.bias is None else rows + linear.bias

    def _flat_ids(self, items: Tensor | None) -> Tensor:
        codes = self.values if items is None else self.values[items]
        splits, size, _ = self.centroids.shape
        return codes.long() + torch.arange(splits, device=codes.device) * size

    def _scaled(self, rows: Tensor, items: Tensor | None) -> Tensor:
        if not len(self.scales):
            return rows
        return rows * (self.scales if items is None else self.scales[items])


def _lengths(values: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
