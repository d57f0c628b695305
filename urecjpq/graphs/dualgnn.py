"""DualGNN: propagation per modality, then over users who have items in common.

    score(u, i) = z_u · z_i,   z_u = r_u + Σ_v U_uv r_v,   z_i = Σ_m y_i^m,
    r_u = Σ_m α_u^m y_u^m,   α_u = softmax(V e_u),
    y^m = x^m + Âx^m + Â²x^m,   x^m = [p_u^m; W₂^m φ(W₁^m x_i^m)] with rows of length 1

with Â as in LightGCN, φ = leaky ReLU, and U the softmax over the counts of items in common with the
k nearest users. The ids are one more modality: x = [e_u; e_i] with rows of length 1.

Source: Wang et al., DualGNN, IEEE TMM 2021, and its code in MMRec. Differences: MMRec has no ids,
and so no item table to quantise, and items without content would be all alike; α_u is a free pair
of numbers for each user there, where here nothing but the tables grows with users. The user graph
is computed here, and read from a file there.

An item without content in a modality starts at zero there, and takes what its users pass on.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features
from urecjpq.graphs.backbone import Backbone, BackboneSettings
from urecjpq.graphs.features import FrozenFeatures, by_modality
from urecjpq.graphs.preferences import PreferenceBackbone
from urecjpq.graphs.propagation import Graph, bipartite_graph, layer_mean
from urecjpq.graphs.users import common_items_graph
from urecjpq.tables import Table

NUM_LAYERS = 2


class DualGNN(PreferenceBackbone):
    """DualGNN over any tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        preference_tables: A table of users for each modality.
        num_neighbours: Users with items in common that each one listens to.
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
        num_neighbours: int = 40,
        l2: float = 1e-4,
    ) -> None:
        super().__init__(user_table, item_table, interactions, features, preference_tables, l2)
        dim = self.embedding_dim
        self.encoders = by_modality(
            {name: _Encoder(values, dim) for name, values in self.features.items()}
        )
        self.attention = nn.Linear(dim, 1 + len(self.features), bias=False)
        self.graph = bipartite_graph(interactions)
        self.user_graph = Graph(common_items_graph(interactions, num_neighbours))

    def propagate(self, ids: Tensor, preferences: Mapping[str, Tensor]) -> Tensor:
        """Return final vectors, users first. Shape ``(num_users + num_items, d)``."""
        found, shares = self.by_modality(ids, preferences)
        users, items = self._sides(torch.stack(found))
        users = (users * shares).sum(0)
        return torch.cat([users + self.user_graph(users), items.sum(0)])

    def by_modality(
        self, ids: Tensor, preferences: Mapping[str, Tensor]
    ) -> tuple[list[Tensor], Tensor]:
        """Return the vectors of each modality, ids first, and what each means to each user.

        Returns:
            Vectors of shape ``(num_users + num_items, d)``, and shares that sum to 1 for a user.
            Shape ``(M + 1, num_users, 1)``.
        """
        starts = [ids]
        starts += [torch.cat([rows, self.encoders[name]()]) for name, rows in preferences.items()]
        scale = NUM_LAYERS + 1  # a sum over the layers, not their mean
        found = [scale * layer_mean(self.graph, F.normalize(start), NUM_LAYERS) for start in starts]
        shares = self.attention(ids[: self.num_users]).softmax(dim=1)
        return found, shares.T.unsqueeze(-1)


class _Encoder(nn.Module):
    """Two layers over the features of a modality; zero without content."""

    def __init__(self, features: FrozenFeatures, dim: int) -> None:
        super().__init__()
        self.features = features
        self.first = nn.Linear(features.width, 4 * dim)
        self.second = nn.Linear(4 * dim, dim)

    def forward(self) -> Tensor:
        """Return a vector for each item. Shape ``(num_items, d)``."""
        hidden = F.leaky_relu(self.features.project(self.first))
        return self.second(hidden) * self.features.mask()


class DualGNNConfig(BackboneSettings):
    """Arguments of `DualGNN`."""

    MODEL: ClassVar[type[Backbone]] = DualGNN
    name: Literal["dualgnn"] = "dualgnn"
    num_neighbours: int = Field(default=40, ge=1)
    l2: float = Field(default=1e-4, ge=0)
