import numpy as np
import pytest
from scipy.sparse import csr_matrix

from urecjpq.assignment import assign_by_bpr, bpr


def train(matrix, **options):
    settings = {"rank": 4, "seed": 0, "epochs": 20, "learning_rate": 0.05, "batch_size": 64}
    return bpr._train(csr_matrix(matrix, dtype=np.float32), *(settings | options).values())


def test_items_of_one_taste_come_close():
    rng = np.random.default_rng(0)
    taste_of_item = np.arange(60) % 3
    likes = rng.random((300, 60)) < np.where(
        taste_of_item == rng.integers(3, size=300)[:, None], 0.4, 0.02
    )
    factors = train(likes)
    factors /= np.linalg.norm(factors, axis=1, keepdims=True)
    cosines = factors @ factors.T
    same = taste_of_item[:, None] == taste_of_item
    assert cosines[same].mean() > 0.8
    assert cosines[~same].mean() < 0


def test_a_training_pair_is_never_a_negative():
    everything = np.ones((5, 7))
    start = train(everything, epochs=1)
    np.testing.assert_array_equal(train(everything, epochs=9), start)


def test_popularity_goes_to_the_bias():
    rng = np.random.default_rng(0)
    likes = rng.random((400, 80)) < np.linspace(0.02, 0.5, 80)
    lengths = np.linalg.norm(train(likes, batch_size=512), axis=1)
    assert lengths[40:].mean() < 3 * lengths[:40].mean()


def test_long_training_stays_finite():
    likes = np.eye(30) + np.eye(30, k=1)
    assert np.isfinite(train(likes, epochs=300, learning_rate=1.0)).all()


@pytest.mark.parametrize(
    "option, rule",
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive; got 0.0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
    ],
)
def test_wrong_settings_are_refused(option, rule):
    with pytest.raises(ValueError, match=rule):
        assign_by_bpr(csr_matrix(np.eye(9, dtype=np.float32)), 2, 4, **option)
