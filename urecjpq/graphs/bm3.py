"""BM3: no negatives; vectors are pulled towards copies of their partners with numbers left out.

    score(u, i) = P(z_u) · P(z_i),   z_u = c_u,   z_i = c_i + e_i,
    c = mean of Â^l [e_u; e_i] over l = 0 … L,   P affine, Â as in LightGCN

    loss = D(P z_u, z_i) + D(P z_i, z_u) + λ Σ_m [D(P f_i^m, z_i) + D(P f_i^m, f_i^m)] + L2,
    D(a, b) = 1 - cos(a, dropout(b)), b without gradient,   f_i^m = W^m x_i^m + c^m

Source: Zhou et al., BM3, WWW 2023 (arXiv:2207.05969), and its code in MMRec. Differences: features
are never trained (MMRec trains them); the penalty is on the vectors of the batch, where MMRec adds
the norms of all; numbers are left out for each row of the batch anew, where MMRec does so once for
all users and items. Without features, the λ term is absent.

An item without content in a modality takes no part in its λ term. Scores need no features.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features
from urecjpq.graphs.backbone import Backbone, BackboneSettings, Uses
from urecjpq.graphs.features import FrozenProjection, by_modality, frozen_features
from urecjpq.graphs.propagation import bipartite_graph, layer_mean
from urecjpq.losses import half_squared_norm
from urecjpq.sampling import Triples
from urecjpq.tables import Table


class BM3(Backbone):
    """BM3 over any two tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality for the λ term; may be none.
        num_layers: Propagations, ``L``.
        dropout: Share of the numbers left out of the copies in training.
        feature_weight: λ.
        l2: Weight of half the squared norm of the batch's ``z``.

    Raises:
        InputError: Features that do not fit.
    """

    USES: ClassVar[Uses] = ("features",)
    TRAINING_ONLY: ClassVar[tuple[str, ...]] = ("projections.",)

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features] | None = None,
        num_layers: int = 1,
        dropout: float = 0.5,
        feature_weight: float = 2.0,
        l2: float = 1e-3,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        given = frozen_features(features, self.num_items) if features else {}
        dim = item_table.embedding_dim
        self.predictor = nn.Linear(dim, dim)
        nn.init.xavier_normal_(self.predictor.weight)
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in given.items()}
        )
        self.graph = bipartite_graph(interactions)
        self.num_layers = num_layers
        self.dropout = nn.Dropout(dropout)
        self.feature_weight = feature_weight
        self.l2 = l2

    def loss(self, batch: Triples) -> Tensor:
        """Return the loss of a batch, whose negatives are not looked at. Scalar."""
        users, items = self._vectors()
        users, items = F.embedding(batch.users, users), F.embedding(batch.positives, items)
        user_copies, item_copies = self._copy(users), self._copy(items)
        loss = self._gap(users, item_copies).mean() + self._gap(items, user_copies).mean()
        for projection in self.projections.values():
            content = projection(batch.positives)
            gaps = self._gap(content, item_copies) + self._gap(content, self._copy(content))
            known = projection.features.mask(batch.positives).squeeze(-1)
            loss = loss + self.feature_weight * (gaps * known).mean()
        return loss + self.l2 * half_squared_norm(users, items)

    def _copy(self, rows: Tensor) -> Tensor:
        return self.dropout(rows.detach())

    def _gap(self, rows: Tensor, copies: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(self.predictor(rows), copies)

    def _vectors(self) -> tuple[Tensor, Tensor]:
        item_start = self.item_table.weight
        start = torch.cat([self.user_table.weight, item_start])
        final = layer_mean(self.graph, start, self.num_layers)
        users, items = final.split([self.num_users, self.num_items])
        return users, items + item_start

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return ``P(z_u)`` and ``P(z_i)``; their dot product is the score."""
        users, items = self._vectors()
        return self.predictor(users), self.predictor(items)


class BM3Config(BackboneSettings):
    """Arguments of `BM3`."""

    MODEL: ClassVar[type[Backbone]] = BM3
    name: Literal["bm3"] = "bm3"
    num_layers: int = Field(default=1, ge=0)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    feature_weight: float = Field(default=2.0, ge=0)
    l2: float = Field(default=1e-3, ge=0)
