"""What training, saving and the index ask of every sequential backbone."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.recommender import Recommender
from urecjpq.sequential.histories import PADDING, Histories, HistorySampler, histories_before
from urecjpq.sequential.losses import Loss, LossSettings, Softmax
from urecjpq.sequential.packing import Packing
from urecjpq.settings import Settings
from urecjpq.tables import JPQEmbedding, Table, sibling

QUERIES_AT_ONCE = 256
SOFTMAX = Softmax()


class SequentialBackbone(Recommender):
    """A model that turns a history of items into a query; scores are products with item rows.

    There is no user table: a user is what he touched. Histories are item rows, oldest first, padded
    on the left with -1; of one longer than ``max_length`` the latest items count. Padding takes
    part in nothing, and the mask token has a row of its own outside the item table.

    Args:
        item_table: ``num_items`` rows of any kind.
        max_length: Latest items of a history that count.
        tied: Score with the table that histories are read with; otherwise with a second one, whose
            codes are the same.
        loss: Called with the scoring table, vectors of positions and the items that follow.

    Raises:
        InputError: ``max_length`` is below 1.
    """

    STOP_METRIC = "ndcg@10"
    EXCLUDE = "train+valid"
    BATCH_SIZE = 128
    # On ML-1M, validation NDCG@10 of SASRec with 32 sub-ids after three epochs: 0.136; at a
    # start_norm of 0.1 0.124. After five epochs with 8 sub-ids at 0.1: 0.132 with windows of 5 and
    # 0.120 with user-item pairs.
    FACTORS = MappingProxyType({"window": 5, "start_norm": 0.5})

    def __init__(
        self, item_table: Table, *, max_length: int = 200, tied: bool = True, loss: Loss
    ) -> None:
        super().__init__()
        require(max_length >= 1, "max_length must be at least 1", max_length)
        self.item_table = item_table
        self.output_table = None if tied else sibling(item_table)
        self.num_items = item_table.num_embeddings
        self.embedding_dim = item_table.embedding_dim
        self.max_length = max_length
        self.loss_function = loss

    @property
    def scoring_table(self) -> Table:
        """The table whose rows are multiplied with queries."""
        return self.item_table if self.output_table is None else self.output_table

    def read(self, items: Tensor) -> Tensor:
        """Return the rows of ``items`` as histories are read. Shape ``(*items.shape, d)``."""
        table = self.item_table
        if isinstance(table, JPQEmbedding) and items.numel() > self.num_items:
            # Each row is then joined once, and gradients add up row by row before they are split.
            return F.embedding(items, table.weight)
        return table(items)

    def _position_loss(self, vectors: Tensor, items: Tensor) -> Tensor:
        return self.loss_function(self.scoring_table, vectors, items, torch.default_generator)

    def query_vectors(self, histories: Tensor) -> Tensor:
        """Return what a history asks for: its product with an item's row is the score.

        A function of the trained values alone: training mode and random numbers change nothing.

        Args:
            histories: Item rows, oldest first, padded on the left with -1; of a longer one the
                latest ``max_length`` items count. Shape ``(n, width)``.

        Returns:
            Shape ``(n, d)``.

        Raises:
            InputError: An item row outside the catalogue, a history without an item, or padding
                after an item.
        """
        self._check(histories)
        with _evaluating(self):
            return self._queries(histories)

    def _queries(self, histories: Tensor) -> Tensor:
        raise NotImplementedError

    def item_vectors(self) -> Tensor:
        """Return the rows that queries are multiplied with. Shape ``(num_items, d)``."""
        return self.scoring_table.weight

    def index_source(self) -> JPQEmbedding | None:
        """Return the scoring table if it is quantised: an index may add its sub-scores."""
        table = self.scoring_table
        return table if isinstance(table, JPQEmbedding) else None

    @torch.no_grad()
    def vectors_for(self, catalogue: Catalogue, partition: str) -> tuple[Tensor, Tensor]:
        """Return queries of the users who have items in ``partition``, and item vectors.

        Rows of users that nothing is asked of are zeros.
        """
        asked = np.flatnonzero(np.diff(catalogue.matrix(partition).indptr))
        queries = self.user_queries(histories_before(catalogue, partition), asked)
        users = queries.new_zeros(catalogue.num_users, self.embedding_dim)
        users[torch.from_numpy(asked)] = queries
        return users, self.item_vectors()

    @torch.no_grad()
    def user_queries(self, histories: Histories, users: np.ndarray) -> Tensor:
        """Return the queries of some users' histories. Shape ``(len(users), d)``."""
        # Similar lengths together leave little padding.
        order = np.argsort(histories.lengths[users], kind="stable")
        found = self.item_vectors().new_empty(len(users), self.embedding_dim)
        for start in range(0, len(order), QUERIES_AT_ONCE):
            places = order[start : start + QUERIES_AT_ONCE]
            latest = histories.latest(users[places], self.max_length)
            found[torch.from_numpy(places)] = self.query_vectors(latest)
        return found

    def _check(self, histories: Tensor) -> None:
        shape, kind = tuple(histories.shape), histories.dtype
        fits = histories.ndim == 2 and histories.shape[1] > 0 and kind == torch.int64
        require(fits, "histories must be int64 with shape (n, width)", f"{kind} {shape}")
        if not len(histories):
            return
        low, high = int(histories.min()), int(histories.max())
        require(
            low >= PADDING and high < self.num_items,
            f"histories must hold item rows in 0 … {self.num_items - 1}, or -1 for padding",
            low if low < PADDING else high,
        )
        real = histories != PADDING
        empty = (~real[:, -1]).nonzero().flatten()
        hint = "Padding goes to the left; recommend popular items to who has no history."
        rule = "every history must end in an item"
        require(len(empty) == 0, rule, f"none at the end of row {empty[:1].tolist()}", hint)
        gaps = (real[:, :-1] & ~real[:, 1:]).any(1).nonzero().flatten()
        rule = "histories must be padded on the left alone"
        require(len(gaps) == 0, rule, f"padding after an item in row {gaps[:1].tolist()}")


class CausalBackbone(SequentialBackbone):
    """A model whose vector of a position sees the items up to it, and learns to name the next."""

    def encode(self, items: Tensor, packing: Packing) -> Tensor:
        """Return a vector for each real cell.

        Args:
            items: Items of the real cells, shape ``(num_real,)``.
            packing: Where they are.

        Returns:
            Shape ``(num_real, d)``.
        """
        raise NotImplementedError

    def batches(self, catalogue: Catalogue, batch_size: int, seed: int) -> HistorySampler:
        """Return batches with one action more than ``max_length``: the last one is to be named."""
        histories = histories_before(catalogue, "valid")
        return HistorySampler(histories, batch_size, self.max_length + 1, seed)

    def loss(self, batch: Tensor) -> Tensor:
        """Return the mean loss of naming each item from those before it. Scalar."""
        packing = Packing(batch[:, :-1] != PADDING)
        vectors = self.encode(packing.take(batch[:, :-1]), packing)
        return self._position_loss(vectors, packing.take(batch[:, 1:]))

    def _queries(self, histories: Tensor) -> Tensor:
        histories = histories[:, -self.max_length :]
        packing = Packing(histories != PADDING)
        return packing.last_of_rows(self.encode(packing.take(histories), packing))


class SequentialSettings(Settings):
    """Hyper-parameters of a sequential backbone: the keyword arguments of its class, by name.

    A subclass adds ``name``, a literal that no other has, and its fields.

    Args:
        max_length: Latest items of a history that count.
        tied: Whether one table reads histories and scores items.
        loss: See `urecjpq.sequential.losses`.
    """

    MODEL: ClassVar[type[SequentialBackbone]]
    """The class that these are the arguments of."""
    max_length: int = Field(default=200, ge=1)
    tied: bool = True
    loss: LossSettings = SOFTMAX


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Switch dropout off, and back to what it was."""
    before = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(before)
