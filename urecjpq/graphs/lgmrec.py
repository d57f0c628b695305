"""LGMRec: local vectors of ids and features, and global ones through a few hyperedges.

    score(u, i) = z_u · z_i,   z = c + Σ_m n(Â^K t^m) + α n(Σ_m q^m),
    c = mean of Â^l [e_u; e_i] over l = 0 … L,
    t_i^m = W^m x_i^m,   t_u^m = mean of t_i^m over u's items,
    q_u^m = H_u E,   q_i^m = H_i E,   E = H_i' c_i,
    H_i = softmax(V^m x_i^m / τ),   H_u = softmax(Σ of V^m x_i^m over u's items / τ)

with n(·) making rows of length 1, Â as in LightGCN, and H over a few hyperedges. With more than one
hypergraph layer q_i takes the place of c_i for the next. In training, Gumbel noise is added before
the softmax and numbers of H are left out.

    loss = BPR(z) + λ · mean over pairs of modalities of [InfoNCE(q_u, q_u') + InfoNCE(q_i, q_i')]

Source: Guo et al., LGMRec, AAAI 2024 (arXiv:2312.16400), and its code in MMRec. The published model
has two modalities; sums over m and the mean over pairs are what it does, for any number. With one
there is no λ term. Differences: MMRec adds noise to final vectors too, so that no two evaluations
agree; here they have none. InfoNCE is a mean over a batch and contrasts within it, where MMRec
sums (λ = 1e-4 there) and contrasts with all users and items: time and memory in proportion to the
batch times their number.

An item without content in a modality is tied to no hyperedge of it, and starts at zero in it.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features
from urecjpq.graphs.backbone import Backbone, BackboneSettings, Uses
from urecjpq.graphs.features import FrozenProjection, by_modality, frozen_features
from urecjpq.graphs.propagation import Graph, bipartite_graph, layer_mean
from urecjpq.losses import bpr_loss, half_squared_norm, info_nce
from urecjpq.sampling import Triples
from urecjpq.tables import Table

TEMPERATURE = 0.2
Parts = tuple[list[Tensor], list[Tensor], list[Tensor]]


class LGMRec(Backbone):
    """LGMRec over any two tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        num_layers: Propagations of ids, ``L``.
        num_feature_layers: Propagations of projected features, ``K``.
        num_hyperedges: Of each modality.
        num_hypergraph_layers: Passages through the hyperedges, at least 1.
        dropout: Share of the ties to hyperedges left out in training.
        global_weight: α.
        l2: Weight of half the squared norm of the batch's final vectors.
        contrast_weight: λ.

    Raises:
        InputError: Features that do not fit.
    """

    USES: ClassVar[Uses] = ("features",)
    VECTORS_NEED_FEATURES: ClassVar[bool] = True
    degrees: Tensor

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features],
        num_layers: int = 2,
        num_feature_layers: int = 2,
        num_hyperedges: int = 4,
        num_hypergraph_layers: int = 1,
        dropout: float = 0.5,
        global_weight: float = 0.3,
        l2: float = 1e-6,
        contrast_weight: float = 0.2,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        given = frozen_features(features, self.num_items)
        self.widths = [item_table.embedding_dim, num_hyperedges]
        # W and V in one, so that features are read once.
        self.projections = by_modality(
            {name: FrozenProjection(x, sum(self.widths), bias=False) for name, x in given.items()}
        )
        for projection in self.projections.values():
            for weight in projection.linear.weight.split(self.widths):
                nn.init.xavier_uniform_(weight)
        self.graph = bipartite_graph(interactions)
        self.likes = Graph(interactions)
        degrees = np.maximum(np.diff(interactions.indptr), 1).astype(np.float32)[:, None]
        self.register_buffer("degrees", torch.from_numpy(degrees), persistent=False)
        self.num_layers = num_layers
        self.num_feature_layers = num_feature_layers
        self.num_hypergraph_layers = num_hypergraph_layers
        self.dropout = nn.Dropout(dropout)
        self.global_weight = global_weight
        self.l2 = l2
        self.contrast_weight = contrast_weight

    def loss(self, batch: Triples) -> Tensor:
        """Return BPR, the penalty on the batch's vectors, and the contrast. Scalar."""
        # Rows of the batch are taken before they are made length 1 and joined.
        items = batch.positives + self.num_users, batch.negatives + self.num_users
        rows = torch.cat([batch.users, *items])
        parts = self._propagate(self.training)
        ids, local, passed = ([F.embedding(rows, x) for x in part] for part in parts)
        final = self._join(ids, local, passed).chunk(3)
        loss = bpr_loss(*final) + self.l2 * half_squared_norm(*final)
        pairs = list(combinations([F.normalize(q).chunk(3)[:2] for q in passed], 2))
        if not pairs or self.contrast_weight == 0:
            return loss
        contrasts = [
            info_nce(one, other, TEMPERATURE)
            for pair in pairs
            for one, other in zip(*pair, strict=True)
        ]
        return loss + self.contrast_weight * torch.stack(contrasts).sum() / len(pairs)

    def _propagate(self, training: bool) -> Parts:
        """Return c, Â^K t^m, and q^m, shapes ``(num_users + num_items, d)``."""
        start = torch.cat([self.user_table.weight, self.item_table.weight])
        ids = layer_mean(self.graph, start, self.num_layers)
        local, passed = [], []
        for projection in self.projections.values():
            projected = projection()
            items, item_ties = projected.split(self.widths, dim=1)
            users, user_ties = self.likes(projected).split(self.widths, dim=1)
            content = torch.cat([users / self.degrees, items])
            for _ in range(self.num_feature_layers):
                content = self.graph(content)
            local.append(content)
            ties = self._ties(user_ties, training), self._ties(item_ties, training)
            known = projection.features.mask()
            passed.append(self._pass(ties[0], ties[1] * known, ids[self.num_users :]))
        return [ids], local, passed

    def _join(self, ids: list[Tensor], local: list[Tensor], passed: list[Tensor]) -> Tensor:
        everywhere = F.normalize(torch.stack(passed).sum(0))
        return ids[0] + sum(map(F.normalize, local)) + self.global_weight * everywhere

    def _ties(self, logits: Tensor, training: bool) -> Tensor:
        if training:
            return self.dropout(F.gumbel_softmax(logits, TEMPERATURE))
        return (logits / TEMPERATURE).softmax(dim=1)

    def _pass(self, user_ties: Tensor, item_ties: Tensor, items: Tensor) -> Tensor:
        users = items
        for _ in range(self.num_hypergraph_layers):
            hyperedges = item_ties.T @ items
            users, items = user_ties @ hyperedges, item_ties @ hyperedges
        return torch.cat([users, items])

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors, without noise; their product is the score."""
        final = self._join(*self._propagate(training=False))
        users, items = final.split([self.num_users, self.num_items])
        return users, items


class LGMRecConfig(BackboneSettings):
    """Arguments of `LGMRec`."""

    MODEL: ClassVar[type[Backbone]] = LGMRec
    name: Literal["lgmrec"] = "lgmrec"
    num_layers: int = Field(default=2, ge=0)
    num_feature_layers: int = Field(default=2, ge=0)
    num_hyperedges: int = Field(default=4, ge=1)
    num_hypergraph_layers: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.5, ge=0, lt=1)
    global_weight: float = Field(default=0.3, ge=0)
    l2: float = Field(default=1e-6, ge=0)
    contrast_weight: float = Field(default=0.2, ge=0)
