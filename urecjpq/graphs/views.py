"""What models share that add side vectors, made of views of the items, to those of LightGCN."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.errors import require
from urecjpq.graphs.backbone import Backbone, Uses
from urecjpq.graphs.features import FrozenProjection, by_modality, frozen_features
from urecjpq.graphs.item_graphs import check_neighbours, similarity_matrix
from urecjpq.graphs.propagation import (
    Graph,
    bipartite_graph,
    layer_mean,
    normalise_symmetrically,
)
from urecjpq.losses import bpr_loss, half_squared_norm, info_nce
from urecjpq.sampling import Triples
from urecjpq.tables import Table

TEMPERATURE = 0.2


class ViewBackbone(Backbone):
    """Final vectors are LightGCN's plus side vectors; training also holds the two together.

    Its loss is BPR, an L2 penalty on the batch's final vectors, and InfoNCE between the cosines of
    LightGCN's and side vectors of the batch's users, and of its items.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        neighbours: Item graph, with cosines, of each of these modalities.
        num_layers: Propagations over the user–item graph.
        num_item_layers: Propagations over each item graph.
        l2: Weight of half the squared norm of the batch's final vectors.
        contrast_weight: Weight of InfoNCE.

    Raises:
        InputError: Features or neighbours that do not fit, or are of different modalities.
    """

    USES: ClassVar[Uses] = ("features", "neighbours")
    VECTORS_NEED_FEATURES: ClassVar[bool] = True

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        features: Mapping[str, Features],
        neighbours: Mapping[str, Neighbours],
        num_layers: int,
        num_item_layers: int,
        l2: float,
        contrast_weight: float,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        given = frozen_features(features, self.num_items)
        check_neighbours(neighbours, self.num_items)
        rule = f"neighbours must be of the modalities of the features, {sorted(given)}"
        require(neighbours.keys() == given.keys(), rule, sorted(neighbours))
        dim = item_table.embedding_dim
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in given.items()}
        )
        self.item_graphs = by_modality(
            {name: Graph(similarity_matrix(neighbours[name])) for name in given}
        )
        self.graph = bipartite_graph(interactions)
        self.likes = Graph(normalise_symmetrically(interactions))
        self.num_layers = num_layers
        self.num_item_layers = num_item_layers
        self.l2 = l2
        self.contrast_weight = contrast_weight

    def views(self) -> list[Tensor]:
        """Return vectors of each view, users first. Shapes ``(num_users + num_items, d)``."""
        raise NotImplementedError

    def side(self, content: Tensor, views: list[Tensor], training: bool) -> Tensor:
        """Return side vectors of some users and items, each made of its own rows alone.

        Args:
            content: LightGCN's vectors. Shape ``(n, d)``.
            views: Their rows of `views`.
            training: Whether to draw dropout; final vectors have none.

        Returns:
            Shape ``(n, d)``.
        """
        raise NotImplementedError

    def pass_on(self, items: Tensor, item_graph: Graph) -> Tensor:
        """Return vectors passed along an item graph, and the normalised sums of those by user.

        Args:
            items: Shape ``(num_items, d)``.
            item_graph: Shape ``(num_items, num_items)``.

        Returns:
            Users first. Shape ``(num_users + num_items, d)``.
        """
        for _ in range(self.num_item_layers):
            items = item_graph(items)
        return torch.cat([self.likes(items), items])

    def loss(self, batch: Triples) -> Tensor:
        """Return BPR, the penalty on the batch's vectors, and the contrast. Scalar."""
        # Rows of the batch are taken before they are joined: that is the longer part.
        items = batch.positives + self.num_users, batch.negatives + self.num_users
        rows = torch.cat([batch.users, *items])
        content, *views = (F.embedding(rows, part) for part in (self._content(), *self.views()))
        side = self.side(content, views, self.training)
        final = (content + side).chunk(3)
        loss = bpr_loss(*final) + self.l2 * half_squared_norm(*final)
        if self.contrast_weight == 0:
            return loss
        pairs = zip(F.normalize(side).chunk(3)[:2], F.normalize(content).chunk(3)[:2], strict=True)
        contrasts = [info_nce(one, other, TEMPERATURE) for one, other in pairs]
        return loss + self.contrast_weight * torch.stack(contrasts).sum()

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score."""
        content = self._content()
        final = content + self.side(content, self.views(), training=False)
        users, items = final.split([self.num_users, self.num_items])
        return users, items

    def _content(self) -> Tensor:
        start = torch.cat([self.user_table.weight, self.item_table.weight])
        return layer_mean(self.graph, start, self.num_layers)


def gate(dim: int) -> nn.Module:
    """Return ``σ(A x + a)`` for rows x of width ``dim``."""
    return nn.Sequential(nn.Linear(dim, dim), nn.Sigmoid())
