"""Entities that share no centroid, beside those that k-means clusters."""

import numpy as np

from urecjpq.assignment.assignment import Assignment, code_dtype, require_code_shape
from urecjpq.assignment.kmeans import assign_factors
from urecjpq.errors import require


def assign_with_own_centroids(
    factors: np.ndarray,
    own: np.ndarray,
    code_length: int,
    codebook_size: int = 256,
    *,
    weights: np.ndarray | None = None,
    seed: int = 0,
) -> Assignment:
    """Return codes and centroids in which some entities have a centroid of their own per split.

    Training may then move such an entity freely, as a row of a full table; the others share the
    rest of the codebook, see `assign_factors`. A few hundred own centroids cost the same whatever
    the number of entities, and hold most of what is asked for where few items have most actions.

    Args:
        factors: One vector per entity. Shape ``(num_entities, embedding_dim)``.
        own: Rows of the entities with centroids of their own, the first gets sub-id 0. Shape
            ``(k,)``, ``k`` below ``codebook_size``.
        code_length: Number of splits, a divisor of ``embedding_dim``.
        codebook_size: Centroids per split, own ones included, at most ``num_entities``.
        weights: See `assign_factors`.
        seed: Same seed, same bits, on any number of threads.

    Raises:
        InputError: ``own`` names a row twice, one that is not there, or as many as there are
            centroids; or what `assign_factors` refuses.
    """
    num_entities = len(factors)
    require_code_shape(num_entities, code_length, codebook_size)
    within = len(own) == 0 or (own.min() >= 0 and own.max() < num_entities)
    require(bool(within), f"own must hold rows in [0, {num_entities})", own[:8].tolist())
    require(len(np.unique(own)) == len(own), "own must hold every row once", "one of them twice")
    rule = f"own must hold fewer rows than codebook_size {codebook_size}"
    require(len(own) < codebook_size, rule, len(own), "Choose a larger codebook_size.")
    rest = np.setdiff1d(np.arange(num_entities), own)
    shared = assign_factors(
        factors[rest],
        code_length,
        codebook_size - len(own),
        weights=None if weights is None else weights[rest],
        seed=seed,
    )
    codes = np.empty((num_entities, code_length), dtype=code_dtype(codebook_size))
    codes[own] = np.arange(len(own))[:, None]
    codes[rest] = shared.codes.astype(np.int64) + len(own)
    splits = np.split(factors[own].astype(np.float32), code_length, axis=1)
    centroids = np.concatenate([np.stack(splits), np.asarray(shared.centroids)], axis=1)
    return Assignment(codes, centroids)


def most_frequent(counts: np.ndarray, number: int) -> np.ndarray:
    """Return the rows with the largest counts, ties to the lower row.

    Args:
        counts: Shape ``(num_entities,)``.
        number: How many, at least 0.

    Returns:
        int64, shape ``(number,)``.

    Raises:
        InputError: More than there are.
    """
    require(number <= len(counts), f"own_centroids must be at most {len(counts)}", number)
    return np.argsort(-counts, kind="stable")[:number]
