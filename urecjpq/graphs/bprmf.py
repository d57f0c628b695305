"""BPR-MF: the two tables and nothing else.

    score(u, i) = e_u · e_i

Source: Rendle et al., BPR, UAI 2009 (arXiv:1205.2618), matrix factorisation. Difference: the L2
penalty is one for users and items. It equals LightGCN without layers, and touches the rows of the
batch alone.
"""

from typing import ClassVar, Literal

from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.graphs.backbone import Backbone, BackboneSettings
from urecjpq.losses import bpr_loss, half_squared_norm
from urecjpq.sampling import Triples
from urecjpq.tables import JPQEmbedding, Table


class BPRMF(Backbone):
    """Matrix factorisation over any two tables.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        l2: Weight of half the squared norm of the batch's rows.
    """

    def __init__(
        self, user_table: Table, item_table: Table, interactions: csr_matrix, *, l2: float = 1e-2
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        self.l2 = l2

    def loss(self, batch: Triples) -> Tensor:
        """Return the BPR loss of a batch plus the L2 penalty on its rows. Scalar."""
        items = self.item_table(batch.positives), self.item_table(batch.negatives)
        rows = (self.user_table(batch.users), *items)
        return bpr_loss(*rows) + self.l2 * half_squared_norm(*rows)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the rows of both tables; their dot product is the score."""
        return self.user_table.weight, self.item_table.weight

    def index_source(self) -> JPQEmbedding | None:
        """Return the item table if it is quantised."""
        return self.item_table if isinstance(self.item_table, JPQEmbedding) else None


class BPRMFConfig(BackboneSettings):
    """Arguments of `BPRMF`."""

    MODEL: ClassVar[type[Backbone]] = BPRMF
    name: Literal["bprmf"] = "bprmf"
    l2: float = Field(default=1e-2, ge=0)
