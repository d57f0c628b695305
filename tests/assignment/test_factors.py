import numpy as np
import pytest
from scipy.sparse import block_diag, csr_matrix, eye
from scipy.sparse.linalg import svds

from urecjpq.assignment import normalised_factors
from urecjpq.assignment.factors import truncated_svd


@pytest.fixture(scope="module")
def small():
    pairs = np.random.default_rng(2).random((90, 40)) < 0.15
    pairs[7], pairs[:, 11] = False, False
    pairs[20], pairs[:, 31] = pairs[21], pairs[:, 32]
    return csr_matrix(pairs, dtype=np.float32)


def normalised(matrix):
    users, items = (np.asarray(matrix.sum(axis)).ravel() for axis in (1, 0))
    dense = matrix.toarray().astype(np.float64)
    return dense / np.sqrt(np.maximum(users, 1))[:, None] / np.sqrt(np.maximum(items, 1))


@pytest.mark.parametrize("name", ["small", "lanczos_matrix"])
def test_singular_values_equal_those_of_scipy(name, request):
    matrix = request.getfixturevalue(name)
    users, items, values = normalised_factors(matrix, 12, smoothing=0)
    oracle = svds(csr_matrix(normalised(matrix)), 12, return_singular_vectors=False)
    # Convergence is declared at a relative residual of 1e-3; the values err by its square.
    np.testing.assert_allclose(values, np.sort(oracle)[::-1], rtol=1e-5)
    for side in (users, items):
        np.testing.assert_allclose(np.linalg.norm(side, axis=0), 1, rtol=1e-5)
        assert np.abs(side[:, :8].T @ side[:, :8] - np.eye(8)).max() < 5e-3


def test_full_rank_factors_rebuild_the_matrix(small):
    users, items = normalised_factors(small, 40, smoothing=0).vectors(power=0.5)
    np.testing.assert_allclose(users @ items.T, normalised(small), atol=1e-5)


@pytest.mark.parametrize("name", ["small", "lanczos_matrix"])
def test_the_transpose_swaps_the_sides(name, request):
    matrix = request.getfixturevalue(name)
    there, back = normalised_factors(matrix, 6), normalised_factors(matrix.T.tocsr(), 6)
    np.testing.assert_array_equal(there.user_factors, back.item_factors)
    np.testing.assert_array_equal(there.item_factors, back.user_factors)


def test_empty_rows_are_zero_and_equal_rows_are_equal(small):
    users, items, _ = normalised_factors(small, 8)
    assert not users[7].any() and not items[11].any()
    np.testing.assert_array_equal(users[20], users[21])
    np.testing.assert_array_equal(items[31], items[32])


def test_signs_survive_reordering(small):
    rng = np.random.default_rng(0)
    users, items = rng.permutation(90), rng.permutation(40)
    before, after = truncated_svd(small, 5), truncated_svd(small[users][:, items], 5)
    np.testing.assert_allclose(after.user_factors, before.user_factors[users], atol=1e-5)
    np.testing.assert_allclose(after.item_factors, before.item_factors[items], atol=1e-5)


@pytest.mark.parametrize("size", [60, 1200])
def test_directions_past_the_rank_are_zero(size):
    pairs = np.zeros((size, size + 100), dtype=np.float32)
    pairs[: size // 2, :30], pairs[size // 2 :, 30:50] = 1, 1
    factors = truncated_svd(csr_matrix(pairs), 5)
    expected = np.sqrt(size // 2) * np.sqrt([30, 20])
    np.testing.assert_allclose(factors.singular_values[:2], expected, rtol=1e-5)
    assert not factors.singular_values[2:].any()
    assert not factors.user_factors[:, 2:].any()
    users, items = factors.vectors(power=-0.5)
    assert np.isfinite(users).all() and np.isfinite(items).all()


def test_many_equal_singular_values_do_no_harm():
    matrix = csr_matrix(block_diag([np.ones((3, 2)), eye(1200)]), dtype=np.float32)
    users, items, values = truncated_svd(matrix, 4)
    np.testing.assert_allclose(values, [np.sqrt(6), 1, 1, 1], rtol=1e-5)
    np.testing.assert_allclose(items.T @ items, np.eye(4), atol=1e-4)
    assert np.isfinite(users).all()


def test_power_stretches_by_the_singular_values(small):
    factors = normalised_factors(small, 6)
    users, _ = factors.vectors(power=1.0)
    np.testing.assert_allclose(np.linalg.norm(users, axis=0), factors.singular_values, rtol=1e-5)
    np.testing.assert_array_equal(factors.vectors(power=0.0)[0], factors.user_factors)


def test_smoothing_pushes_small_separate_groups_back():
    rng = np.random.default_rng(0)
    crowd = rng.random((200, 50)) < 0.3
    matrix = csr_matrix(block_diag([crowd, np.ones((2, 3))]), dtype=np.float32)
    for smoothing, share in ((0.0, 1.0), (50.0, 0.0)):
        _, items, _ = normalised_factors(matrix, 2, smoothing=smoothing)
        assert np.square(items[50:]).sum() == pytest.approx(share, abs=1e-3)
    degrees = np.asarray(matrix.sum(axis=1)).ravel(), np.asarray(matrix.sum(axis=0)).ravel()
    dense = matrix.toarray() / np.sqrt(degrees[0] + 5)[:, None] / np.sqrt(degrees[1] + 5)
    values = normalised_factors(matrix, 4, smoothing=5.0).singular_values
    np.testing.assert_allclose(values, np.linalg.svd(dense, compute_uv=False)[:4], rtol=1e-5)


def test_wrong_arguments_are_refused(small):
    with pytest.raises(ValueError, match=r"rank must lie in \[1, 40\], the smaller side.*; got 41"):
        normalised_factors(small, 41)
    with pytest.raises(ValueError, match=r"rank must lie in \[1, 40\].*; got 0"):
        truncated_svd(small, 0)
    with pytest.raises(ValueError, match="smoothing must not be negative; got -1"):
        normalised_factors(small, 6, smoothing=-1)
    with pytest.raises(ValueError, match="interactions must hold at least one pair"):
        normalised_factors(csr_matrix((5, 5)), 2)
