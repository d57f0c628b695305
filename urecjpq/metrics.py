"""Ranking metrics per user, and what the lists as a whole look like."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.data.catalogue import Features
from urecjpq.errors import require

LONG_TAIL = 5  # training interactions; an item with fewer is in the long tail


def recall(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Return hits / |relevant|."""
    return hits.sum(1) / num_relevant


def precision(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Return hits / K, also where fewer than K candidates exist."""
    return hits.sum(1) / hits.shape[1]


def hit_rate(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Return 1 where at least one relevant item is listed, else 0."""
    return np.where(hits.any(1), 1.0, 0.0)


def reciprocal_rank(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Return 1 / place of the first relevant item, 0 if none is listed."""
    return np.where(hits.any(1), 1.0 / (hits.argmax(1) + 1), 0.0)


def average_precision(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Return the mean of Precision@place over the hits, divided by min(K, |relevant|).

    trec_eval's ``map_cut`` divides by |relevant|, so there a list full of hits may stay below 1.
    """
    places = np.arange(1, hits.shape[1] + 1)
    precisions = hits * (hits.cumsum(1) / places)
    return precisions.sum(1) / np.minimum(hits.shape[1], num_relevant)


def ndcg(hits: np.ndarray, num_relevant: np.ndarray) -> np.ndarray:
    """Return Σ 1/log2(place + 1) over the hits, by that of min(K, |relevant|) leading hits."""
    k = hits.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    # cumsum on both sides adds in the same order, so a perfect list gives exactly 1.
    gained = (hits * discounts).cumsum(1)[:, -1]
    return gained / discounts.cumsum()[np.minimum(k, num_relevant) - 1]


USER_METRICS = {
    "recall": recall,
    "ndcg": ndcg,
    "hr": hit_rate,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "precision": precision,
}
LIST_METRICS = ("coverage", "gini", "novelty")


def user_metrics(
    item_ids: np.ndarray,
    relevant: csr_matrix,
    ks: Sequence[int],
    names: Sequence[str] = tuple(USER_METRICS),
) -> dict[str, np.ndarray]:
    """Return every metric at every K, one number per user with at least one relevant item.

    Args:
        item_ids: Ranked items, best first, none twice, padded with -1. Shape ``(num_queries, K)``.
        relevant: Stored entries are the relevant items. Shape ``(num_queries, num_items)``.
        ks: Cuts, each in 1 … K.
        names: Metrics out of `USER_METRICS`.

    Returns:
        ``{"recall@20": …}``, float64 in [0, 1], in the order of the queries; queries without
        relevant items are left out. Shape ``(num_evaluated,)`` each.
    """
    unknown = sorted(set(names) - set(USER_METRICS))
    require(not unknown, f"names must be out of {', '.join(USER_METRICS)}", ", ".join(unknown))
    _check_lists(item_ids, relevant.get_shape(), ks)
    relevant = _canonical(relevant)
    num_relevant = np.diff(relevant.indptr)
    judged = num_relevant > 0
    hits, num_relevant = find_hits(item_ids, relevant)[judged], num_relevant[judged]
    return {f"{n}@{k}": USER_METRICS[n](hits[:, :k], num_relevant) for n in names for k in ks}


def find_hits(item_ids: np.ndarray, relevant: csr_matrix) -> np.ndarray:
    """Return where a ranked item is relevant to its user, bool. Shape ``(num_queries, K)``."""
    relevant = _canonical(relevant)
    offsets = np.arange(len(item_ids), dtype=np.int64) * relevant.get_shape()[1]
    keys = relevant.indices + np.repeat(offsets, np.diff(relevant.indptr))
    if not len(keys):
        return np.zeros(item_ids.shape, dtype=bool)
    wanted = item_ids + offsets[:, None]
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    # -1 plus an offset is the last item of the row above, hence the second condition.
    return (keys[places] == wanted) & (item_ids >= 0)


def _canonical(relevant: csr_matrix) -> csr_matrix:
    """Return the matrix with sorted columns, each once, without touching the caller's."""
    if relevant.has_canonical_format:
        return relevant
    relevant = relevant.copy()
    relevant.sum_duplicates()
    return relevant


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
    _check_lists(item_ids, (len(item_ids), len(popularity)), ks)
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
    _check_lists(item_ids, shape, ks)
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


def _check_lists(item_ids: np.ndarray, shape: Sequence[int], ks: Sequence[int]) -> None:
    rule = "item_ids must have one row per query"
    require(item_ids.ndim == 2 and len(item_ids) == shape[0], rule, item_ids.shape)
    width = item_ids.shape[1]
    rule = f"ks must lie in 1 … {width}, the length of the lists"
    require(len(ks) > 0 and all(1 <= k <= width for k in ks), rule, tuple(ks))
    extremes = (int(item_ids.min()), int(item_ids.max())) if item_ids.size else (-1, -1)
    rule = f"item_ids must lie in -1 … {shape[1] - 1}"
    require(extremes[0] >= -1 and extremes[1] < shape[1], rule, extremes)
