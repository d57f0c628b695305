"""Which items stand near each other in histories: pairs for codes of sequential models."""

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.errors import require


def nearby_pairs(starts: np.ndarray, items: np.ndarray, num_items: int, window: int) -> csr_matrix:
    """Return how often two items stand at most ``window`` places apart, near ones counting more.

    Two items ``k`` places apart in a history add ``1 / k`` to both of their entries.

    Args:
        starts: Histories are ``items[starts[u]:starts[u + 1]]``, oldest first. int64, shape
            ``(num_users + 1,)``.
        items: Item rows, int64, shape ``(num_actions,)``.
        num_items: Rows and columns of the result.
        window: At least 1.

    Returns:
        Symmetric, float32, shape ``(num_items, num_items)``; the factors of
        `normalised_factors` are taken of it as of any matrix of pairs.

    Raises:
        InputError: ``window`` is below 1.

    Source: weights by distance as in GloVe, Pennington et al., EMNLP 2014. RecJPQ
    (arXiv:2312.06165) takes its codes from user–item pairs, which know no order.
    """
    require(window >= 1, "window must be at least 1", window)
    users = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    total = csr_matrix((num_items, num_items), dtype=np.float32)
    for places in range(1, min(window, len(items) - 1) + 1):
        together = users[places:] == users[:-places]
        pair = items[:-places][together], items[places:][together]
        weights = np.full(len(pair[0]), 1 / places, dtype=np.float32)
        total += csr_matrix((weights, pair), shape=total.shape)
    return csr_matrix(total + total.T)
