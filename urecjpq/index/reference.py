"""The answers that every kernel must give bit for bit, in NumPy; slow, and used without a compiler.

float32 sums have one order everywhere: a sub-score adds its products dimension by dimension, a
score adds its sub-scores split by split, each sum begins with its first term, and nothing is fused.
"""

import numpy as np

CHUNK = 2**16  # items scored at once


def score_table(queries: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the sub-scores of all centroids. Shape ``(q, m, b)``.

    Args:
        queries: float32. Shape ``(q, d)``.
        columns: Centroids, float32. Shape ``(m, d/m, b)``.
    """
    m, split_dim, _ = columns.shape
    parts = queries.reshape(len(queries), m, split_dim, 1)
    with np.errstate(all="ignore"):  # an overflow is refused by the caller
        tables = parts[:, :, 0] * columns[:, 0]
        for dimension in range(1, split_dim):
            tables += parts[:, :, dimension] * columns[:, dimension]
    return tables


def code_scores(tables: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the score of every item for every query. Shape ``(q, n)``.

    Args:
        tables: Shape ``(q, m, b)``.
        codes: Shape ``(n, m)``.
    """
    with np.errstate(over="ignore"):  # sums beyond float32 are infinite, as in the kernels
        scores = tables[:, 0].take(codes[:, 0], axis=1)
        for split in range(1, codes.shape[1]):
            scores += tables[:, split].take(codes[:, split], axis=1)
    return scores


def vector_scores(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return products in eight partial sums, then pairs of them. Shape ``(q, n)``.

    Args:
        queries: Shape ``(q, d8)``, ``d8`` a multiple of 8.
        vectors: Shape ``(n, d8)``.
    """
    sums = queries[:, None, :8] * vectors[:, :8]
    for start in range(8, vectors.shape[1], 8):
        sums += queries[:, None, start : start + 8] * vectors[:, start : start + 8]
    sums = sums[:, :, :4] + sums[:, :, 4:]
    return (sums[:, :, 0] + sums[:, :, 2]) + (sums[:, :, 1] + sums[:, :, 3])


def best(ids: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best of candidates, equals by id; -1 and -inf where they ran out.

    Args:
        ids: -1 marks what is no candidate. Shape ``(q, n)``.
        scores: Shape ``(q, n)``.
        k: Length of the lists.
    """
    scores = np.where(ids < 0, np.float32(-np.inf), scores)
    last = np.iinfo(np.int64).max
    order = np.lexsort((np.where(ids < 0, last, ids), -scores))[:, :k]
    missing = k - order.shape[1]
    ids, scores = (np.take_along_axis(values, order, 1) for values in (ids, scores))
    return (
        np.pad(ids, ((0, 0), (0, missing)), constant_values=-1),
        np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf),
    )
