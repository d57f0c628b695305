"""Training triples: every training interaction once per epoch, each with one negative."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.errors import require


class Triples(NamedTuple):
    """Users, an item each touched, and an item each did not touch; int64, shape ``(n,)``."""

    users: Tensor
    positives: Tensor
    negatives: Tensor


class TripleSampler:
    """Shuffled triples of an epoch, a pure function of seed and epoch.

    Negatives are uniform over the items the user did *not* touch in training. They are drawn
    without rejection: the r-th untouched item of a user is found by one binary search, so users
    who touched almost everything cost no more than others.

    Args:
        interactions: Training matrix, shape ``(num_users, num_items)``.
        batch_size: Triples per batch, at least 1.
        seed: Same seed and epoch, same triples.

    Raises:
        InputError: There is no interaction, or a user touched every item, so that there is
            nothing negative to draw.

    Source: Rendle et al., BPR, UAI 2009 (arXiv:1205.2618). MMRec draws from the items that occur
    in training only and rejects in a Python loop.
    """

    def __init__(self, interactions: csr_matrix, batch_size: int, seed: int) -> None:
        require(batch_size >= 1, "batch_size must be at least 1", batch_size)
        require(interactions.nnz > 0, "interactions must hold at least one pair", "none")
        interactions = interactions.sorted_indices()
        self.num_items = interactions.shape[1]
        degrees = np.diff(interactions.indptr)
        full = np.flatnonzero(degrees >= self.num_items)
        require(
            len(full) == 0,
            "every user must have an item not touched in training",
            f"user rows {full[:5].tolist()} that touched all {self.num_items} items",
            "Filter these users, or check the partition.",
        )
        self.batch_size = batch_size
        self.seed = seed
        self.users = np.repeat(np.arange(interactions.shape[0]), degrees)
        self.positives = interactions.indices.astype(np.int64)
        self.free_items = self.num_items - degrees
        self.starts = interactions.indptr[:-1].astype(np.int64)
        # For a user's sorted items p_0 < p_1 < …, p_j − j untouched items lie below p_j.
        position = np.arange(len(self.users)) - self.starts[self.users]
        self.free_below = self.users * self.num_items + self.positives - position

    def __len__(self) -> int:
        return -(-len(self.users) // self.batch_size)

    def negatives(self, users: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one untouched item for each of ``users``. Shape ``(len(users),)``."""
        rank = rng.integers(self.free_items[users])
        touched_below = np.searchsorted(self.free_below, users * self.num_items + rank, "right")
        return rank + touched_below - self.starts[users]

    def epoch(self, epoch: int) -> Iterator[Triples]:
        """Yield the batches of ``epoch``; each training interaction occurs once."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.users))
        users = self.users[order]
        columns = (users, self.positives[order], self.negatives(users, rng))
        yield from map(
            Triples._make,
            zip(
                *(torch.from_numpy(column).split(self.batch_size) for column in columns),
                strict=True,
            ),
        )
