"""FAISS, given our codes or our vectors, lists what we list; ties aside, for it promises no order.

Every search of ours runs by every method, on one thread and on two, all at once and one by one.
"""

import faiss
import numpy as np
import pytest

from urecjpq.index import TopKIndex

K = 20
METHODS = ("scan", "prune", "pqtopk")


def answers(index, queries, k=K):
    """Our ids and scores, after every way to ask has given the same; statistics may differ."""
    expected = index.search(queries, k, method="pqtopk")
    for method in METHODS:
        ways = [index.search(queries, k, method=method, threads=threads) for threads in (1, 2)]
        single = [index.search(query, k, method=method) for query in queries]
        ids = [found.ids for found in ways] + [np.stack([found.ids for found in single])]
        scores = [found.scores for found in ways] + [np.stack([found.scores for found in single])]
        for found in ids:
            assert np.array_equal(found, expected.ids)
        for found in scores:
            assert np.array_equal(found.view(np.int32), expected.scores.view(np.int32))
    return expected.ids, expected.scores


def assert_same(theirs, ours, size):
    """Scores up to rounding, and ids wherever the neighbours differ by more than rounding.

    Args:
        theirs: Scores and ids.
        ours: Ids and scores.
        size: Of the largest term of a score: what rounding is in proportion to.
    """
    (scores, ids), (expected_ids, expected) = theirs, ours
    room = 1e-6 * size * np.sqrt(ids.shape[1])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=room)
    apart = np.abs(np.diff(expected)) > 2 * room
    edge = np.ones((len(apart), 1), dtype=bool)
    certain = np.hstack([edge, apart]) & np.hstack([apart, ~edge])  # the last may have an equal
    assert certain.mean() > 0.5
    assert np.array_equal(ids[certain], expected_ids[certain])


def faiss_pq(codes, centroids):
    """FAISS's own index, filled by hand: `urecjpq.index.export` has tests of its own."""
    m, b, dim = centroids.shape
    index = faiss.IndexPQ(m * dim, m, int(np.log2(b)), faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(centroids.reshape(-1), index.pq.centroids)
    faiss.copy_array_to_vector(codes.astype(np.uint8).reshape(-1), index.codes)
    index.is_trained, index.ntotal = True, len(codes)
    return index


@pytest.mark.parametrize("kind", ["independent", "skewed"])
@pytest.mark.parametrize("m", [1, 8, 16])
def test_codes(m, kind):
    rng = np.random.default_rng(m)
    num_items, b, dim = 20_000, 256, 4
    centroids = rng.normal(size=(m, b, dim)).astype(np.float32)
    codes = rng.integers(0, b, (num_items, m))
    if kind == "skewed":
        codes = np.minimum(rng.zipf(1.2, (num_items, m)) - 1, b - 1)
    codes = np.unique(codes, axis=0)  # equal codes would be ties
    codes = codes[rng.permutation(len(codes))]
    queries = rng.normal(size=(12, m * dim)).astype(np.float32)
    ours = answers(TopKIndex.from_codes(codes, centroids), queries)
    theirs = faiss_pq(codes, centroids).search(queries, K)
    assert_same(theirs, ours, np.abs(ours[1]).max())


def test_codes_of_faiss_itself():
    """FAISS trains and encodes; we read its codes."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(10_000, 16)).astype(np.float32)
    queries = rng.normal(size=(12, 16)).astype(np.float32)
    theirs = faiss.IndexPQ(16, 8, 6, faiss.METRIC_INNER_PRODUCT)
    theirs.pq.cp.niter = 3
    theirs.train(vectors)
    theirs.add(vectors)
    centroids = faiss.vector_to_array(theirs.pq.centroids).reshape(8, 64, 2)
    packed = theirs.pq.compute_codes(vectors)  # six bits each
    bits = np.unpackbits(packed, axis=1, bitorder="little").reshape(len(vectors), 8, 6)
    codes = bits @ (1 << np.arange(6))
    ours = answers(TopKIndex.from_codes(codes, centroids), queries)
    assert_same(theirs.search(queries, K), ours, np.abs(ours[1]).max())


@pytest.mark.parametrize("code_length", [None, 2, 8])
@pytest.mark.parametrize("dim", [16, 24])
def test_final_vectors(dim, code_length):
    rng = np.random.default_rng(dim)
    centres = rng.normal(size=(50, dim))
    vectors = centres[rng.integers(0, 50, 9000)] + 0.3 * rng.normal(size=(9000, dim))
    vectors = vectors.astype(np.float32)
    queries = rng.normal(size=(12, dim)).astype(np.float32)
    theirs = faiss.IndexFlatIP(dim)
    theirs.add(vectors)
    ours = answers(TopKIndex.from_vectors(vectors, code_length, 32), queries)
    assert_same(theirs.search(queries, K), ours, np.abs(ours[1]).max())


def test_final_vectors_that_were_replaced_and_removed():
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(9000, 16)).astype(np.float32)
    queries = rng.normal(size=(12, 16)).astype(np.float32)
    index = TopKIndex.from_vectors(vectors[:8000], 4, 32)
    index.add(vectors[8000:])
    index.replace(np.arange(100), 2 * vectors[:100])
    index.remove(np.arange(50))
    vectors[:100] *= 2
    theirs = faiss.IndexIDMap(faiss.IndexFlatIP(16))
    theirs.add_with_ids(vectors[50:], np.arange(50, 9000))
    ours = answers(index, queries)
    assert_same(theirs.search(queries, K), ours, np.abs(ours[1]).max())
