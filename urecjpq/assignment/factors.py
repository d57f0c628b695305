"""Truncated SVD of user–item matrices: the factors that codes are taken from.

Why not a library's: at rank 64 on 1,000,000 × 100,000 with 10 million pairs,

| solver | CPU seconds | peak MB | Σσ² |
|---|---|---|---|
| scikit-learn randomized_svd, 7 iterations | 42 | 1589 | 18.84 |
| scipy svds (ARPACK), tolerance 1e-2 | 37 | 1093 | 19.377 |
| Lanczos below, tolerance 1e-2 | 48 | 1153 | 19.345 |
| Lanczos below, tolerance 1e-3 (as set) | 60 | 1153 | 19.377 |

the randomised solver had not converged, and ARPACK, when a Krylov space closes, goes on from a
random state that older scipy keeps between calls, so a second call can give other bits.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, diags
from threadpoolctl import threadpool_limits

from urecjpq.assignment.assignment import require_interactions
from urecjpq.errors import require

POWER = 1.0
"""Exponent of the singular values: 0.5, 1 and 2 were tried on Amazon Baby, on validation."""
SMOOTHING = 5.0
"""Interactions added to every degree: 0, 1, 5 and 20 were tried likewise."""

TOLERANCE = 1e-3
"""Largest relative error of a squared singular value's residual; the values err by its square."""
SMALLEST = 1e-5
"""Singular values below this share of the largest count as zero; vectors are kept in float32."""
MAX_RESTARTS = 50
PARALLEL_PAIRS = 200_000
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
        forward, backward = _RowSlices(tall, pool), _RowSlices(turned, pool)
        if smaller <= max(DENSE_SIDE, 2 * rank):
            right = _exact_right_vectors(tall, rank)
        else:
            right = _lanczos_right_vectors(forward, backward, smaller, rank, seed)
        left, right, values = _polish(forward, backward, right)
    return Factors(right, left, values) if wide else Factors(left, right, values)


def _inverse_root(degrees: np.ndarray) -> np.ndarray:
    roots = np.zeros(len(degrees), dtype=np.float32)
    roots[degrees > 0] = 1 / np.sqrt(degrees[degrees > 0])
    return roots


class _RowSlices:
    """A sparse matrix whose slices of rows multiply side by side.

    The sum of a row is the same however the rows are cut, so the bits depend on no thread count.
    """

    def __init__(self, matrix: csr_matrix, pool: ThreadPoolExecutor) -> None:
        starts, num_rows = matrix.indptr, len(matrix.indptr) - 1
        count = 1 if matrix.nnz < PARALLEL_PAIRS else (os.cpu_count() or 1)
        cuts = np.searchsorted(starts[1:-1], np.linspace(0, matrix.nnz, count + 1)[1:-1])
        self.num_columns: int = matrix.shape[1]  # type: ignore[index]
        self.num_rows = num_rows
        self._map = pool.map
        self._slices = []
        for low, high in pairwise([0, *cuts.tolist(), num_rows]):
            pairs = slice(starts[low], starts[high])
            parts = (
                matrix.data[pairs],
                matrix.indices[pairs],
                starts[low : high + 1] - starts[low],
            )
            self._slices.append(csr_matrix(parts, shape=(high - low, self.num_columns)))

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        wide = vector.astype(np.float64)
        return np.concatenate(list(self._map(lambda rows: rows @ wide, self._slices)))

    def columns(self, vectors: Iterable[np.ndarray], count: int) -> np.ndarray:
        # One vector at a time: it fits in the cache, a block of sixty-four does not.
        images = np.empty((self.num_rows, count), dtype=np.float32)
        for column, vector in enumerate(vectors):
            images[:, column] = self(vector)
        return images


def _exact_right_vectors(tall: csr_matrix, rank: int) -> np.ndarray:
    return np.linalg.eigh((tall.T @ tall).toarray())[1].T[::-1][:rank]


def _lanczos_right_vectors(
    forward: _RowSlices, backward: _RowSlices, size: int, rank: int, seed: int
) -> np.ndarray:
    """Thick-restart Lanczos on ``AᵀA`` with full reorthogonalisation; rows are the vectors."""
    rng = np.random.default_rng(seed)
    width = min(max(2 * rank, rank + 24), size)
    kept = rank + (width - rank) // 4
    basis = np.zeros((width + 1, size), dtype=np.float32)
    basis[0] = _unit(rng.standard_normal(size, dtype=np.float32))
    projected = np.zeros((width, width))
    start = 0
    for _ in range(MAX_RESTARTS):
        residual = 0.0
        for step in range(start, width):
            image = backward(forward(basis[step])).astype(np.float32)
            known = basis[: step + 1]
            weights = _orthogonalise(image, known)
            projected[step, : step + 1] = projected[: step + 1, step] = weights
            residual = float(np.linalg.norm(image))
            if residual <= 1e-6 * projected.diagonal().max():
                # The space is closed: go on in a fresh direction that is not coupled to it.
                residual = 0.0
                image = _unit(rng.standard_normal(size, dtype=np.float32))
                _orthogonalise(image, known)
            basis[step + 1] = _unit(image)
        values, turn = np.linalg.eigh(projected)
        values, turn = values[::-1], turn[:, ::-1]
        basis[:kept] = turn[:, :kept].T.astype(np.float32) @ basis[:width]
        errors = residual * np.abs(turn[-1, :rank])
        if (errors <= TOLERANCE * np.maximum(values[:rank], 1e-6 * values[0])).all():
            break
        basis[kept] = basis[width]
        projected[:] = 0
        projected[range(kept), range(kept)] = values[:kept]
        start = kept
    return basis[:rank]


def _orthogonalise(vector: np.ndarray, known: np.ndarray) -> np.ndarray:
    # Twice is enough: a second pass removes what rounding left of the first.
    weights = known @ vector
    vector -= weights @ known
    correction = known @ vector
    vector -= correction @ known
    return weights + correction


def _polish(
    forward: _RowSlices, backward: _RowSlices, right: np.ndarray
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


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _normalise(columns: np.ndarray) -> np.ndarray:
    norms = np.sqrt(np.einsum("nr,nr->r", columns, columns, dtype=np.float64)).astype(np.float32)
    columns /= np.where(norms > 0, norms, 1)
    return norms


def _sum_of_cubes(columns: np.ndarray) -> np.ndarray:
    return np.einsum("nr,nr,nr->r", columns, columns, columns, dtype=np.float64)
