"""VBPR: matrix factorisation with a second factor per user for the features of items.

    score(u, i) = e_u · e_i + p_u · Σ_m (W_m x_i^m + c_m)

Source: He & McAuley, VBPR, AAAI 2016 (arXiv:1510.01784). As in MMRec, the sum runs over all
modalities and there are no biases of items. Differences: p_u is a preference table beside e_u, so
both can be quantised, where MMRec has one table of width 2d.

An item without content in a modality has no term there, not even c_m.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.data.catalogue import Features
from urecjpq.graphs.backbone import JOINT, Backbone, BackboneSettings, Preferences, Uses
from urecjpq.graphs.features import FrozenProjection, by_modality, frozen_features
from urecjpq.losses import bpr_loss, half_squared_norm
from urecjpq.sampling import Triples
from urecjpq.tables import Table


class VBPR(Backbone):
    """VBPR over any tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        preference_tables: One table of users, ``joint``, for all modalities together.
        l2: Weight of half the squared norm of the batch's final vectors.

    Raises:
        InputError: Features or preference tables that do not fit.
    """

    USES: ClassVar[Uses] = ("features",)
    PREFERENCES: ClassVar[Preferences] = "joint"
    VECTORS_NEED_FEATURES: ClassVar[bool] = True

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features],
        preference_tables: Mapping[str, Table],
        l2: float = 1e-2,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        given = frozen_features(features, self.num_items)
        self.preference_tables = self._preferences(preference_tables, [JOINT])
        dim = self.preference_tables[JOINT].embedding_dim
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in given.items()}
        )
        self.l2 = l2

    def loss(self, batch: Triples) -> Tensor:
        """Return the BPR loss of a batch plus the L2 penalty on its vectors. Scalar."""
        rows = self._users(batch.users), self._items(batch.positives), self._items(batch.negatives)
        return bpr_loss(*rows) + self.l2 * half_squared_norm(*rows)

    def _users(self, users: Tensor) -> Tensor:
        return torch.cat([self.user_table(users), self.preference_tables[JOINT](users)], dim=-1)

    def _items(self, items: Tensor) -> Tensor:
        content = torch.stack([projection(items) for projection in self.projections.values()])
        return torch.cat([self.item_table(items), content.sum(0)], dim=-1)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return ``[e_u; p_u]`` and ``[e_i; Σ_m W_m x_i^m + c_m]``; their product is the score."""
        return self._users(torch.arange(self.num_users)), self._items(torch.arange(self.num_items))


class VBPRConfig(BackboneSettings):
    """Arguments of `VBPR`."""

    MODEL: ClassVar[type[Backbone]] = VBPR
    name: Literal["vbpr"] = "vbpr"
    l2: float = Field(default=1e-2, ge=0)
