"""Entities with centroids of their own: exact rows, codes nobody shares, and what is refused."""

import numpy as np
import pytest

from urecjpq import JPQEmbedding
from urecjpq.assignment import assign_factors, assign_with_own_centroids, most_frequent
from urecjpq.build import build_tables
from urecjpq.errors import InputError
from urecjpq.table_config import TableConfig
from urecjpq.testing import tiny_catalogue

FACTORS = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
OWN = np.array([7, 3, 59])
REST = np.setdiff1d(np.arange(60), OWN)


def assigned(own=OWN, **options):
    return assign_with_own_centroids(FACTORS, own, 4, 10, **options)


def test_rows_of_their_own_are_exact_and_share_no_centroid():
    codes, centroids = assigned()
    table = JPQEmbedding(codes, 8, 10, centroids)
    np.testing.assert_array_equal(table.weight.detach().numpy()[OWN], FACTORS[OWN])
    np.testing.assert_array_equal(codes[OWN], np.arange(3)[:, None].repeat(4, axis=1))
    assert codes[REST].min() == 3
    assert codes[REST].max() == 9


def test_the_others_are_clustered_as_without_them():
    weights = np.arange(60.0)
    codes, centroids = assigned(weights=weights, seed=5)
    alone = assign_factors(FACTORS[REST], 4, 7, weights=weights[REST], seed=5)
    np.testing.assert_array_equal(codes[REST], alone.codes + 3)
    np.testing.assert_array_equal(centroids[:, 3:], alone.centroids)


def test_none_of_their_own_is_plain_kmeans():
    codes, centroids = assigned(own=np.empty(0, dtype=np.int64))
    plain = assign_factors(FACTORS, 4, 10)
    assert codes.dtype == plain.codes.dtype
    np.testing.assert_array_equal(codes, plain.codes)
    np.testing.assert_array_equal(centroids, plain.centroids)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ([60], r"own must hold rows in \[0, 60\); got \[60\]"),
        ([-1], r"own must hold rows in \[0, 60\); got \[-1\]"),
        ([2, 2], "own must hold every row once"),
        (range(10), "own must hold fewer rows than codebook_size 10; got 10"),
    ],
)
def test_rows_that_do_not_fit_are_refused(own, message):
    with pytest.raises(InputError, match=message):
        assigned(own=np.array(own))


def test_a_codebook_larger_than_the_entities_is_refused():
    with pytest.raises(InputError, match=r"codebook_size must lie in \[1, 60\].*; got 61"):
        assign_with_own_centroids(FACTORS, OWN, 4, 61)


def test_the_most_frequent_come_first_and_ties_by_row():
    np.testing.assert_array_equal(most_frequent(np.array([1, 5, 2, 5]), 3), [1, 3, 2])
    with pytest.raises(InputError, match="own_centroids must be at most 4; got 5"):
        most_frequent(np.arange(4), 5)


def test_tables_of_a_model_give_them_to_items_alone():
    pairs = tiny_catalogue().matrix("train")
    sizes = {"embedding_dim": 8, "code_length": 4, "codebook_size": 20}
    plain = TableConfig(kind="full", start="factors", embedding_dim=8)
    _, full = build_tables(plain, pairs, 0)
    config = TableConfig(kind="jpq", strategy="kmeans", start="factors", **sizes)
    users, items = build_tables(config.model_copy(update={"own_centroids": 6}), pairs, 0)
    users_before, _ = build_tables(config, pairs, 0)
    most = most_frequent(np.asarray(pairs.sum(axis=0)).ravel(), 6)
    np.testing.assert_array_equal(items.codes[most], np.arange(6)[:, None].repeat(4, axis=1))
    np.testing.assert_array_equal(items.weight[most].detach(), full.weight[most].detach())
    np.testing.assert_array_equal(users.codes, users_before.codes)
