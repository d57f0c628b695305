"""MGCN: ids purified by features, passed along item graphs, fused by what modalities share.

    score(u, i) = z_u · z_i,   z = c + s,   c = mean of Â^l [e_u; e_i] over l = 0 … L,
    y_i^m = (S_m^n (e ⊙ σ(B^m (W^m x^m + c^m))))_i,   y_u^m = (R̂ y_i^m)_u,
    s = (h + Σ_m σ(P^m c) ⊙ (y^m - h)) / (M + 1),   h = Σ_m α^m y^m,   α = softmax_m q(y^m)

with M modalities, Â and R̂ normalised as in LightGCN, and S_m the normalised cosines of neighbours.
All B and P are affine; q, a layer with tanh, is one for all modalities.

    loss = BPR(z) + InfoNCE(s_i, c_i) + InfoNCE(s_u, c_u), weighted, over cosines within the batch

Source: Yu et al., MGCN, ACM MM 2023 (arXiv:2308.03588), and its code in MMRec. The published model
has two modalities, and divides by 3; the sums, the softmax and M + 1 are what that is for any
number. With one there is nothing to tell apart: h = y, and s = y / 2. Differences: features are
never trained (MMRec trains them).

An item without content in a modality has y = 0 there, which takes its part in the softmax. Without
any, s is zero, and z is LightGCN's.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.graphs.backbone import Backbone, BackboneSettings
from urecjpq.graphs.features import by_modality
from urecjpq.graphs.views import ViewBackbone, gate
from urecjpq.tables import Table


class MGCN(ViewBackbone):
    """MGCN over any two tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        neighbours: Item graph, with cosines, of each of these modalities.
        num_layers: Propagations over the user–item graph, ``L``.
        num_item_layers: Propagations over each item graph, ``n``.
        l2: Weight of half the squared norm of the batch's final vectors.
        contrast_weight: Weight of InfoNCE.

    Raises:
        InputError: Features or neighbours that do not fit, or are of different modalities.
    """

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features],
        neighbours: Mapping[str, Neighbours],
        num_layers: int = 2,
        num_item_layers: int = 1,
        l2: float = 1e-4,
        contrast_weight: float = 0.01,
    ) -> None:
        super().__init__(
            user_table,
            item_table,
            interactions,
            features,
            neighbours,
            num_layers,
            num_item_layers,
            l2,
            contrast_weight,
        )
        dim = item_table.embedding_dim
        self.purifiers = by_modality({name: gate(dim) for name in self.projections})
        self.preferences = by_modality({name: gate(dim) for name in self.projections})
        self.query = nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, 1, bias=False))

    def views(self) -> list[Tensor]:
        """Return y of each modality, users first. Shapes ``(num_users + num_items, d)``."""
        return [self._view(name) for name in self.projections]

    def _view(self, name: str) -> Tensor:
        projection = self.projections[name]
        purified = self.item_table.weight * self.purifiers[name](projection())
        return self.pass_on(purified * projection.features.mask(), self.item_graphs[name])

    def side(self, content: Tensor, views: list[Tensor], training: bool) -> Tensor:
        """Return s of some users and items, from their rows of c and y. Shape ``(n, d)``."""
        stacked = torch.stack(views)
        shared = (self.query(stacked).softmax(dim=0) * stacked).sum(0)
        wanted = torch.stack([prefers(content) for prefers in self.preferences.values()])
        own = (wanted * (stacked - shared)).sum(0)
        return (own + shared) / (len(views) + 1)


class MGCNConfig(BackboneSettings):
    """Arguments of `MGCN`."""

    MODEL: ClassVar[type[Backbone]] = MGCN
    name: Literal["mgcn"] = "mgcn"
    num_layers: int = Field(default=2, ge=0)
    num_item_layers: int = Field(default=1, ge=0)
    l2: float = Field(default=1e-4, ge=0)
    contrast_weight: float = Field(default=0.01, ge=0)
