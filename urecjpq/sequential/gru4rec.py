"""GRU4Rec: a recurrent network over the history.

    h_t = GRU(LayerNorm(e_{i_t}), h_{t-1}),   score(history, i) = (W h_last + c) · e_i

Source: Hidasi et al., ICLR 2016 (arXiv:1511.06939); Hidasi & Karatzoglou, CIKM 2018
(arXiv:1706.03847). Differences: whole histories are learnt at once instead of sessions cut in
steps, what is read is normalised (rows of tables start short), there is no bias per item, and the
loss is a choice, by default the softmax over all items. RecJPQ trains it by LambdaRank on random
cuts of the history and lets it read padding.
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from urecjpq.sequential.backbone import (
    SOFTMAX,
    CausalBackbone,
    SequentialBackbone,
    SequentialSettings,
)
from urecjpq.sequential.losses import Loss
from urecjpq.sequential.norm import LayerNorm
from urecjpq.sequential.packing import Packing
from urecjpq.tables import Table


class GRU4Rec(CausalBackbone):
    """GRU4Rec over any item table.

    Args:
        item_table: ``num_items`` rows of any kind.
        max_length: Latest items of a history that count.
        tied: Whether one table reads histories and scores items.
        loss: Called with the scoring table, vectors of positions and the items that follow.
        hidden_dim: Length of the recurrent state.
        num_layers: Of the network.
        dropout: Share of values dropped from the items read and from the state.
    """

    def __init__(
        self,
        item_table: Table,
        *,
        max_length: int = 200,
        tied: bool = True,
        loss: Loss = SOFTMAX,
        hidden_dim: int = 128,
        num_layers: int = 1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(item_table, max_length=max_length, tied=tied, loss=loss)
        self.dropout = nn.Dropout(dropout)
        self.network = nn.GRU(
            self.embedding_dim,
            hidden_dim,
            num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,  # torch warns where there is no place
        )
        self.input_norm = LayerNorm(self.embedding_dim)
        self.output = nn.Linear(hidden_dim, self.embedding_dim)

    def encode(self, items: Tensor, packing: Packing) -> Tensor:
        """Return a vector for each real cell. Shape ``(num_real, d)``."""
        rows = packing.rows(self.dropout(self.input_norm(self.read(items))))
        states, _ = self.network(rows)  # the padding is at the end, and forgotten
        return self.output(self.dropout(packing.join(states)))


class GRU4RecConfig(SequentialSettings):
    """Arguments of `GRU4Rec`."""

    MODEL: ClassVar[type[SequentialBackbone]] = GRU4Rec
    name: Literal["gru4rec"] = "gru4rec"
    hidden_dim: int = Field(default=128, ge=1)
    num_layers: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
