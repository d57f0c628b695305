"""SASRec: a causal transformer over the history.

    h = Block_L(… Block_1(√d e_i + p_position)),   score(history, i) = LayerNorm(h_last) · e_i
    Block(x) = y + W_2 relu(W_1 LayerNorm(y)),   y = x + attention(LayerNorm(x))

Source: Kang & McAuley, SASRec, ICDM 2018 (arXiv:1808.09781); gSASRec, which is SASRec trained with
gBCE and many negatives: Petrov & Macdonald, RecSys 2023 (arXiv:2308.07192). Differences from their
code: blocks are those of the paper (the code normalises queries but neither keys nor values, and
adds attention to the normalised input); attention weights are not dropped, so that no matrix of
them is kept; padding takes part in no computation; negatives are not held back from the history;
the loss is a choice, by default the softmax over all items.
"""

import math
from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from urecjpq.errors import require
from urecjpq.sequential.backbone import (
    SOFTMAX,
    CausalBackbone,
    SequentialBackbone,
    SequentialSettings,
)
from urecjpq.sequential.losses import GBCE, Loss, LossSettings
from urecjpq.sequential.norm import LayerNorm
from urecjpq.sequential.packing import Packing
from urecjpq.tables import Table


class SASRec(CausalBackbone):
    """SASRec over any item table.

    Args:
        item_table: ``num_items`` rows of any kind.
        max_length: Latest items of a history that count.
        tied: Whether one table reads histories and scores items.
        loss: Called with the scoring table, vectors of positions and the items that follow.
        num_blocks: ``L``.
        num_heads: Heads of attention, a divisor of ``d``.
        dropout: Share of values dropped after the embedding, attention and each linear layer.
    """

    def __init__(
        self,
        item_table: Table,
        *,
        max_length: int = 200,
        tied: bool = True,
        loss: Loss = SOFTMAX,
        num_blocks: int = 2,
        num_heads: int = 1,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(item_table, max_length=max_length, tied=tied, loss=loss)
        dim = self.embedding_dim
        # Counted from the end: the latest item has position 0 however long the history is.
        self.positions = nn.Embedding(max_length, dim)
        nn.init.normal_(self.positions.weight, std=dim**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, num_heads, dropout) for _ in range(num_blocks))
        self.norm = LayerNorm(dim)

    def encode(self, items: Tensor, packing: Packing) -> Tensor:
        """Return a vector for each real cell. Shape ``(num_real, d)``."""
        rows = math.sqrt(self.embedding_dim) * self.read(items)
        vectors = self.dropout(rows + self.positions(packing.from_end))
        for block in self.blocks:
            vectors = block(vectors, packing)
        return self.norm(vectors)


class Block(nn.Module):
    """Causal attention and a feed-forward layer, each added to its input.

    Args:
        dim: ``d``.
        num_heads: A divisor of ``d``.
        dropout: Share of values dropped.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        rule = f"num_heads must divide embedding_dim {dim}"
        require(num_heads >= 1 and dim % num_heads == 0, rule, num_heads)
        self.num_heads = num_heads
        self.attention_norm = LayerNorm(dim)
        self.attention_input = nn.Linear(dim, 3 * dim)
        self.attention_output = nn.Linear(dim, dim)
        self.feed_forward = nn.Sequential(
            LayerNorm(dim),
            nn.Linear(dim, dim),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(dim, dim),
            nn.Dropout(dropout),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, vectors: Tensor, packing: Packing) -> Tensor:
        """Return the block's output for each real cell. Shape ``(num_real, d)``."""
        rows = packing.rows(self.attention_input(self.attention_norm(vectors)))
        heads = rows.unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = heads.unbind()
        attended = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        joined = packing.join(attended.transpose(1, 2).flatten(2))
        vectors = vectors + self.dropout(self.attention_output(joined))
        return vectors + self.feed_forward(vectors)


class SASRecConfig(SequentialSettings):
    """Arguments of `SASRec`."""

    MODEL: ClassVar[type[SequentialBackbone]] = SASRec
    name: Literal["sasrec"] = "sasrec"
    num_blocks: int = Field(default=2, ge=1)
    num_heads: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)


class GSASRecConfig(SequentialSettings):
    """gSASRec: `SASRec` trained with gBCE and many negatives."""

    MODEL: ClassVar[type[SequentialBackbone]] = SASRec
    name: Literal["gsasrec"] = "gsasrec"
    loss: LossSettings = GBCE()
    num_blocks: int = Field(default=2, ge=1)
    num_heads: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
