"""Truncated SVD of user–item matrices: the factors that codes are taken from."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy.sparse import csr_matrix, diags
from threadpoolctl import threadpool_limits

from urecjpq.assignment.assignment import require_interactions
from urecjpq.errors import require

Rotation = Literal["none", "balance", "random"]

OVERSAMPLING = 16
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

    def vectors(
        self,
        power: float = 0.5,
        scale: float = 1.0,
        *,
        rotate: Rotation = "none",
        code_length: int = 1,
        seed: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return user and item vectors ``scale · factors · σ^power · Q``.

        Both sides get the same orthogonal ``Q``, so dot products between users and items do not
        depend on it; the quantisation error does, because leading dimensions vary most. The
        choice of ``Q`` uses the singular values or the seed only, never one side's factors:
        calls for either side agree.

        Args:
            power: Exponent of the singular values; at 0.5 the dot products approximate the matrix.
            scale: Multiplies every vector.
            rotate: ``none`` leaves dimensions in the order of their singular values; ``balance``
                deals them to the splits so that the products of their variances are about equal
                (the eigenvalue allocation of OPQ); ``random`` turns by a random orthogonal matrix.
            code_length: Number of splits, for ``balance``; divides the rank.
            seed: Of the random rotation.

        Returns:
            float32 arrays. Shapes ``(num_users, rank)`` and ``(num_items, rank)``.

        Source: Ge et al., Optimized Product Quantization, CVPR 2013 (eigenvalue allocation).
        """
        require(
            rotate in get_args(Rotation),
            f"rotate must be one of {get_args(Rotation)}",
            repr(rotate),
        )
        stretch = np.zeros_like(self.singular_values)
        present = self.singular_values > 0
        stretch[present] = scale * self.singular_values[present] ** power
        users, items = self.user_factors * stretch, self.item_factors * stretch
        if rotate == "balance":
            order = balanced_order(stretch**2, code_length)
            return users[:, order], items[:, order]
        if rotate == "random":
            turn = _random_rotation(len(stretch), seed)
            with threadpool_limits(1):
                return users @ turn, items @ turn
        return users, items


def normalised_factors(interactions: csr_matrix, rank: int, seed: int = 0) -> Factors:
    """Return the leading factors of ``D_u^-1/2 R D_i^-1/2``, users and items from one SVD.

    Weighting each pair by both degrees keeps popular items from filling every direction; it is
    the matrix that LightGCN propagates with. Users and items without interactions get zeros.

    Args:
        interactions: Training pairs ``R``. Shape ``(num_users, num_items)``.
        rank: Number of factors, at most the smaller side.
        seed: Of the start block; signs do not depend on it.

    Returns:
        The factors; a call with the transpose returns the same ones with the sides swapped.

    Raises:
        InputError: ``rank`` exceeds the smaller side, or the matrix is empty.
    """
    require_interactions(interactions)
    user_degrees = np.asarray(interactions.sum(axis=1)).ravel()
    item_degrees = np.asarray(interactions.sum(axis=0)).ravel()
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
    tall = csr_matrix(matrix.T if wide else matrix, dtype=np.float32)
    tall.sum_duplicates()
    turned = csr_matrix(tall.T)
    turned.sort_indices()
    with threadpool_limits(1):
        if smaller <= max(DENSE_SIDE, rank + OVERSAMPLING):
            right = _exact_right_vectors(tall, rank)
        else:
            right = _subspace_right_vectors(tall, turned, smaller, rank, seed)
        left, right, values = _polish(tall, turned, right)
    return Factors(right, left, values) if wide else Factors(left, right, values)


def balanced_order(variances: np.ndarray, code_length: int) -> np.ndarray:
    """Return an order of the dimensions that makes the splits' products of variances about equal.

    Dimensions are dealt from the largest variance down, each to the split with the smallest
    product so far that still has room.
    """
    rank = len(variances)
    require(
        1 <= code_length <= rank and rank % code_length == 0,
        f"code_length must divide the number of dimensions {rank}",
        code_length,
    )
    room = rank // code_length
    floor = max(float(variances.max()), 1e-30) * 1e-12
    # Relative to the smallest, every dimension adds to its split's log-product.
    logs = np.log(np.maximum(variances, floor).astype(np.float64))
    logs -= logs.min()
    splits: list[list[int]] = [[] for _ in range(code_length)]
    products = np.zeros(code_length)
    for dimension in np.argsort(-variances, kind="stable"):
        split = min(
            (k for k in range(code_length) if len(splits[k]) < room), key=lambda k: (products[k], k)
        )
        splits[split].append(int(dimension))
        products[split] += logs[dimension]
    return np.array([dimension for split in splits for dimension in split])


def _inverse_root(degrees: np.ndarray) -> np.ndarray:
    roots = np.zeros(len(degrees), dtype=np.float32)
    roots[degrees > 0] = 1 / np.sqrt(degrees[degrees > 0])
    return roots


def _random_rotation(size: int, seed: int) -> np.ndarray:
    gaussian = np.random.default_rng(seed).standard_normal((size, size))
    with threadpool_limits(1):
        q, r = np.linalg.qr(gaussian)
    return (q * np.sign(np.diag(r))).astype(np.float32)


def _exact_right_vectors(tall: csr_matrix, rank: int) -> np.ndarray:
    gram = (tall.T.astype(np.float64) @ tall.astype(np.float64)).toarray()
    return np.linalg.eigh(gram)[1][:, ::-1][:, :rank].astype(np.float32)


def _subspace_right_vectors(
    tall: csr_matrix, turned: csr_matrix, size: int, rank: int, seed: int
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    block: np.ndarray = rng.standard_normal((size, rank + OVERSAMPLING), dtype=np.float32)
    for _ in range(8):
        block = np.linalg.qr(block)[0]
        block = turned @ (tall @ block)
    block = np.linalg.qr(block)[0]
    image = tall @ block
    turn = np.linalg.eigh((image.T @ image).astype(np.float64))[1][:, ::-1]
    return (block @ turn[:, :rank].astype(np.float32)).astype(np.float32)


def _polish(
    tall: csr_matrix, turned: csr_matrix, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Both sides end as a product with the sparse matrix: equal rows get equal bits, empty ones 0.
    left, values = _unit_columns(tall @ right)
    right, values = _unit_columns(turned @ left)
    left, values = _unit_columns(tall @ right)
    order = np.argsort(-values, kind="stable")
    left, right, values = left[:, order], right[:, order], values[order]
    absent = values <= 1e-5 * values.max()
    left[:, absent], right[:, absent], values[absent] = 0, 0, 0
    skew = (left.astype(np.float64) ** 3).sum(0) + (right.astype(np.float64) ** 3).sum(0)
    signs = np.where(skew < 0, -1, 1).astype(np.float32)
    return left * signs, right * signs, values


def _unit_columns(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    norms = np.sqrt(np.einsum("nr,nr->r", block, block, dtype=np.float64)).astype(np.float32)
    return block / np.where(norms > 0, norms, 1), norms
