"""Codes of items nobody touched: from the items they resemble, over centroids that stay."""

import numpy as np
import pytest

from urecjpq.assignment.features import assign_by_features, encode_with, vectors_from_features
from urecjpq.assignment.kmeans import assign_factors
from urecjpq.errors import InputError


def test_a_cold_item_gets_the_weighted_mean_of_the_nearest():
    features = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0], [1, 0]], dtype=np.float32)
    vectors = np.arange(10, dtype=np.float32).reshape(5, 2)
    cold = np.array([4])
    by_hand = (1.0 * vectors[0] + 0.8 * vectors[1]) / 1.8
    np.testing.assert_allclose(vectors_from_features(features, vectors, cold, 2)[0], by_hand)
    # The fourth neighbour lies opposite: weight 0, as that of the third.
    np.testing.assert_allclose(vectors_from_features(features, vectors, cold, 9)[0], by_hand)
    changed = vectors.copy()
    changed[4] = 1e6  # what a cold item had as a vector is never read
    again = vectors_from_features(features, changed, cold, 2)
    np.testing.assert_allclose(again[0], by_hand)


def test_codes_are_the_nearest_centroids_split_by_split():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    centroids = rng.normal(size=(4, 16, 2)).astype(np.float32)
    codes = encode_with(vectors, centroids)
    gaps = np.square(vectors.reshape(50, 4, 1, 2) - centroids[None]).sum(-1)
    assert codes.dtype == np.uint8 and np.array_equal(codes, gaps.argmin(-1))


def test_an_item_like_trained_ones_gets_their_code():
    """Items of one group share features and vector: a new one of the group gets its code."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), 6)
    features = rng.normal(size=(12, 5))[group].astype(np.float32)
    vectors = rng.normal(size=(12, 8))[group].astype(np.float32)
    codes, centroids = assign_factors(vectors, 4, 12)
    cold = np.flatnonzero(np.arange(72) % 6 == 5)
    found = assign_by_features(features, vectors, centroids, cold, neighbours=5)
    assert np.array_equal(found, codes[cold])


def test_refusals():
    features, vectors = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    with pytest.raises(InputError, match="cold must leave an item that is not; got all 3 items"):
        vectors_from_features(features, vectors, np.arange(3))
    with pytest.raises(InputError, match="neighbours must be at least 1; got 0"):
        vectors_from_features(features, vectors, np.array([0]), 0)
    with pytest.raises(InputError, match="features must be finite"):
        vectors_from_features(features * np.nan, vectors, np.array([0]))
    with pytest.raises(InputError, match="vectors must have 4 columns, .*; got 3"):
        encode_with(vectors, np.zeros((2, 4, 2), dtype=np.float32))
