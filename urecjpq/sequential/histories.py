"""Users' actions in time order, and batches of the latest of them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require

PADDING = -1


@dataclass(frozen=True)
class Histories:
    """The items of every user, oldest first: those of user ``u`` are ``starts[u] … starts[u+1]``.

    Args:
        starts: int64, shape ``(num_users + 1,)``.
        items: Item rows, shape ``(num_actions,)``.
    """

    starts: np.ndarray
    items: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Actions of each user. Shape ``(num_users,)``."""
        return np.diff(self.starts)

    def latest(self, users: np.ndarray, limit: int) -> Tensor:
        """Return the last ``limit`` actions of some users at most, padded on the left with -1.

        Args:
            users: Rows of users.
            limit: At least 1.

        Returns:
            int64, as wide as the longest of them. Shape ``(len(users), width)``.
        """
        lengths = np.minimum(self.lengths[users], limit)
        width = max(int(lengths.max(initial=0)), 1)
        places = self.starts[users + 1][:, None] + np.arange(-width, 0)
        real = np.arange(width) >= width - lengths[:, None]
        return torch.from_numpy(np.where(real, self.items[np.where(real, places, 0)], PADDING))


def histories_before(catalogue: Catalogue, partition: str) -> Histories:
    """Return what is known when the items of ``partition`` are asked for.

    That is train before valid, train and valid before test. Order is by timestamp, ties and
    catalogues without timestamps by the order of the source.
    """
    pairs = catalogue.before(partition)
    keys = (pairs.users,) if pairs.timestamps is None else (pairs.timestamps, pairs.users)
    order = np.lexsort(keys)  # stable
    starts = np.bincount(pairs.users, minlength=catalogue.num_users).cumsum()
    return Histories(np.concatenate([[0], starts]), pairs.items[order].astype(np.int64))


class HistorySampler:
    """Users in random order, each once per epoch: a pure function of seed and epoch.

    A user with one action has nothing to learn an order from, and is passed over.

    Args:
        histories: To learn from.
        batch_size: Users per batch, at least 1.
        limit: Actions of a user that count, the latest.
        seed: Same seed and epoch, same batches.

    Raises:
        InputError: No user has two actions.
    """

    def __init__(self, histories: Histories, batch_size: int, limit: int, seed: int) -> None:
        require(batch_size >= 1, "batch_size must be at least 1", batch_size)
        self.users = np.flatnonzero(histories.lengths >= 2)
        require(
            len(self.users) > 0,
            "a user must have two training actions for a sequence to be learnt",
            f"at most one for each of {len(histories.lengths):,} users",
            "Check the partition, or use a model without sequences.",
        )
        self.histories = histories
        self.batch_size = batch_size
        self.limit = limit
        self.seed = seed

    def __len__(self) -> int:
        return -(-len(self.users) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Tensor]:
        """Yield the batches of ``epoch``, each padded on the left. Shapes ``(n, width)``."""
        users = np.random.default_rng([self.seed, epoch]).permutation(self.users)
        for start in range(0, len(users), self.batch_size):
            yield self.histories.latest(users[start : start + self.batch_size], self.limit)
