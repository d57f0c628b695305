"""Truncated SVD of user–item matrices: the factors that codes are taken from."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, diags
from threadpoolctl import threadpool_limits

from urecjpq.assignment.assignment import require_interactions
from urecjpq.assignment.lanczos import RowSlices, lanczos_right_vectors
from urecjpq.errors import require

POWER = 1.0
"""Exponent of the singular values: 0.5, 1 and 2 were tried on Amazon Baby, on validation."""
SMOOTHING = 5.0
"""Interactions added to every degree: 0, 1, 5 and 20 were tried likewise."""

SMALLEST = 1e-5
"""Singular values below this share of the largest count as zero; vectors are kept in float32."""
DENSE_SIDE = 1000
"""Up to this many rows on the smaller side, the Gram matrix is decomposed exactly."""


class Factors(NamedTuple):
    """Leading singular triplets of a user–item matrix, largest singular value first.

    Args:
        user_factors: Unit columns, float32, shape ``(num_users, rank)``.
        item_factors: Unit columns, float32, shape ``(num_items, rank)``.
        singular_values: float32, shape ``(rank,)``; 0 (and zero columns) past the matrix' rank.
    """

    user_factors: np.ndarray
    item_factors: np.ndarray
    singular_values: np.ndarray

    def vectors(self, power: float = POWER) -> tuple[np.ndarray, np.ndarray]:
        """Return user and item vectors ``factors · σ^power``, leading directions first.

        Cut into splits as they are: on Amazon Baby neither a random rotation nor OPQ's eigenvalue
        allocation, which both spread the variance over the splits, kept as much Recall@20.

        Args:
            power: Exponent of the singular values; at 0.5 the dot products approximate the matrix.

        Returns:
            float32 arrays. Shapes ``(num_users, rank)`` and ``(num_items, rank)``.
        """
        stretch = np.zeros_like(self.singular_values)
        present = self.singular_values > 0
        stretch[present] = self.singular_values[present] ** power
        return self.user_factors * stretch, self.item_factors * stretch


def normalised_factors(
    interactions: csr_matrix, rank: int, seed: int = 0, *, smoothing: float = SMOOTHING
) -> Factors:
    """Return the leading factors of ``(D_u + s)^-1/2 R (D_i + s)^-1/2``, both sides from one SVD.

    Weighting each pair by both degrees keeps popular items from filling every direction; it is
    the matrix that LightGCN propagates with. Users and items without interactions get zeros.

    Args:
        interactions: Training pairs ``R``. Shape ``(num_users, num_items)``.
        rank: Number of factors, at most the smaller side.
        seed: Of the start block; signs do not depend on it.
        smoothing: ``s``, interactions added to every degree. At 0 small, almost separate groups
            (four items that share their few users) fill leading directions; a few interactions
            push those back behind directions that many users share.

    Returns:
        The factors; a call with the transpose returns the same ones with the sides swapped.

    Raises:
        InputError: ``rank`` exceeds the smaller side, the matrix is empty, or ``smoothing`` is
            negative.

    Source: the smoothed degrees are those of regularised spectral clustering, Amini et al.,
    Annals of Statistics 2013 (arXiv:1207.2340).
    """
    require_interactions(interactions)
    require(smoothing >= 0, "smoothing must not be negative", smoothing)
    user_degrees = np.asarray(interactions.sum(axis=1)).ravel() + np.float32(smoothing)
    item_degrees = np.asarray(interactions.sum(axis=0)).ravel() + np.float32(smoothing)
    matrix = diags(_inverse_root(user_degrees)) @ interactions @ diags(_inverse_root(item_degrees))
    return truncated_svd(csr_matrix(matrix, dtype=np.float32), rank, seed)


def truncated_svd(matrix: csr_matrix, rank: int, seed: int = 0) -> Factors:
    """Return the ``rank`` leading singular triplets with fixed signs, same bits on any threads.

    Rows (columns) that are equal get equal factors, and empty ones exactly zero. The sign of each
    pair makes the sum of cubes over both sides positive, so it survives transposition and any
    reordering of users or items.

    Args:
        matrix: Any sparse matrix. Shape ``(num_users, num_items)``.
        rank: At most the smaller side.
        seed: Of the start block.

    Raises:
        InputError: ``rank`` exceeds the smaller side, or the matrix is empty.
    """
    num_users, num_items = require_interactions(matrix)
    smaller = min(num_users, num_items)
    require(
        1 <= rank <= smaller,
        f"rank must lie in [1, {smaller}], the smaller side of the matrix",
        rank,
        "Ask for fewer factors.",
    )
    # Always with the smaller side as columns: a matrix and its transpose take the same path.
    wide = num_users < num_items
    tall = csr_matrix(matrix.T if wide else matrix, dtype=np.float64)
    tall.sum_duplicates()
    turned = csr_matrix(tall.T)
    turned.sort_indices()
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        forward, backward = RowSlices(tall, pool), RowSlices(turned, pool)
        if smaller <= max(DENSE_SIDE, 2 * rank):
            right = _exact_right_vectors(tall, rank)
        else:
            right = lanczos_right_vectors(forward, backward, smaller, rank, seed)
        left, right, values = _polish(forward, backward, right)
    return Factors(right, left, values) if wide else Factors(left, right, values)


def _inverse_root(degrees: np.ndarray) -> np.ndarray:
    roots = np.zeros(len(degrees), dtype=np.float32)
    roots[degrees > 0] = 1 / np.sqrt(degrees[degrees > 0])
    return roots


def _exact_right_vectors(tall: csr_matrix, rank: int) -> np.ndarray:
    return np.linalg.eigh((tall.T @ tall).toarray())[1].T[::-1][:rank]


def _polish(
    forward: RowSlices, backward: RowSlices, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Both sides end as a product with the sparse matrix: equal rows get equal bits, empty ones 0.
    left = forward.columns(right, len(right))
    lengths = _normalise(left)
    # Past the matrix' rank the image is rounding only, and its direction means nothing.
    left[:, lengths <= SMALLEST * lengths.max()] = 0
    right = backward.columns(left.T, left.shape[1])
    values = _normalise(right)
    order = np.argsort(-values, kind="stable")
    left, right, values = left[:, order], right[:, order], values[order]
    skew = _sum_of_cubes(left) + _sum_of_cubes(right)
    signs = np.where(skew < 0, -1, 1).astype(np.float32)
    left *= signs
    right *= signs
    return left, right, values


def _normalise(columns: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("nr,nr->r", columns, columns, dtype=np.float64)).astype(np.float32)
    columns /= np.where(norms > 0, norms, 1)
    return norms


def _sum_of_cubes(columns: np.ndarray) -> np.ndarray:
    return np.einsum("nr,nr,nr->r", columns, columns, columns, dtype=np.float64)
