"""GRCN: edges that features do not speak for are weakened before ids are propagated over them.

    score(u, i) = z_u · z_i,   z = [x + Sx + S²x;  y^m + A^m y^m for each modality m],
    x = e with rows of length 1,   y^m = [p_u^m; φ(W^m x_i^m + c^m)] with rows of length 1,
    A^m_{ts} = softmax over the ties s of t of y^m_t · y^m_s,
    S_{ts} = max(0, max_m A^m_{ts} w_s^m)

where p_u has first been routed R times: p ← (p + Σ_i softmax_i(p · y_i) y_i) made length 1.

Source: Wei et al., GRCN, ACM MM 2020 (arXiv:2111.02036). Differences: the trust w_s^m of a node
in a modality is 1 + v^m · x_s, where the authors have a free number for each node and modality:
nothing but the tables grows with users and items. In MMRec the routing passes messages to items
only, so that preferences stay as they were: published figures are those of R = 0, the default here.
The paper has R = 3; users then take after their own items so much that less is left to learn.

An item without content in a modality is a zero there: users attend to it as to a product of zero,
and it takes the mean of its users.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import scipy.sparse as sp
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features
from urecjpq.graphs.backbone import Backbone, BackboneSettings
from urecjpq.graphs.edges import Edges
from urecjpq.graphs.features import FrozenProjection, by_modality
from urecjpq.graphs.preferences import PreferenceBackbone
from urecjpq.tables import Table


class GRCN(PreferenceBackbone):
    """GRCN over any tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        preference_tables: A table of users for each modality.
        num_routings: ``R``, 3 in the paper.
        num_layers: Propagations of the ids over the refined graph, 2 in the paper.
        l2: Weight of half the squared norm of the batch's ids and preferences.

    Raises:
        InputError: Features or preference tables that do not fit.
    """

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features],
        preference_tables: Mapping[str, Table],
        num_routings: int = 0,
        num_layers: int = 2,
        l2: float = 1e-4,
    ) -> None:
        super().__init__(user_table, item_table, interactions, features, preference_tables, l2)
        dim = self.embedding_dim
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in self.features.items()}
        )
        self.trust = nn.Linear(dim, len(self.features), bias=False)
        self.num_routings = num_routings
        self.num_layers = num_layers
        self.likes = Edges(interactions)
        self.ties = Edges(sp.bmat([[None, interactions], [interactions.T, None]], format="csr"))

    def propagate(self, ids: Tensor, preferences: Mapping[str, Tensor]) -> Tensor:
        """Return final vectors, users first. Shape ``(num_users + num_items, (M + 1)d)``."""
        x = F.normalize(ids)
        found = [self._content(name, table) for name, table in preferences.items()]
        trust = F.embedding(self.ties.columns, 1 + self.trust(x))
        shares = torch.stack([share for _, share in found], dim=1) * trust
        refined = shares.amax(dim=1).relu()
        layers = [x]
        for _ in range(self.num_layers):
            layers.append(self.ties.product(refined, layers[-1]))
        parts = [torch.stack(layers).sum(0), *(content for content, _ in found)]
        return torch.cat(parts, dim=1)

    def _content(self, name: str, preferences: Tensor) -> tuple[Tensor, Tensor]:
        """Return the vectors of a modality and the attention on each tie."""
        items = F.normalize(F.leaky_relu(self.projections[name]()))
        users = F.normalize(preferences)
        for _ in range(self.num_routings):
            shares = self.likes.softmax(self.likes.dot(users, items))
            users = F.normalize(users + self.likes.product(shares, items))
        both = torch.cat([users, items])
        shares = self.ties.softmax(self.ties.dot(both, both))
        return both + self.ties.product(shares, both), shares


class GRCNConfig(BackboneSettings):
    """Arguments of `GRCN`."""

    MODEL: ClassVar[type[Backbone]] = GRCN
    name: Literal["grcn"] = "grcn"
    num_routings: int = Field(default=0, ge=0)
    num_layers: int = Field(default=2, ge=0)
    l2: float = Field(default=1e-4, ge=0)
