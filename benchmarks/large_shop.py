"""The toy shop at millions of items: the generator's own laws, without a weight per user and item.

Items, tastes, history lengths, labels and the coverage of rare items come from the functions of
`urecjpq.data`; titles and pictures are not made. Only histories are drawn here: the generator gives
every item an arrival time for every user, hours at this size. Items with the same four traits are
one group to every user, so it is enough to draw a group, then an item of it by popularity, and to
pass over what the user already has. Same law of the shop, other draws.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.data import toy_shop_visits as visits
from urecjpq.data.toy_shop_items import Items, draw_items

USERS_PER_BLOCK = 1000
Tastes = dict[str, np.ndarray]


class Groups(NamedTuple):
    """Items in the order of their groups, and where each group lies on the line of popularity.

    Args:
        items: Item ids, group by group. Shape ``(num_items,)``.
        ends: Where an item's popularity ends, all items laid end to end. Shape ``(num_items,)``.
        edges: Where groups begin and end on the same line. Shape ``(num_groups + 1,)``.
        traits: The kind of each trait that a group has. Shape ``(num_groups,)`` each.
    """

    items: np.ndarray
    ends: np.ndarray
    edges: np.ndarray
    traits: dict[str, np.ndarray]


def draw_shop(num_users: int, num_items: int, num_pairs: int) -> tuple[csr_matrix, csr_matrix]:
    """Return the train and the valid matrix. Shapes ``(num_users, num_items)``."""
    rng = np.random.default_rng(0)
    items = draw_items(num_items, rng)
    tastes = visits.draw_tastes(num_users, 1.0, rng)
    counts = visits.draw_counts(num_users, num_pairs, num_items // 2, rng)
    users, chosen = draw_histories(items, tastes, counts, rng)
    order = np.lexsort((rng.random(len(users)), users))
    users, chosen = users[order], chosen[order]
    labels = visits.label_partitions(_places(counts), counts[users])
    chosen = visits.cover_items(users, chosen, labels, items, tastes, rng)

    def matrix(label: int) -> csr_matrix:
        pairs = (users[labels == label], chosen[labels == label])
        ones = np.ones(len(pairs[0]), dtype=np.float32)
        return csr_matrix((ones, pairs), shape=(num_users, num_items))

    return matrix(0), matrix(1)


def draw_histories(
    items: Items, tastes: Tastes, counts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``counts[u]`` distinct items per user in proportion to popularity times tastes.

    Returns:
        Users and items, by user. Shape ``(counts.sum(),)`` each.
    """
    groups = _group(items, tastes)
    users = np.arange(len(counts))
    blocks = np.split(users, range(USERS_PER_BLOCK, len(users), USERS_PER_BLOCK))
    chosen = [_distinct(groups, tastes, block, counts[block], rng) for block in blocks]
    return np.repeat(users, counts), np.concatenate(chosen)


def _group(items: Items, tastes: Tastes) -> Groups:
    kinds = [factors.shape[1] for factors in tastes.values()]
    number = math.prod(kinds)
    group_of = np.asarray(np.ravel_multi_index([getattr(items, t) for t in tastes], kinds))
    by_group = np.argsort(group_of, kind="stable")
    ends = np.cumsum(items.popularity[by_group], dtype=np.float64)
    last = np.searchsorted(group_of[by_group], np.arange(number), side="right")
    edges = np.concatenate([[0.0], np.concatenate([[0.0], ends])[last]])
    traits = np.unravel_index(np.arange(number), kinds)
    return Groups(by_group, ends, edges, dict(zip(tastes, traits, strict=True)))


def _distinct(
    groups: Groups, tastes: Tastes, users: np.ndarray, counts: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the first ``counts`` different items that are drawn for each user, by user."""
    shares = _shares(groups, tastes, users)
    owner = chosen = np.empty(0, dtype=np.int64)
    missing = counts
    while missing.any():
        more = np.where(missing > 0, 2 * missing + 4, 0)
        fresh = np.repeat(np.arange(len(users)), more)
        owner = np.concatenate([owner, fresh])
        chosen = np.concatenate([chosen, _draw(groups, shares, fresh, rng)])
        _, first = np.unique(owner * 2**32 + chosen, return_index=True)
        first.sort()
        first = first[np.argsort(owner[first], kind="stable")]
        have = np.bincount(owner[first], minlength=len(users))
        kept = first[_places(have) < counts[owner[first]]]
        owner, chosen = owner[kept], chosen[kept]
        missing = (counts - have).clip(min=0)
    return chosen


def _shares(groups: Groups, tastes: Tastes, users: np.ndarray) -> np.ndarray:
    """Return the chance that a user draws a group or one before it. Shape ``(users, groups)``."""
    weights = np.tile(np.diff(groups.edges), (len(users), 1))
    for trait, factors in tastes.items():
        weights *= factors[users][:, groups.traits[trait]]
    shares = np.cumsum(weights, axis=1)
    return shares / shares[:, -1:]


def _draw(
    groups: Groups, shares: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return an item for each of ``rows``: a group by the row's shares, then an item of it."""
    num_groups = shares.shape[1]
    line = (shares + np.arange(len(shares))[:, None]).ravel()
    found = np.searchsorted(line, rows + rng.random(len(rows)), side="right") - rows * num_groups
    found = np.minimum(found, num_groups - 1)
    places = rng.uniform(groups.edges[found], groups.edges[found + 1])
    inside = np.searchsorted(groups.ends, places, side="right")
    return groups.items[np.minimum(inside, len(groups.items) - 1)]


def _places(counts: np.ndarray) -> np.ndarray:
    """Return 0 … count − 1 for each count, one after the other."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
