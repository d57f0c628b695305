"""Interactions whose item similarities are known, and how much of them codes keep."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.errors import require

USERS_AT_ONCE = 512


class KnownItems(NamedTuple):
    """Interactions in the order users chose, and the vectors that made them choose.

    Args:
        choices: Items of each user, the likeliest draws first. Shape ``(num_users, num_choices)``.
        vectors: Unit vectors; their cosine is the similarity. Shape ``(num_items, d)``.
    """

    choices: np.ndarray
    vectors: np.ndarray

    def interactions(self, per_user: int) -> csr_matrix:
        """Return the first ``per_user`` choices of every user as a 0/1 matrix."""
        users = np.arange(len(self.choices)).repeat(per_user)
        ones = np.ones(len(users), dtype=np.float32)
        shape = (len(self.choices), len(self.vectors))
        return csr_matrix((ones, (users, self.choices[:, :per_user].ravel())), shape=shape)

    def neighbours(self, count: int) -> np.ndarray:
        """Return the items most similar to each, itself left out. Shape ``(num_items, count)``."""
        similarities = self.vectors @ self.vectors.T
        np.fill_diagonal(similarities, -np.inf)
        return np.argsort(-similarities, axis=1, kind="stable")[:, :count]


def draw_known_items(
    num_users: int,
    num_items: int,
    num_choices: int,
    *,
    num_clusters: int,
    embedding_dim: int = 32,
    spread: float = 0.5,
    temperature: float = 0.1,
    tilt: float = 0.5,
    seed: int = 0,
) -> KnownItems:
    """Return users who choose without repetition among items of known vectors.

    Items lie around cluster centres; a user likes three clusters, and chooses item ``i`` in
    proportion to ``popularity_i · exp(u · v_i / temperature)``. Popularity follows a power law that
    has nothing to do with the vectors.

    Args:
        num_users: Rows.
        num_items: Columns.
        num_choices: Items of each user, at most ``num_items``.
        num_clusters: Centres, at least 3.
        embedding_dim: Of the vectors.
        spread: Length of an item's deviation from its centre, whose length is 1.
        temperature: The smaller, the more a choice is taste rather than chance.
        tilt: Popularity of the r-th item is ``r^−tilt``.
        seed: Same seed, same bits.
    """
    rule = f"num_choices must lie in [1, {num_items}], the number of items"
    require(1 <= num_choices <= num_items, rule, num_choices)
    require(num_clusters >= 3, "num_clusters must be at least 3", num_clusters)
    rng = np.random.default_rng(seed)
    centres = _unit(rng.normal(size=(num_clusters, embedding_dim)))
    deviations = _unit(rng.normal(size=(num_items, embedding_dim)))
    vectors = _unit(centres[rng.integers(num_clusters, size=num_items)] + spread * deviations)
    users = _unit(centres[rng.integers(num_clusters, size=(num_users, 3))].sum(axis=1))
    appeal = -tilt * np.log(rng.permutation(num_items) + 1)
    choices = np.empty((num_users, num_choices), dtype=np.int64)
    for start in range(0, num_users, USERS_AT_ONCE):
        rows = slice(start, start + USERS_AT_ONCE)
        scores = users[rows] @ vectors.T / temperature + appeal
        # The largest of Gumbel-disturbed scores are draws without replacement.
        scores += rng.gumbel(size=scores.shape)
        choices[rows] = np.argsort(-scores, axis=1)[:, :num_choices]
    return KnownItems(choices, vectors.astype(np.float32))


def shared_sub_ids(codes: np.ndarray, neighbours: np.ndarray) -> float:
    """Return the share of sub-ids that items have in common with their neighbours.

    Args:
        codes: Shape ``(num_items, m)``.
        neighbours: Items, shape ``(num_items, count)``.
    """
    return float((codes[:, None] == codes[neighbours]).mean())


def shared_by_chance(codes: np.ndarray) -> float:
    """Return the share of sub-ids that two different items have in common on average."""
    num_items = len(codes)
    shares = []
    for column in codes.T:
        counts = np.bincount(column).astype(np.int64)
        shares.append((counts * (counts - 1)).sum() / (num_items * (num_items - 1)))
    return float(np.mean(shares))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
