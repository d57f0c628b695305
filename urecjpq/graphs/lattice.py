"""LATTICE: item graphs learned from projected features, beside those of the raw features.

    score(u, i) = z_u · (z_i + h_i / |h_i|),   h = S^n e_items,
    [z_u; z_i] = mean of P^l [e_u; e_i] over l = 0 … L,   P = (D + I)^-1 (A + I),
    S = (1 - λ) N(Σ_m w_m K(W^m x^m + c^m)) + λ Σ_m w_m N(K(x^m))

K(y) holds the cosines of each item with its k nearest by y, N(K) = D^-½ K D^-½ with the row sums at
both ends, and w = softmax of a trained number for each modality. Neighbours are searched once per
epoch, in blocks, and once for the final vectors. As in the published code, W, c and w have a
gradient in the first step of an epoch; for the rest of it S is constant.

Source: Zhang et al., LATTICE, ACM MM 2021 (arXiv:2104.09036), and its code in MMRec. Differences:
features are never trained (MMRec trains them), so that K(x) is given and stays. With neighbour
graphs and no features, the learned part is absent, and S = Σ_m w_m N(K(x^m)).

An item without content in a modality has no neighbours there; without any, h_i is zero.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.errors import require
from urecjpq.graphs.backbone import Backbone, BackboneSettings, Uses
from urecjpq.graphs.features import FrozenProjection, by_modality, frozen_features
from urecjpq.graphs.item_graphs import check_neighbours, similarity_matrix
from urecjpq.graphs.learned import LearnedGraph
from urecjpq.graphs.propagation import Graph, layer_mean, mean_graph
from urecjpq.losses import bpr_loss, half_squared_norm, rows_of
from urecjpq.sampling import Triples
from urecjpq.tables import Table


class LATTICE(Backbone):
    """LATTICE over any two tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        neighbours: Item graph of each modality, with cosines; at least one.
        features: Frozen features of the same modalities to learn graphs from; may be none.
        k: Neighbours in the learned graphs; no more than there are items.
        frozen_share: λ, in ``[0, 1]``.
        num_layers: Propagations over the user–item graph, ``L``.
        num_item_layers: Propagations over the item graph, ``n``.
        l2: Weight of half the squared norm of the batch's final vectors.

    Raises:
        InputError: No neighbours, or features that are of other modalities or do not fit.
    """

    USES: ClassVar[Uses] = ("features", "neighbours")
    VECTORS_NEED_FEATURES: ClassVar[bool] = True

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        neighbours: Mapping[str, Neighbours],
        features: Mapping[str, Features] | None = None,
        k: int = 10,
        frozen_share: float = 0.9,
        num_layers: int = 2,
        num_item_layers: int = 1,
        l2: float = 1e-4,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        names = sorted(neighbours)
        check_neighbours(neighbours, self.num_items)
        rule = f"features must be of the modalities of the neighbours, {names}"
        require(not features or sorted(features) == names, rule, sorted(features or ()))
        given = frozen_features(features, self.num_items) if features else {}
        dim = item_table.embedding_dim
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in given.items()}
        )
        self.modality_logits = nn.Parameter(torch.zeros(len(names)))
        self.frozen = [similarity_matrix(neighbours[name]) for name in names]
        self.graph = mean_graph(interactions, self_loops=True)
        self.k = min(k, self.num_items)
        self.frozen_share = frozen_share if given else 1.0
        self.num_layers = num_layers
        self.num_item_layers = num_item_layers
        self.l2 = l2
        self._epoch_graph: Graph | None = None

    def start_epoch(self, rng: np.random.Generator) -> None:
        """Forget the item graph: the first step of the epoch makes one of the present values."""
        self._epoch_graph = None

    def loss(self, batch: Triples) -> Tensor:
        """Return the BPR loss of a batch plus the L2 penalty on its vectors. Scalar."""
        if self._epoch_graph is None:
            learned = self._item_graph()
            self._epoch_graph = learned.constant()
            rows = rows_of(batch, *self._vectors(learned))
        else:
            rows = rows_of(batch, *self._vectors(self._epoch_graph))
        return bpr_loss(*rows) + self.l2 * half_squared_norm(*rows)

    def _item_graph(self) -> LearnedGraph:
        shares = self.modality_logits.softmax(0)
        projected = [projection() for projection in self.projections.values()]
        present = [projection.features.present for projection in self.projections.values()]
        return LearnedGraph(self.frozen, shares, projected, present, self.k, self.frozen_share)

    def _vectors(self, item_graph: LearnedGraph | Graph) -> tuple[Tensor, Tensor]:
        similar = item_start = self.item_table.weight
        for _ in range(self.num_item_layers):
            similar = item_graph(similar)
        start = torch.cat([self.user_table.weight, item_start])
        final = layer_mean(self.graph, start, self.num_layers)
        users, items = final.split([self.num_users, self.num_items])
        return users, items + F.normalize(similar)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score."""
        with torch.no_grad():
            item_graph = self._item_graph().constant()
        return self._vectors(item_graph)


class LATTICEConfig(BackboneSettings):
    """Arguments of `LATTICE`."""

    MODEL: ClassVar[type[Backbone]] = LATTICE
    name: Literal["lattice"] = "lattice"
    k: int = Field(default=10, ge=1)
    frozen_share: float = Field(default=0.9, ge=0, le=1)
    num_layers: int = Field(default=2, ge=0)
    num_item_layers: int = Field(default=1, ge=0)
    l2: float = Field(default=1e-4, ge=0)
