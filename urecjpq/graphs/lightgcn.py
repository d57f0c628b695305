"""LightGCN: ids propagated over the user–item graph, and nothing else.

    score(u, i) = z_u · z_i,   [z_u; z_i] = mean of Â^l [e_u; e_i] over l = 0 … L,
    Â = D^-½ A D^-½

Source: He et al., LightGCN, SIGIR 2020 (arXiv:2002.02126). Difference from the authors' code: the
tables are arguments, so they may be full, quotient-remainder or JPQ.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.graphs.backbone import Backbone, BackboneSettings
from urecjpq.graphs.propagation import bipartite_graph, layer_mean
from urecjpq.losses import bpr_loss, half_squared_norm
from urecjpq.sampling import Triples
from urecjpq.tables import JPQEmbedding, Table


class LightGCN(Backbone):
    """LightGCN over any two tables.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        num_layers: Propagations, ``L``.
        l2: Weight of half the squared norm of the batch's rows before propagation.
    """

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        num_layers: int = 2,
        l2: float = 1e-3,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        self.num_layers = num_layers
        self.l2 = l2
        self.graph = bipartite_graph(interactions)

    def loss(self, batch: Triples) -> Tensor:
        """Return the BPR loss of a batch plus the L2 penalty on its rows. Scalar."""
        start = torch.cat([self.user_table.weight, self.item_table.weight])
        final = layer_mean(self.graph, start, self.num_layers)
        rows = torch.stack([batch.users, batch.positives, batch.negatives])
        rows[1:] += self.num_users
        return bpr_loss(*F.embedding(rows, final)) + self.l2 * half_squared_norm(
            *F.embedding(rows, start)
        )

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score."""
        start = torch.cat([self.user_table.weight, self.item_table.weight])
        final = layer_mean(self.graph, start, self.num_layers)
        users, items = final.split([self.num_users, self.num_items])
        return users, items

    def index_source(self) -> JPQEmbedding | None:
        """Return the item table if it is quantised and nothing is propagated."""
        table = self.item_table
        return table if isinstance(table, JPQEmbedding) and self.num_layers == 0 else None


class LightGCNConfig(BackboneSettings):
    """Arguments of `LightGCN`."""

    MODEL: ClassVar[type[Backbone]] = LightGCN
    name: Literal["lightgcn"] = "lightgcn"
    num_layers: int = Field(default=2, ge=0)
    l2: float = Field(default=1e-3, ge=0)
