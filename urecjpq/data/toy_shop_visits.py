"""Who touches what in the generated shop, and when."""

from typing import NamedTuple

import numpy as np

from urecjpq.data.toy_shop_items import NUM_CROWDS, Items
from urecjpq.data.toy_shop_words import CATEGORIES, COLOURS, PATTERNS

MIN_HISTORY = 5
HOUR, DAY = 3600, 86400
OPENING_DAY = 1_704_067_200  # 2024-01-01, UTC
# Bounds the memory of the largest array, whatever the size of the shop: 16 MB of float32.
SCORES_PER_BLOCK = 4_000_000
# Trait: (number of kinds, how many of them a user likes, factor e ** gain on the liked ones).
TASTES = {
    "category": (len(CATEGORIES), 2, 4.0),
    "colour": (len(COLOURS), 2, 2.0),
    "pattern": (len(PATTERNS), 2, 1.0),
    "crowd": (NUM_CROWDS, 2, 2.5),
}
# How many pairs an item without buyers may choose from: more fits taste better, and takes longer.
OFFERS = 32


class Visits(NamedTuple):
    """Interactions by user and time; the field names are the columns of the file."""

    userID: np.ndarray
    itemID: np.ndarray
    timestamp: np.ndarray
    x_label: np.ndarray


def draw_visits(
    items: Items,
    num_users: int,
    num_interactions: int,
    taste_strength: float,
    rng: np.random.Generator,
) -> Visits:
    """Draw each user's distinct items, put them in order of time, and hold the newest back.

    An item is chosen in proportion to its popularity times the user's taste for each trait.

    Args:
        items: The goods, ``num_items`` of them.
        num_users: Users, at least 1.
        num_interactions: Pairs in all.
        taste_strength: Power to which tastes are raised, at least 0.
        rng: Source of all chance.

    Returns:
        Pairs ordered by user, then time. Each column has shape ``(num_interactions,)``.
    """
    tastes = draw_tastes(num_users, taste_strength, rng)
    counts = draw_counts(num_users, num_interactions, len(items.popularity) // 2, rng)
    users, chosen = draw_histories(items, tastes, counts, rng)
    # The draw finds well-liked items first; time must not tell, or the test would be the dregs.
    order = np.lexsort((rng.random(len(users)), users))
    users, chosen = users[order], chosen[order]
    place = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    labels = label_partitions(place, counts[users])
    chosen = cover_items(users, chosen, labels, items, tastes, rng)
    return Visits(users, chosen, draw_timestamps(place, users, num_users, rng), labels)


def draw_tastes(
    num_users: int, taste_strength: float, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return per trait what a user multiplies popularity by, shape ``(num_users, kinds)``."""
    tastes = {}
    for trait, (kinds, liked, gain) in TASTES.items():
        favourites = rng.random((num_users, kinds)).argsort(axis=1, kind="stable")[:, :liked]
        factors = np.ones((num_users, kinds), dtype=np.float32)
        np.put_along_axis(factors, favourites, np.float32(np.exp(taste_strength * gain)), axis=1)
        tastes[trait] = factors
    return tastes


def draw_counts(
    num_users: int, num_interactions: int, most: int, rng: np.random.Generator
) -> np.ndarray:
    """Return long-tailed history lengths in ``[MIN_HISTORY, most]`` that sum exactly."""
    eagerness = rng.lognormal(sigma=0.8, size=num_users)
    counts = np.full(num_users, MIN_HISTORY)
    while missing := num_interactions - counts.sum():
        open_users = np.where(counts < most, eagerness, 0.0)
        more = rng.multinomial(missing, open_users / open_users.sum())
        counts = np.minimum(counts + more, most)
    return counts


def draw_histories(
    items: Items, tastes: dict[str, np.ndarray], counts: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``counts[u]`` distinct items per user in proportion to their weights.

    Exponential waiting times divided by the weights: the first ``n`` arrivals are a weighted sample
    without replacement. It is the Gumbel top-k trick without its two logarithms.

    Returns:
        Users and items of all pairs in no useful order. Shape ``(num_interactions,)`` each.
    """
    # Users with histories of like length share a block, so that few surplus arrivals are sorted.
    order = np.argsort(counts, kind="stable")
    block = max(1, SCORES_PER_BLOCK // len(items.popularity))
    pairs = [
        _first_arrivals(items, tastes, rows, counts[rows], rng)
        for rows in np.split(order, range(block, len(order), block))
    ]
    users, chosen = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return users, chosen


def _first_arrivals(
    items: Items,
    tastes: dict[str, np.ndarray],
    rows: np.ndarray,
    counts: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    shape = (len(rows), len(items.popularity))
    arrivals = rng.standard_exponential(shape, dtype=np.float32)
    arrivals /= items.popularity
    for trait, factors in tastes.items():
        arrivals /= factors[rows].take(getattr(items, trait), axis=1)
    longest = counts.max()
    first = np.argpartition(arrivals, longest - 1, axis=1)[:, :longest]
    ranked = np.take_along_axis(arrivals, first, axis=1).argsort(axis=1, kind="stable")
    first = np.take_along_axis(first, ranked, axis=1)
    return np.repeat(rows, counts), first[np.arange(longest) < counts[:, None]]


def label_partitions(place: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return 2 (test) for the newest tenth of a history, 1 (valid) for the tenth before, else 0.

    Args:
        place: Position of the pair in its user's history, from 0, shape ``(n,)``.
        counts: Length of that history, at least 5, shape ``(n,)``.
    """
    held_back = np.maximum(1, counts // 10)
    from_end = counts - 1 - place
    return (from_end < held_back).astype(np.int8) + (from_end < 2 * held_back)


def cover_items(
    users: np.ndarray,
    chosen: np.ndarray,
    labels: np.ndarray,
    items: Items,
    tastes: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Give every item without a training pair one that another item can spare.

    Each takes, of some offered pairs, the one whose user likes it best. Where pairs are too few,
    some items stay without.
    """
    num_items = len(items.popularity)
    train = np.flatnonzero(labels == 0)
    seen, first = np.unique(chosen[train], return_index=True)
    lonely = np.setdiff1d(np.arange(num_items), seen)
    spare = rng.permutation(np.delete(train, first))
    lonely = rng.permutation(lonely)[: len(spare)]
    if not len(lonely):
        return chosen
    offers = min(OFFERS, len(spare) // len(lonely))
    offered = spare[: offers * len(lonely)].reshape(offers, len(lonely))
    liking = np.ones(offered.shape, dtype=np.float32)
    for trait, factors in tastes.items():
        liking *= factors[users[offered], getattr(items, trait)[lonely]]
    # A user who has the item in valid or test must not get it twice.
    owned = np.isin(users[offered] * num_items + lonely, users * num_items + chosen)
    best = np.where(owned, -1.0, liking).argmax(axis=0)
    taken = np.flatnonzero(~owned[best, np.arange(len(lonely))])
    covered = chosen.copy()
    covered[offered[best[taken], taken]] = lonely[taken]
    return covered


def draw_timestamps(
    place: np.ndarray, users: np.ndarray, num_users: int, rng: np.random.Generator
) -> np.ndarray:
    """Return seconds since 1970, rising strictly within each user's history, int64."""
    waits = HOUR + rng.exponential(5 * DAY, size=len(users)).astype(np.int64)
    elapsed = np.cumsum(waits)
    arrival = OPENING_DAY + rng.integers(365 * DAY, size=num_users)
    before = np.flatnonzero(place == 0)
    return arrival[users] + elapsed - elapsed[before][users]
