"""FREEDOM: frozen item–item graphs from features, and a user–item graph with edges dropped.

    score(u, i) = z_u · (z_i + h_i),   h = S^n e_items,   [z_u; z_i] as in LightGCN,
    S = Σ_modality w · (1/k on the edges to the k neighbours)

    loss = BPR(z_u, z_i + h_i) + λ Σ_modality BPR(z_u, W_modality x_i)

In every epoch only a share of the user–item edges is kept for propagation, drawn without
replacement in proportion to 1/√(d_u d_i).

Source: Zhou & Shen, FREEDOM, ACM MM 2023 (arXiv:2211.06924) and its code in MMRec. Differences:
features are never trained (MMRec trains them by default), only their projections are; without
features, with neighbour graphs alone, the λ term is absent; items without content in a modality
take no part in its loss.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.errors import require
from urecjpq.graphs.backbone import Backbone, BackboneSettings, Uses
from urecjpq.graphs.features import FrozenProjection, by_modality, frozen_features
from urecjpq.graphs.item_graphs import blend
from urecjpq.graphs.propagation import Graph, bipartite_graph, layer_mean
from urecjpq.losses import bpr_loss, rows_of
from urecjpq.sampling import Triples
from urecjpq.tables import Table


class FREEDOM(Backbone):
    """FREEDOM over any two tables.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        neighbours: Item graph of each modality, at least one.
        features: Frozen features by modality for the λ term; may be none.
        modality_weights: Share of each modality in the item graph; equal shares if None.
        num_layers: Propagations over the user–item graph.
        num_item_layers: Propagations over the item graph.
        edge_dropout: Share of user–item edges left out in an epoch, in ``[0, 1)``.
        feature_weight: λ.

    Raises:
        InputError: No neighbours, weights for other modalities, or a dropout out of range.
    """

    USES: ClassVar[Uses] = ("features", "neighbours")
    TRAINING_ONLY: ClassVar[tuple[str, ...]] = ("projections.",)

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        neighbours: Mapping[str, Neighbours],
        features: Mapping[str, Features] | None = None,
        modality_weights: dict[str, float] | None = None,
        num_layers: int = 2,
        num_item_layers: int = 1,
        edge_dropout: float = 0.8,
        feature_weight: float = 1e-3,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        require(0 <= edge_dropout < 1, "edge_dropout must lie in [0, 1)", edge_dropout)
        self.num_layers = num_layers
        self.num_item_layers = num_item_layers
        self.edge_dropout = edge_dropout
        self.feature_weight = feature_weight
        self.interactions = interactions
        self.graph = self.epoch_graph = bipartite_graph(interactions)
        self.item_graph = Graph(blend(neighbours, modality_weights, self.num_items))
        given = frozen_features(features, self.num_items) if features else {}
        dim = item_table.embedding_dim
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in given.items()}
        )

    def start_epoch(self, rng: np.random.Generator) -> None:
        """Draw the user–item edges that this epoch propagates over."""
        if self.edge_dropout > 0:
            kept = keep_edges(self.interactions, 1 - self.edge_dropout, rng)
            self.epoch_graph = bipartite_graph(kept).to(self.graph.matrix.device)

    def loss(self, batch: Triples) -> Tensor:
        """Return the BPR loss of a batch plus λ times that of the projected features. Scalar."""
        user_vectors, item_vectors = self._vectors(self.epoch_graph)
        users, positives, negatives = rows_of(batch, user_vectors, item_vectors)
        loss = bpr_loss(users, positives, negatives)
        penalties = [p.loss(users, batch) for p in self.projections.values()]
        return loss + self.feature_weight * sum(penalties, start=loss.new_zeros(()))

    def _vectors(self, graph: Graph) -> tuple[Tensor, Tensor]:
        item_start = self.item_table.weight
        similar = item_start
        for _ in range(self.num_item_layers):
            similar = self.item_graph(similar)
        start = torch.cat([self.user_table.weight, item_start])
        final = layer_mean(graph, start, self.num_layers)
        users, items = final.split([self.num_users, self.num_items])
        return users, items + similar

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors over all edges; their product is the score."""
        return self._vectors(self.graph)


class FREEDOMConfig(BackboneSettings):
    """Arguments of `FREEDOM`."""

    MODEL: ClassVar[type[Backbone]] = FREEDOM
    name: Literal["freedom"] = "freedom"
    modality_weights: dict[str, float] | None = None
    num_layers: int = Field(default=2, ge=0)
    num_item_layers: int = Field(default=1, ge=0)
    edge_dropout: float = Field(default=0.8, ge=0, lt=1)
    feature_weight: float = Field(default=1e-3, ge=0)


def keep_edges(interactions: csr_matrix, share: float, rng: np.random.Generator) -> csr_matrix:
    """Return ``interactions`` with a share of its edges, drawn in proportion to 1/√(d_u d_i).

    The smallest of Exp(1)/weight are a draw without replacement (Efraimidis & Spirakis, 2006).
    """
    edges = interactions.tocoo()
    users, items = (np.asarray(interactions.sum(axis)).ravel() for axis in (1, 0))
    weights = (users[edges.row] * items[edges.col]) ** -0.5
    keys = rng.standard_exponential(len(weights)) / weights
    count = round(share * len(keys))  # int() would keep 19 of 100: 1 - 0.8 is below 0.2
    kept = np.argpartition(keys, count - 1)[:count]
    ones = np.ones(len(kept), dtype=np.float32)
    return csr_matrix((ones, (edges.row[kept], edges.col[kept])), shape=interactions.shape)
