"""Ranking metrics, one number per user."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.errors import require


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
    check_lists(item_ids, relevant.get_shape(), ks)
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


def check_lists(item_ids: np.ndarray, shape: Sequence[int], ks: Sequence[int]) -> None:
    """Refuse lists that are not one per query, of items that are there, or cut too short."""
    rule = "item_ids must have one row per query"
    require(item_ids.ndim == 2 and len(item_ids) == shape[0], rule, item_ids.shape)
    width = item_ids.shape[1]
    rule = f"ks must lie in 1 … {width}, the length of the lists"
    require(len(ks) > 0 and all(1 <= k <= width for k in ks), rule, tuple(ks))
    extremes = (int(item_ids.min()), int(item_ids.max())) if item_ids.size else (-1, -1)
    rule = f"item_ids must lie in -1 … {shape[1] - 1}"
    require(extremes[0] >= -1 and extremes[1] < shape[1], rule, extremes)
