"""User–user graphs from items in common."""

import numpy as np
import scipy.sparse as sp

from urecjpq.errors import require

BLOCK = 1024


def common_items_graph(interactions: sp.csr_matrix, k: int = 40) -> sp.csr_matrix:
    """Return the k users with most items in common with each, weighted by softmax of the counts.

    Computed in blocks of users, from the pairs that have an item in common alone; of equal counts
    the lower row comes first. A user who shares no item has an empty row.

    Args:
        interactions: Training matrix, shape ``(num_users, num_items)``.
        k: Length of the lists, at least 1; shorter where fewer users share an item.

    Returns:
        Shape ``(num_users, num_users)``, rows sum to 1; nobody is a neighbour of his own.

    Raises:
        InputError: ``k`` is below 1.

    Source: Wang et al., DualGNN, IEEE TMM 2021, k = 40. MMRec reads the lists from a file that
    another script makes from a dense matrix, and fills short lists by drawing from them again.
    """
    require(k >= 1, "k must be at least 1", k)
    ones = interactions.astype(np.float32)
    items = ones.T.tocsr()
    blocks = [_nearest(ones, items, start, k) for start in range(0, ones.shape[0], BLOCK)]
    return sp.vstack(blocks, format="csr")


def _nearest(ones: sp.csr_matrix, items: sp.csr_matrix, start: int, k: int) -> sp.csr_matrix:
    common = (ones[start : start + BLOCK] @ items).tocoo()
    other = common.row + start != common.col
    rows, users, counts = common.row[other], common.col[other], common.data[other]
    order = np.lexsort((users, -counts, rows))
    rows, users, counts = rows[order], users[order], counts[order]
    lengths = np.bincount(rows, minlength=common.shape[0])
    firsts = np.cumsum(lengths) - lengths
    best = np.arange(len(rows)) - firsts[rows] < k
    # The first of a row is its largest count: no exponential overflows.
    weights = np.exp(counts - counts[firsts[rows]])[best]
    rows, users = rows[best], users[best]
    sums = np.bincount(rows, weights, minlength=common.shape[0])
    weights = (weights / sums[rows]).astype(np.float32)
    return sp.csr_matrix((weights, (rows, users)), shape=common.shape)
