"""Codes of items that nobody touched yet, from features and the items that resemble them."""

import numpy as np

from urecjpq.assignment.assignment import code_dtype
from urecjpq.assignment.kmeans import nearest_centroids
from urecjpq.errors import require

NEIGHBOURS = 10
BLOCK_ROWS = 1024


def vectors_from_features(
    features: np.ndarray, vectors: np.ndarray, cold: np.ndarray, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """Return a vector for each cold item: the mean of the trained items that resemble it most.

    Weights are cosines of the features, negative ones 0; ties go to the lower id.

    Args:
        features: Finite. Shape ``(num_items, f)``.
        vectors: Trained, read for items that are not cold alone. Shape ``(num_items, d)``.
        cold: Rows of the cold items. Shape ``(n,)``.
        neighbours: How many trained items count, at least 1.

    Returns:
        float32, zero where nothing resembles. Shape ``(n, d)``.

    Raises:
        InputError: No item is left to resemble, or features that are not finite.
    """
    require(neighbours >= 1, "neighbours must be at least 1", neighbours)
    warm = np.setdiff1d(np.arange(len(features)), cold)
    require(len(warm) > 0, "cold must leave an item that is not", f"all {len(features)} items")
    require(bool(np.isfinite(features).all()), "features must be finite", "NaN or infinity")
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    found = np.empty((len(cold), vectors.shape[1]), dtype=np.float32)
    for start in range(0, len(cold), BLOCK_ROWS):
        cosines = unit[cold[start : start + BLOCK_ROWS]] @ unit[warm].T
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :neighbours]
        weights = np.take_along_axis(cosines, nearest, axis=1).clip(min=0)
        weights /= np.maximum(weights.sum(1, keepdims=True), 1e-12)
        found[start : start + BLOCK_ROWS] = np.einsum("nk,nkd->nd", weights, vectors[warm[nearest]])
    return found


def encode_with(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Return the codes of vectors over given centroids: the nearest one of each split.

    Args:
        vectors: Shape ``(n, d)``.
        centroids: Trained. Shape ``(m, b, d/m)``.

    Returns:
        Sub-ids in the narrowest type. Shape ``(n, m)``.

    Raises:
        InputError: The vectors have another length than the centroids make up.
    """
    code_length, codebook_size, split_dim = centroids.shape
    rule = f"vectors must have {code_length * split_dim} columns, as the centroids make up"
    require(vectors.shape[1] == code_length * split_dim, rule, vectors.shape[1])
    splits = np.split(vectors.astype(np.float32, copy=False), code_length, axis=1)
    sub_ids = [nearest_centroids(part, c) for part, c in zip(splits, centroids, strict=True)]
    return np.stack(sub_ids, axis=1).astype(code_dtype(codebook_size))


def assign_by_features(
    features: np.ndarray,
    vectors: np.ndarray,
    centroids: np.ndarray,
    cold: np.ndarray,
    neighbours: int = NEIGHBOURS,
) -> np.ndarray:
    """Return codes of cold items after training; see `vectors_from_features` and `encode_with`.

    The centroids stay as they were trained: an item is added by its code alone.
    """
    return encode_with(vectors_from_features(features, vectors, cold, neighbours), centroids)
