"""What every strategy promises, whatever it looks at."""

import numpy as np
import pytest
from scipy.sparse import csc_matrix, csr_matrix

from urecjpq.assignment import (
    STRATEGIES,
    assign_by_bpr,
    assign_by_kmeans,
    assign_by_quotient_remainder,
    assign_by_random,
    assign_by_svd,
    quotient_remainder_size,
)

NUM_USERS, NUM_ITEMS, CODE_LENGTH, CODEBOOK_SIZE = 300, 125, 4, 16
ONCE, NEVER = slice(115, 120), slice(120, 125)

CALLS = {
    "random": lambda r, m, b, seed: assign_by_random(r.shape[1], m, b, seed=seed),
    "quotient_remainder": lambda r, m, b, seed: assign_by_quotient_remainder(r.shape[1]),
    "svd": lambda r, m, b, seed: assign_by_svd(r, m, b, seed=seed),
    "bpr": lambda r, m, b, seed: assign_by_bpr(r, m, b, seed=seed, epochs=3),
    "kmeans": lambda r, m, b, seed: assign_by_kmeans(r, m, b, embedding_dim=4 * m, seed=seed),
}
FROM_INTERACTIONS = ("svd", "bpr", "kmeans")
every_strategy = pytest.mark.parametrize("name", CALLS)


def assign(name, interactions, seed=0):
    return CALLS[name](interactions, CODE_LENGTH, CODEBOOK_SIZE, seed)


@pytest.fixture(scope="module")
def interactions():
    rng = np.random.default_rng(7)
    pairs = rng.random((NUM_USERS, NUM_ITEMS)) < 0.3 * rng.random(NUM_ITEMS)
    pairs[:, 115:] = False
    pairs[rng.integers(NUM_USERS, size=5), np.arange(115, 120)] = True
    pairs[0] = False
    return csr_matrix(pairs, dtype=np.float32)


def test_the_suite_sees_every_strategy():
    assert set(CALLS) == set(STRATEGIES)
    assert len(CALLS) == 5


@every_strategy
@pytest.mark.parametrize("side", ["users", "items"])
def test_codes_have_one_row_per_column_and_stay_in_range(name, side, interactions):
    matrix = interactions.T.tocsr() if side == "users" else interactions
    num_entities = NUM_USERS if side == "users" else NUM_ITEMS
    codes, centroids = assign(name, matrix)
    by_id = name == "quotient_remainder"
    size = quotient_remainder_size(num_entities) if by_id else CODEBOOK_SIZE
    assert codes.shape == (num_entities, 2 if by_id else CODE_LENGTH)
    assert codes.dtype == np.uint8
    assert 0 <= codes.min() and codes.max() < size
    if centroids is not None:
        assert centroids.shape == (CODE_LENGTH, CODEBOOK_SIZE, 4)
        assert centroids.dtype == np.float32
        assert np.isfinite(centroids).all()


@pytest.mark.parametrize("name", [name for name in CALLS if name != "quotient_remainder"])
def test_more_than_256_sub_ids_take_two_bytes(name):
    wide = csr_matrix(np.random.default_rng(0).random((40, 600)) < 0.3, dtype=np.float32)
    codes, _ = CALLS[name](wide, 2, 300, 0)
    assert codes.dtype == np.int16
    assert codes.max() == 299


@every_strategy
def test_same_seed_same_bits(name, interactions):
    first, second = assign(name, interactions, 3), assign(name, interactions, 3)
    np.testing.assert_array_equal(first.codes, second.codes)
    if first.centroids is not None:
        np.testing.assert_array_equal(first.centroids, second.centroids)


@pytest.mark.parametrize("name", ["random", "bpr", "kmeans"])
def test_another_seed_gives_other_codes(name, interactions):
    first, second = assign(name, interactions, 0), assign(name, interactions, 1)
    assert (first.codes != second.codes).mean() > 0.1


def test_svd_codes_do_not_depend_on_the_seed(interactions):
    first, second = assign("svd", interactions, 0), assign("svd", interactions, 1)
    np.testing.assert_array_equal(first.codes, second.codes)


@every_strategy
def test_storage_order_does_not_matter(name, interactions):
    by_column = csc_matrix(interactions)
    backwards = interactions.tocoo()
    shuffled = csr_matrix(
        (backwards.data[::-1], (backwards.row[::-1], backwards.col[::-1])), backwards.shape
    )
    codes = assign(name, interactions).codes
    np.testing.assert_array_equal(assign(name, by_column).codes, codes)
    np.testing.assert_array_equal(assign(name, shuffled).codes, codes)


@every_strategy
def test_the_input_is_not_changed(name, interactions):
    before = interactions.copy()
    assign(name, interactions)
    assert (interactions != before).nnz == 0


@every_strategy
def test_every_sub_id_is_used(name, interactions):
    codes, _ = assign(name, interactions)
    for sub_ids in codes.T:
        assert len(np.unique(sub_ids)) == sub_ids.max() + 1
    if name != "quotient_remainder":
        assert (codes.max(axis=0) == CODEBOOK_SIZE - 1).all()


@pytest.mark.parametrize("name", ["random", "svd", "bpr"])
def test_bins_hold_equal_counts(name, interactions):
    for sub_ids in assign(name, interactions).codes.T:
        counts = np.bincount(sub_ids, minlength=CODEBOOK_SIZE)
        assert counts.max() - counts.min() <= 1


def test_permuting_items_permutes_svd_codes():
    # The others draw by position (bpr, k-means++) or look at the id only.
    rng = np.random.default_rng(5)
    matrix = csr_matrix(rng.random((200, 60)) < 0.3, dtype=np.float32)
    items, users = rng.permutation(60), rng.permutation(200)
    codes = assign("svd", matrix).codes
    np.testing.assert_array_equal(assign("svd", matrix[:, items]).codes, codes[items])
    np.testing.assert_array_equal(assign("svd", matrix[users]).codes, codes)


@every_strategy
def test_rare_and_unseen_items_have_codes(name, interactions):
    codes, _ = assign(name, interactions)
    assert len(codes[ONCE]) == len(codes[NEVER]) == 5
    if name == "svd":  # equal values: neighbouring ranks in the order of the ids
        steps = np.diff(codes[NEVER].astype(int), axis=0)
        assert ((steps == 0) | (steps == 1)).all()
    if name == "kmeans":
        assert (codes[NEVER] == codes[NEVER][0]).all()


@pytest.mark.parametrize("name", FROM_INTERACTIONS)
def test_an_empty_matrix_is_refused(name):
    with pytest.raises(ValueError, match=r"interactions must hold at least one pair; got an empty"):
        assign(name, csr_matrix((30, 40), dtype=np.float32))


@pytest.mark.parametrize("name", FROM_INTERACTIONS)
def test_a_dense_matrix_is_refused(name):
    with pytest.raises(ValueError, match="must be a scipy sparse matrix; got ndarray"):
        assign(name, np.ones((30, 40)))


@pytest.mark.parametrize("name", FROM_INTERACTIONS)
def test_nan_is_refused(name, interactions):
    broken = interactions.copy()
    broken.data[3] = np.nan
    with pytest.raises(ValueError, match="interactions must be finite; got NaN"):
        assign(name, broken)


@pytest.mark.parametrize("name", ["random", *FROM_INTERACTIONS])
@pytest.mark.parametrize("size", [0, NUM_ITEMS + 1])
def test_more_sub_ids_than_entities_are_refused(name, size, interactions):
    with pytest.raises(ValueError, match=rf"codebook_size must lie in \[1, 125\].*; got {size}"):
        CALLS[name](interactions, CODE_LENGTH, size, 0)


@pytest.mark.parametrize("name", ["random", *FROM_INTERACTIONS])
def test_no_split_is_refused(name, interactions):
    with pytest.raises(ValueError, match="code_length must be at least 1; got 0"):
        CALLS[name](interactions, 0, CODEBOOK_SIZE, 0)
