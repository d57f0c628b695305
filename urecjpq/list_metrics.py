"""What recommended lists look like as a whole, and whose items they find."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.data.catalogue import Features
from urecjpq.errors import require
from urecjpq.metrics import check_lists, user_metrics

LIST_METRICS = ("coverage", "gini", "novelty")
LONG_TAIL = 5  # training interactions; an item with fewer is in the long tail


def list_metrics(
    item_ids: np.ndarray,
    popularity: np.ndarray,
    ks: Sequence[int],
    names: Sequence[str] = LIST_METRICS,
) -> dict[str, float]:
    """Return coverage, Gini of exposure and novelty of all lists together.

    Coverage is the share of items that are in any list. Gini is 0 where every item is listed
    equally often and (n-1)/n where one item takes all. Novelty is the mean of -log2 of an item's
    share of the training interactions; an item never seen counts as seen once.

    Args:
        item_ids: Ranked items, padded with -1. Shape ``(num_queries, K)``.
        popularity: Training interactions per item. Shape ``(num_items,)``.
        ks: Cuts, each in 1 … K.
        names: Metrics out of `LIST_METRICS`.
    """
    unknown = sorted(set(names) - set(LIST_METRICS))
    require(not unknown, f"names must be out of {', '.join(LIST_METRICS)}", ", ".join(unknown))
    check_lists(item_ids, (len(item_ids), len(popularity)), ks)
    surprise = -np.log2(np.maximum(popularity, 1) / max(popularity.sum(), 1))
    values = {}
    for k in ks:
        listed = item_ids[:, :k]
        exposure = np.bincount(listed[listed >= 0], minlength=len(popularity))
        found = {
            "coverage": (exposure > 0).mean(),
            "gini": gini(exposure),
            "novelty": exposure @ surprise / max(exposure.sum(), 1),
        }
        values |= {f"{name}@{k}": float(found[name]) for name in names}
    return values


def gini(exposure: np.ndarray) -> float:
    """Return how unequal the counts are: 0 equal … (n-1)/n all in one place, 0 if all are zero."""
    n, total = len(exposure), exposure.sum()
    if total == 0:
        return 0.0
    ranks = np.arange(1, n + 1)
    return float(2.0 * (ranks @ np.sort(exposure)) / (n * total) - (n + 1) / n)


def popularity_bands(popularity: np.ndarray) -> dict[str, np.ndarray]:
    """Return a mask per band: tail (fewer than five training interactions), head and torso.

    The head is the most popular items that together hold half of the training interactions,
    items equal to the last of them included, but never an item of the tail; the torso is the rest.

    Args:
        popularity: Training interactions per item. Shape ``(num_items,)``.
    """
    descending = np.sort(popularity)[::-1]
    last = np.searchsorted(descending.cumsum(), popularity.sum() / 2)
    tail = popularity < LONG_TAIL
    head = (popularity >= descending[last]) & ~tail
    return {"head": head, "torso": ~(head | tail), "tail": tail}


def band_recall(
    item_ids: np.ndarray, relevant: csr_matrix, popularity: np.ndarray, ks: Sequence[int]
) -> dict[str, float]:
    """Return Recall@K as ``{"recall_tail@20": …}`` where only one band's items count as relevant.

    Each is a mean over the users with a relevant item in that band; an empty band is left out.

    Args:
        item_ids: Ranked items, padded with -1. Shape ``(num_queries, K)``.
        relevant: Relevant items of each query. Shape ``(num_queries, num_items)``.
        popularity: Training interactions per item. Shape ``(num_items,)``.
        ks: Cuts, each in 1 … K.
    """
    values = {}
    for band, inside in popularity_bands(popularity).items():
        keep = inside[relevant.indices]
        counts = np.add.reduceat(np.append(keep, False), relevant.indptr[:-1], dtype=np.int64)
        counts[np.diff(relevant.indptr) == 0] = 0
        indptr = np.concatenate([[0], counts.cumsum()])
        parts = (relevant.data[keep], relevant.indices[keep], indptr)
        per_user = user_metrics(item_ids, csr_matrix(parts, relevant.shape), ks, ["recall"])
        if counts.any():
            values |= {f"recall_{band}@{k}": float(per_user[f"recall@{k}"].mean()) for k in ks}
    return values


def diversity(item_ids: np.ndarray, features: Features, ks: Sequence[int]) -> dict[int, float]:
    """Return 1 - mean cosine between two items of one list, averaged over users, by K.

    Items without features are passed over; lists with fewer than two others are left out.
    The mean over pairs is (‖Σv‖² - n) / (n(n-1)) for unit vectors v, so no pair is formed.

    Args:
        item_ids: Ranked items, padded with -1. Shape ``(num_queries, K)``.
        features: What the items look or read like; values finite. Shape ``(num_items, f)``.
        ks: Cuts, each in 1 … K.

    Returns:
        Numbers in [0, 2]; 0.0 for a cut at which no list has two items with features.
    """
    shape = (len(item_ids), len(features.present))
    check_lists(item_ids, shape, ks)
    used = np.unique(item_ids[item_ids >= 0])
    used = used[np.asarray(features.present)[used]]
    vectors = np.asarray(features.rows(used), dtype=np.float32)
    norms = np.sqrt(np.einsum("nf,nf->n", vectors, vectors))
    vectors /= np.where(norms > 0, norms, 1.0)[:, None]
    rows = np.full(shape[1] + 1, -1)  # the last entry answers for the padding -1
    rows[used[norms > 0]] = np.flatnonzero(norms > 0)
    return {k: _mean_distance(rows[item_ids[:, :k]], vectors) for k in ks}


def _mean_distance(rows: np.ndarray, vectors: np.ndarray, block: int = 2048) -> float:
    distances = []
    for start in range(0, len(rows), block):
        listed = rows[start : start + block]
        counts = (listed >= 0).sum(1)
        indptr = np.concatenate([[0], counts.cumsum()])
        chosen = listed[listed >= 0]
        ones = np.ones(len(chosen), dtype=np.float32)
        sums = csr_matrix((ones, chosen, indptr), (len(listed), len(vectors))) @ vectors
        squared = np.einsum("nf,nf->n", sums, sums, dtype=np.float64)
        pairs = counts * (counts - 1)
        distances.append(1.0 - (squared - counts)[pairs > 0] / pairs[pairs > 0])
    found = np.concatenate(distances) if distances else np.empty(0)
    return float(found.mean()) if len(found) else 0.0
