"""DRAGON: propagation per modality, then over users with items in common and over alike items.

    score(u, i) = z_u · z_i,   z_u = r_u + Σ_v U_uv r_v,   z_i = y_i + (S^n y)_i,
    r_u = [α_u^m y_u^m for each modality m],   y_i = [y_i^m for each m]

with α, y^m and U as in DualGNN, ids as one more modality, and S the item graph of FREEDOM.

Source: Zhou et al., DRAGON, ECAI 2023 (arXiv:2301.12097), and its code in MMRec. Differences: those
of DualGNN. Features are never trained, so that S is given and stays.

An item without content in a modality starts at zero there, and takes what its users and the items
that are alike in other modalities pass on.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.graphs.backbone import Backbone, BackboneSettings, Uses
from urecjpq.graphs.dualgnn import DualGNN
from urecjpq.graphs.item_graphs import blend
from urecjpq.graphs.propagation import Graph
from urecjpq.tables import Table


class DRAGON(DualGNN):
    """DRAGON over any tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        neighbours: Item graph of each modality, at least one.
        preference_tables: A table of users for each modality that has features.
        modality_weights: Share of each modality in the item graph; equal shares if None.
        num_neighbours: Users with items in common that each one listens to.
        num_item_layers: Propagations over the item graph, ``n``.
        l2: Weight of half the squared norm of the batch's ids and preferences.

    Raises:
        InputError: Features, neighbours, weights or preference tables that do not fit.
    """

    USES: ClassVar[Uses] = ("features", "neighbours")

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features],
        neighbours: Mapping[str, Neighbours],
        preference_tables: Mapping[str, Table],
        modality_weights: Mapping[str, float] | None = None,
        num_neighbours: int = 40,
        num_item_layers: int = 1,
        l2: float = 1e-4,
    ) -> None:
        super().__init__(
            user_table,
            item_table,
            interactions,
            features=features,
            preference_tables=preference_tables,
            num_neighbours=num_neighbours,
            l2=l2,
        )
        self.item_graph = Graph(blend(neighbours, modality_weights, self.num_items))
        self.num_item_layers = num_item_layers

    def propagate(self, ids: Tensor, preferences: Mapping[str, Tensor]) -> Tensor:
        """Return final vectors, users first. Shape ``(num_users + num_items, (M + 1)d)``."""
        found, shares = self.by_modality(ids, preferences)
        sides = [self._sides(both) for both in found]
        users = torch.cat([own * share for (own, _), share in zip(sides, shares, strict=True)], 1)
        similar = items = torch.cat([items for _, items in sides], 1)
        for _ in range(self.num_item_layers):
            similar = self.item_graph(similar)
        return torch.cat([users + self.user_graph(users), items + similar])


class DRAGONConfig(BackboneSettings):
    """Arguments of `DRAGON`."""

    MODEL: ClassVar[type[Backbone]] = DRAGON
    name: Literal["dragon"] = "dragon"
    modality_weights: dict[str, float] | None = None
    num_neighbours: int = Field(default=40, ge=1)
    num_item_layers: int = Field(default=1, ge=0)
    l2: float = Field(default=1e-4, ge=0)
