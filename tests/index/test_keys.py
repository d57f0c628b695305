"""Which splits become keys: those that say much of the scores in blocks of their own."""

import numpy as np

from urecjpq.index.keys import order_splits

RNG = np.random.default_rng(0)


def centroids(*sizes, b=16, dim=2):
    return np.stack([size * RNG.standard_normal((b, dim)) for size in sizes]).astype(np.float32)


def test_splits_of_great_energy_come_first():
    codes = RNG.integers(0, 16, (20_000, 4))
    order = order_splits(codes, centroids(1, 5, 0.1, 9))
    assert order.tolist() == [3, 1, 0, 2]
    assert order.dtype == np.int32


def test_a_split_that_never_varies_is_no_key():
    codes = RNG.integers(0, 16, (5000, 3))
    codes[:, 0] = 7
    assert order_splits(codes, centroids(9, 1, 2))[:2].tolist() == [2, 1]


def test_dependent_splits_win_over_a_little_more_energy():
    # Split 1 follows from split 0: their pairs are 256 large groups. Split 2 has a tenth more
    # energy, but with either of the others it makes 65,536 groups smaller than a block.
    codes = RNG.integers(0, 256, (200_000, 3))
    codes[:, 1] = (codes[:, 0] * 7) % 256
    order = order_splits(codes, centroids(1, 1, 1.05, b=256))
    assert set(order[:2].tolist()) == {0, 1}


def test_lengths_of_residuals_are_stored_last():
    codes = RNG.integers(0, 16, (1000, 3))
    assert order_splits(codes, centroids(1, 2)).tolist() == [1, 0, 2]
    assert order_splits(codes[:, :2], centroids(1)).tolist() == [0, 1]
