"""MMGCN: one graph convolution per modality, tied together by ids.

    score(u, i) = z_u · z_i,   z = mean over modalities m of x^L,
    x^0 = [p_u^m; W^m x_i^m + c^m], each row of length 1,
    x^{l+1} = φ(G_l [h; x̂]),   h = φ(D^-1 A x^l A_l),   x̂ = φ(B_l x^l) + e,   φ = leaky ReLU

Source: Wei et al., MMGCN, ACM MM 2019. Differences: in the authors' code, and in MMRec's, neither
the ids e nor the preferences p are ever trained, because they are no parameters of the model; here
both are, so that a gain over published figures need not be the tables' doing. All modalities are
projected to width d, where MMRec takes 256 for pictures and the raw width for texts.

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
from urecjpq.graphs.features import FrozenProjection, by_modality
from urecjpq.graphs.preferences import PreferenceBackbone
from urecjpq.graphs.propagation import Graph, mean_graph
from urecjpq.tables import Table


class MMGCN(PreferenceBackbone):
    """MMGCN over any tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        preference_tables: A table of users for each modality.
        num_layers: Convolutions, ``L``.
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
        num_layers: int = 3,
        l2: float = 1e-4,
    ) -> None:
        super().__init__(user_table, item_table, interactions, features, preference_tables, l2)
        dim = self.embedding_dim
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in self.features.items()}
        )
        self.towers = by_modality({name: _Tower(dim, num_layers) for name in self.features})
        self.graph = mean_graph(interactions)

    def propagate(self, ids: Tensor, preferences: Mapping[str, Tensor]) -> Tensor:
        """Return final vectors, users first. Shape ``(num_users + num_items, d)``."""
        found = [
            tower(torch.cat([preferences[name], self.projections[name]()]), ids, self.graph)
            for name, tower in self.towers.items()
        ]
        return torch.stack(found).mean(0)


class _Tower(nn.Module):
    """The convolutions of one modality."""

    def __init__(self, dim: int, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Convolution(dim) for _ in range(num_layers))
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.xavier_normal_(parameter)

    def forward(self, start: Tensor, ids: Tensor, graph: Graph) -> Tensor:
        """Return the last layer. All shapes ``(num_users + num_items, d)``."""
        x = F.normalize(start)
        for layer in self.layers:
            x = layer(x, ids, graph)
        return x


class _Convolution(nn.Module):
    """One layer of a modality."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.passed = nn.Linear(dim, dim, bias=False)
        self.own = nn.Linear(dim, dim)
        self.joined = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, ids: Tensor, graph: Graph) -> Tensor:
        passed = F.leaky_relu(graph(self.passed(x)))
        own = F.leaky_relu(self.own(x)) + ids
        return F.leaky_relu(self.joined(torch.cat([passed, own], dim=1)))


class MMGCNConfig(BackboneSettings):
    """Arguments of `MMGCN`."""

    MODEL: ClassVar[type[Backbone]] = MMGCN
    name: Literal["mmgcn"] = "mmgcn"
    num_layers: int = Field(default=3, ge=1)
    l2: float = Field(default=1e-4, ge=0)
