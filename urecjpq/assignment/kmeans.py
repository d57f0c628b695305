"""Product k-means: codes and starting centroids from factors of the user–item matrix."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from urecjpq.assignment.assignment import (
    Assignment,
    code_dtype,
    require_code_shape,
    require_interactions,
)
from urecjpq.assignment.factors import POWER, SMOOTHING, normalised_factors
from urecjpq.errors import require

ITERATIONS = 25
POINTS_PER_CENTROID = 256
"""k-means trains on at most this many points per centroid, as FAISS does."""
BLOCK_ROWS = 2048


def assign_by_kmeans(
    interactions: csr_matrix,
    code_length: int,
    codebook_size: int = 256,
    *,
    embedding_dim: int,
    power: float = POWER,
    smoothing: float = SMOOTHING,
    weight_power: float = 0.0,
    seed: int = 0,
) -> Assignment:
    """Return codes of the columns and the centroids they stand for, by product k-means.

    The vectors are singular vectors of ``(D_u + s)^-1/2 R (D_i + s)^-1/2`` times ``σ^power``;
    each split of them is clustered apart. Started from the centroids, a table holds the
    factorisation that training would otherwise have to find. For users pass the transpose with
    the same settings and seed: both sides then live in one space. To save the second SVD, take
    `normalised_factors` once and give each side's vectors to `assign_factors`.

    Args:
        interactions: Training pairs, columns are the entities. Shape ``(num_users, num_items)``.
        code_length: Splits per entity, a divisor of ``embedding_dim``.
        codebook_size: Centroids per split, at most the number of columns.
        embedding_dim: Length of the vectors, at most the smaller side.
        power: Exponent of the singular values.
        smoothing: Interactions added to every degree, see `normalised_factors`.
        weight_power: Of the columns' weights in k-means, see `interaction_weights`.
        seed: Of the SVD and k-means.

    Returns:
        Codes and centroids. Columns without interactions get the centroids nearest to zero.

    Raises:
        InputError: An empty matrix, or sizes that do not fit it or each other.

    Source: RecJPQ-HC (rank-d SVD, product k-means, centroids kept as the start). That code
    decomposes the raw, truncated sequences and quantises items scaled by ``σ``; here the matrix
    is normalised by smoothed degrees, the power is free, and users are quantised too.
    """
    num_rows, num_entities = require_interactions(interactions)
    require_code_shape(num_entities, code_length, codebook_size)
    _require_splits(embedding_dim, code_length)
    smaller = min(num_rows, num_entities)
    require(
        embedding_dim <= smaller,
        f"embedding_dim must be at most {smaller}, the smaller side of interactions",
        embedding_dim,
        "Choose a smaller embedding_dim.",
    )
    factors = normalised_factors(interactions, embedding_dim, seed, smoothing=smoothing)
    _, items = factors.vectors(power)
    weights = interaction_weights(interactions, weight_power)
    return assign_factors(items, code_length, codebook_size, weights=weights, seed=seed)


def interaction_weights(interactions: csr_matrix, power: float) -> np.ndarray:
    """Return ``(interactions of a column)^power``, scaled to a mean of one.

    Args:
        interactions: Training pairs, columns are the entities. Shape ``(num_rows, num_columns)``.
        power: 0 for all columns alike; with 1 every interaction counts once.

    Returns:
        float64, shape ``(num_columns,)``.

    Raises:
        InputError: ``power`` is negative, or no column has interactions.
    """
    require(power >= 0, "weight_power must be at least 0", power)
    weights = np.asarray(interactions.sum(axis=0), dtype=np.float64).ravel() ** power
    require(bool(weights.any()), "interactions must not be empty", "no entries")
    return weights / weights.mean()


def assign_factors(
    factors: np.ndarray,
    code_length: int,
    codebook_size: int = 256,
    *,
    weights: np.ndarray | None = None,
    seed: int = 0,
) -> Assignment:
    """Return codes and centroids of given vectors by k-means in each split.

    k-means++ start, Lloyd iterations on at most 256 · b sampled vectors (zero vectors left out),
    then one pass over all. With weights the sum of *weighted* squared errors is minimised: what is
    asked for often is then told apart more finely.

    Args:
        factors: One vector per entity. Shape ``(num_entities, embedding_dim)``.
        code_length: Number of splits, a divisor of ``embedding_dim``.
        codebook_size: Centroids per split, at most ``num_entities``.
        weights: Of each vector's squared error, not negative; all alike if None. Shape
            ``(num_entities,)``.
        seed: Same seed, same bits, on any number of threads.

    Raises:
        InputError: Sizes that do not fit, vectors that are not finite, or weights that are none.

    Source: Jégou et al., Product Quantization for Nearest Neighbor Search, PAMI 2011.
    """
    require(factors.ndim == 2, "factors must be a matrix", f"shape {factors.shape}")
    num_entities, embedding_dim = factors.shape
    require_code_shape(num_entities, code_length, codebook_size)
    _require_splits(embedding_dim, code_length)
    require(bool(np.isfinite(factors).all()), "factors must be finite", "NaN or infinity")
    factors = np.asarray(factors, dtype=np.float32)
    weights = _checked_weights(weights, num_entities)
    training = _training_rows(factors, codebook_size, seed)
    seeds = np.random.SeedSequence(seed).spawn(code_length)

    def quantise(split: int) -> tuple[np.ndarray, np.ndarray]:
        columns = slice(split * split_dim, (split + 1) * split_dim)
        points = np.ascontiguousarray(factors[:, columns])
        sample = (points, weights) if training is None else (points[training], weights[training])
        centroids = _kmeans(*sample, codebook_size, np.random.default_rng(seeds[split]))
        return _nearest(points, centroids)[0], centroids

    split_dim = embedding_dim // code_length
    # One BLAS thread per split: the bits depend on no thread count, and splits run side by side.
    with threadpool_limits(1), ThreadPoolExecutor() as pool:
        parts = list(pool.map(quantise, range(code_length)))
    codes = np.stack([part[0] for part in parts], axis=1).astype(code_dtype(codebook_size))
    return Assignment(codes, np.stack([part[1] for part in parts]))


def nearest_centroids(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the centroid nearest to each point, ties to the lower one, int32.

    Args:
        points: float32. Shape ``(n, c)``.
        centroids: float32. Shape ``(b, c)``.
    """
    return _nearest(np.ascontiguousarray(points), centroids)[0]


def _require_splits(embedding_dim: int, code_length: int) -> None:
    require(
        embedding_dim >= 1 and embedding_dim % code_length == 0,
        f"embedding_dim must be a multiple of the code length {code_length}",
        embedding_dim,
        f"Try {(embedding_dim // code_length + 1) * code_length}.",
    )


def _checked_weights(weights: np.ndarray | None, num_entities: int) -> np.ndarray:
    if weights is None:
        return np.ones(num_entities)
    shape = np.shape(weights)
    require(shape == (num_entities,), f"weights must have shape ({num_entities},)", shape)
    weights = np.asarray(weights, dtype=np.float64)
    good = bool(np.isfinite(weights).all() and (weights >= 0).all() and weights.any())
    require(good, "weights must be finite, at least 0 and not all 0", "others")
    return weights


def _training_rows(factors: np.ndarray, codebook_size: int, seed: int) -> np.ndarray | None:
    limit = POINTS_PER_CENTROID * codebook_size
    warm = np.flatnonzero(factors.any(axis=1))
    if len(warm) < codebook_size:
        warm = np.arange(len(factors))
    if len(warm) > limit:
        warm = np.sort(np.random.default_rng(seed).choice(warm, limit, replace=False))
    return None if len(warm) == len(factors) else warm


def _kmeans(
    points: np.ndarray, weights: np.ndarray, num_centroids: int, rng: np.random.Generator
) -> np.ndarray:
    centroids = _spread_start(points, weights, num_centroids, rng)
    before = None
    for _ in range(ITERATIONS):
        nearest, errors = _nearest(points, centroids)
        if before is not None and np.array_equal(nearest, before):
            break
        before = nearest
        centroids = _means(points, weights, nearest, errors, num_centroids)
    return centroids


def _spread_start(
    points: np.ndarray, weights: np.ndarray, num_centroids: int, rng: np.random.Generator
) -> np.ndarray:
    """k-means++: each next centroid is a point drawn by its squared distance to the chosen."""
    chosen = [int(rng.integers(len(points)))]
    errors = np.full(len(points), np.inf, dtype=np.float32)
    for draw in rng.random(num_centroids - 1):
        offsets = points - points[chosen[-1]]
        np.minimum(errors, np.einsum("nc,nc->n", offsets, offsets), out=errors)
        mass = np.cumsum(weights * errors)
        row = int(np.searchsorted(mass, draw * mass[-1], side="right"))
        # With fewer distinct points than centroids nothing is left to draw: take the first again.
        chosen.append(min(row, len(points) - 1) if mass[-1] > 0 else chosen[0])
    return points[chosen]


def _nearest(points: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half_norms = 0.5 * np.einsum("bc,bc->b", centroids, centroids)
    nearest = np.empty(len(points), dtype=np.int32)
    errors = np.einsum("nc,nc->n", points, points)
    for start in range(0, len(points), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        gaps = points[rows] @ centroids.T
        np.subtract(half_norms, gaps, out=gaps)
        nearest[rows] = gaps.argmin(axis=1)
        errors[rows] += 2 * gaps[np.arange(len(gaps)), nearest[rows]]
    return nearest, errors


def _means(
    points: np.ndarray,
    weights: np.ndarray,
    nearest: np.ndarray,
    errors: np.ndarray,
    num_centroids: int,
) -> np.ndarray:
    totals = np.bincount(nearest, weights=weights, minlength=num_centroids)
    weighted = (weights * column for column in points.T)
    sums = [np.bincount(nearest, weights=column, minlength=num_centroids) for column in weighted]
    means = np.stack(sums, axis=1) / np.where(totals > 0, totals, 1)[:, None]
    empty = np.flatnonzero(totals == 0)
    if len(empty):
        # An empty cluster restarts at the point that its own centroid serves worst.
        means[empty] = points[np.argsort(-weights * errors, kind="stable")[: len(empty)]]
    return means.astype(np.float32)
