"""Final vectors: bounds hold for every pair, also where float32 ends, and spare most scores."""

import numpy as np
import pytest

from urecjpq.errors import InputError
from urecjpq.index import TopKIndex
from urecjpq.index.native import paths
from urecjpq.index.vectors import fit_vectors
from urecjpq.testing_index import Case, check_case

RNG = np.random.default_rng(0)


def vectors_of(kind, n=600, d=24):
    values = RNG.standard_normal((n, d))
    if kind == "clustered":
        values = values[RNG.integers(0, 20, n)] + 0.05 * values
    if kind == "long tail":
        values *= RNG.pareto(1.0, (n, 1)) + 0.01
    if kind == "one direction":
        values = values[:, :1] * RNG.standard_normal(d) + 1e-3 * values
    if kind == "equal":
        values = np.repeat(values[:1], n, axis=0)
    return values.astype(np.float32)


KINDS = ("normal", "clustered", "long tail", "one direction", "equal", "zero")
SCALES = (1.0, 1e-20, 1e-30, 1e-44, 1e15, 1e34)


def scaled(kind, scale):
    values = vectors_of(kind if kind != "zero" else "equal").astype(np.float64)
    values /= np.abs(values).max()
    return (values * (0 if kind == "zero" else scale)).astype(np.float32)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("m", [1, 4])
def test_no_score_lies_above_its_bound(kind, scale, m):
    vectors = scaled(kind, scale)
    source, codes = fit_vectors(vectors, m, 16, seed=0)
    for size in (1.0, 1e-5, 1e-20, min(1e3, 1e36 / scale)):
        queries = np.concatenate([vectors[:3] / max(scale, 1e-38), RNG.standard_normal((3, 24))])
        queries = (queries / np.abs(queries).max(initial=1) * size).astype(np.float32)
        scores = source.scores(queries, 1, "reference")
        bounds = scores.tables.astype(np.float64)[:, np.arange(m + 1), codes].sum(2)
        real = TopKIndex.from_vectors(vectors, code_length=None).search(queries, len(vectors))
        found = np.take_along_axis(bounds, real.ids, 1)
        assert (found + scores.slack[:, None] >= real.scores).all()


@pytest.mark.parametrize("seed", range(6))
def test_tiny_queries_of_huge_vectors_keep_their_bounds(seed):
    # Rotated queries below the normal numbers round by 2**-150, times a centroid of 1e34.
    rng = np.random.default_rng(seed)
    vectors = (scaled("clustered", 1.0).astype(np.float64) * 1e34).astype(np.float32)
    queries = (rng.standard_normal((8, 24)) * 10.0 ** rng.uniform(-45, -40)).astype(np.float32)
    source, codes = fit_vectors(vectors, 4, 64, seed=0)
    scores = source.scores(queries, 1, "reference")
    bounds = scores.tables.astype(np.float64)[:, np.arange(5), codes].sum(2) + scores.slack[:, None]
    index = TopKIndex.from_vectors(vectors, 4, 64)
    real = index.search(queries, len(vectors), method="pqtopk")
    assert (np.take_along_axis(bounds, real.ids, 1) >= real.scores).all()
    assert np.array_equal(index.search(queries, 10, method="scan").ids, real.ids[:, :10])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_brute_force(kind, scale, tmp_path):
    vectors = scaled(kind, scale)
    queries = RNG.standard_normal((3, 24)).astype(np.float32)
    changes = [
        ("add", None, vectors[:80][:, ::-1] * np.float32(1.5)),
        ("replace", np.array([2, 605]), vectors[5:7]),
        ("remove", np.array([3, 606]), None),
    ]
    case = Case(0, vectors, None, (4, 16), changes, queries, 10, None, None)
    check_case(case, paths(), (1,), tmp_path)


def test_few_vectors_are_scored():
    vectors = vectors_of("clustered", 20_000)
    index = TopKIndex.from_vectors(vectors, code_length=8, codebook_size=64)
    queries = (vectors[:20] + 0.1).astype(np.float32)
    found = index.search(queries, 10, method="scan")
    exhaustive = index.search(queries, 10, method="pqtopk")
    assert np.array_equal(found.ids, exhaustive.ids)
    if found.statistics.path != "reference":
        assert found.statistics.items_scored < 0.5 * exhaustive.statistics.items_scored


def test_same_seed_same_codes():
    vectors = vectors_of("normal")
    made = [fit_vectors(vectors, 4, 16, seed=3) for _ in range(2)]
    assert np.array_equal(made[0][1], made[1][1])
    assert made[0][0].centroids.tobytes() == made[1][0].centroids.tobytes()


def test_prune_is_the_exhaustive_product():
    # Posting lists need scores that are sums of sub-scores.
    index = TopKIndex.from_vectors(vectors_of("normal"), code_length=4)
    found = index.search(np.ones(24, np.float32), 5, method="prune")
    assert found.statistics.method == "pqtopk"


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.full((4, 8), np.nan), "vectors must be finite; got NaN or infinity"),
        (np.ones((4, 8), int), "vectors must be floating point; got int64"),
        (np.ones(8), r"vectors must be \(n, d\); got \(8,\)"),
        (np.empty((0, 8)), r"vectors must be \(n, d\); got \(0, 8\)"),
        (np.ones((4, 9)), "embedding_dim must be a multiple of the code length 8; got 9"),
        (np.full((4, 8), 2e38), r"vectors must be shorter than 1e\+38; got"),
    ],
)
def test_wrong_vectors_are_refused(vectors, message):
    with pytest.raises(InputError, match=message):
        TopKIndex.from_vectors(vectors)


def test_wrong_vectors_are_not_added():
    index = TopKIndex.from_vectors(vectors_of("normal"))
    with pytest.raises(
        InputError, match=r"items must be vectors of shape \(n, 24\); got \(2, 23\)"
    ):
        index.add(np.ones((2, 23), np.float32))
    with pytest.raises(InputError, match="items must be finite; got NaN or infinity"):
        index.add(np.full((2, 24), np.inf, np.float32))


def test_a_product_beyond_float32_is_refused():
    index = TopKIndex.from_vectors(scaled("normal", 1e30))
    with pytest.raises(InputError, match="queries times vectors must fit float32; got"):
        index.search(np.full(24, 1e10, np.float32))


def test_the_index_keeps_vectors_of_its_own():
    vectors = vectors_of("normal")
    index = TopKIndex.from_vectors(vectors, code_length=4)
    query = np.ones(24, np.float32)
    before = index.search(query, 5).ids
    vectors[:] = 0
    assert np.array_equal(index.search(query, 5).ids, before)
