"""What every method on every path answers: brute force, bit for bit, whatever happened before."""

import threading

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix

from urecjpq import testing_index
from urecjpq.errors import InputError
from urecjpq.index import TopKIndex
from urecjpq.index.native import REFERENCE, paths
from urecjpq.tables import JPQEmbedding
from urecjpq.testing_index import Case, Mismatch, check_case, expected, make_index, on_path
from urecjpq.testing_index_cases import random_case

WAYS = [
    (path, method)
    for path in paths()
    for method in (("scan", "prune", "pqtopk", "dense") if path != REFERENCE else ("pqtopk",))
]
every_way = pytest.mark.parametrize(("path", "method"), WAYS, ids=["-".join(way) for way in WAYS])
N, M, B, SPLIT_DIM, QUERIES = 700, 3, 20, 2, 4


def case(
    n=N, m=M, b=B, values=None, codes=None, queries=None, k=10, exclude=None, allow=None, changes=()
):
    rng = np.random.default_rng([n, m, b])
    values = rng.standard_normal((m, b, SPLIT_DIM)) if values is None else values
    codes = rng.integers(0, b, (n, m)) if codes is None else codes
    queries = rng.standard_normal((QUERIES, m * SPLIT_DIM)) if queries is None else queries
    centroids, queries = np.asarray(values, np.float32), np.asarray(queries, np.float32)
    return Case(0, codes, centroids, (m, b), list(changes), queries, k, exclude, allow)


def mask(*ids, n=N):
    return np.isin(np.arange(n), ids)


RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal((M, B, SPLIT_DIM))
CASES = {
    "one item": case(n=1),
    "a block less one": case(n=63),
    "a block": case(n=64),
    "a block and one": case(n=65),
    "superblocks": case(n=9000),
    "one split": case(m=1),
    "one centroid": case(b=1),
    "twenty splits": case(m=20),
    "sub-ids of two bytes": case(b=300, n=3000),
    "every sub-id of a byte": case(b=256, n=3000),
    "equal codes": case(codes=np.full((N, M), 7)),
    "ties": case(values=np.round(NORMAL), queries=np.ones((2, M * SPLIT_DIM)), k=50),
    "zero scores of both signs": case(values=NORMAL * 0, k=50),
    "zero queries": case(queries=np.zeros((2, M * SPLIT_DIM))),
    "negative scores": case(values=-np.abs(NORMAL), queries=np.ones((2, M * SPLIT_DIM))),
    "huge scores": case(values=NORMAL * 1e30),
    "infinite scores": case(values=NORMAL * 2e37, queries=np.full((2, M * SPLIT_DIM), 2.0)),
    "tiny scores": case(values=NORMAL * 1e-38),
    "scores below the normal numbers": case(values=NORMAL * 1e-43),
    "one split outweighs": case(values=NORMAL * np.array([1e-6, 1e6, 1]).reshape(3, 1, 1)),
    "more than there are": case(k=N + 3),
    "all there are": case(k=N),
    "no query": case(queries=np.empty((0, M * SPLIT_DIM))),
    "exclude": case(exclude=[np.arange(0, N, 2), None, np.array([5, 5, 2]), np.empty(0, int)]),
    "exclude all": case(exclude=[np.arange(N)] * QUERIES),
    "exclude by matrix": case(exclude=csr_array(RNG.random((QUERIES, N)) < 0.5)),
    "exclude a stored zero": case(
        exclude=csr_array(([0], ([1], [int(case().items[0, 0])])), shape=(QUERIES, N))
    ),
    "allow few": case(allow=mask(3, 64, 699)),
    "allow none": case(allow=mask()),
    "allow all": case(allow=mask(*range(N))),
    "allow and exclude": case(allow=mask(3, 64, 699), exclude=[np.array([3, 64])] * QUERIES),
    "added": case(changes=[("add", None, np.zeros((130, M), int))]),
    "removed": case(changes=[("remove", np.arange(0, N, 3), None)]),
    "all but one removed": case(changes=[("remove", np.arange(1, N), None)]),
    "replaced": case(changes=[("replace", np.arange(9, 0, -1), np.full((9, M), 3))]),
    "changed many times": case(
        changes=[
            ("add", None, np.full((70, M), 4)),
            ("replace", np.array([N + 3, 2]), np.full((2, M), 5)),
            ("remove", np.array([N + 3, 5, N + 69]), None),
            ("compact", None, None),
            ("replace", np.array([N + 1, 0]), np.full((2, M), 6)),
            ("remove", np.array([N + 1]), None),
            ("add", None, np.full((1, M), 7)),
        ]
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_answer_is_brute_force(name, tmp_path):
    check_case(CASES[name], paths(), (1, 2), tmp_path)


@pytest.mark.parametrize("block", range(12))
def test_random_answers_are_brute_force(block, tmp_path):
    for seed in range(block * 10, block * 10 + 10):
        check_case(random_case(seed), paths(), (1, 2), tmp_path)


def test_cases_differ():
    made = [random_case(seed) for seed in range(300)]
    assert {case.centroids is None for case in made} == {True, False}
    assert {len(case.queries) for case in made} == {1, 2, 5, 19}
    assert {name for case in made for name, *_ in case.changes} == {
        "add",
        "remove",
        "replace",
        "compact",
    }
    assert any(case.k > len(case.items) for case in made)
    answers = [expected(case)[1] for case in made if case.k < 20]
    assert sum(bool((scores == -np.inf).any()) for scores in answers) > 10
    assert sum(bool((scores[:, 1:] == scores[:, :-1]).any()) for scores in answers) > 30


def test_a_wrong_answer_is_noticed(monkeypatch):
    monkeypatch.setattr(testing_index, "expected", lambda _: expected(CASES["allow few"]))
    with pytest.raises(Mismatch, match="case 0, .*: query 0, place 0: got .*, expected"):
        check_case(case(), paths(), (1,))


@every_way
def test_batch_is_single(path, method):
    index, queries = make_index(CASES["superblocks"]), RNG.standard_normal((30, 6))
    queries = queries.astype(np.float32)
    with on_path(path):
        batch = index.search(queries, 5, method=method)
        for row, query in enumerate(queries):
            one = index.search(query, 5, method=method)
            assert one.ids.shape == one.scores.shape == (5,)
            if method != "dense":  # a product of one row and of many round as they like
                assert np.array_equal(one.ids, batch.ids[row])
                assert one.scores.tobytes() == batch.scores[row].tobytes()


@every_way
def test_statistics_say_what_ran(path, method):
    index = make_index(CASES["superblocks"])
    with on_path(path):
        found = index.search(CASES["superblocks"].queries, 10, method=method, threads=2).statistics
    assert (found.method, found.threads) == (method, 2)
    assert found.path == ("torch" if method == "dense" else path)
    assert set(found.nanoseconds) == {"table", "warm_up", "scan", "total"}
    if path != REFERENCE and method != "dense":
        assert 0 < found.items_scored <= QUERIES * 9000
        assert found.blocks == QUERIES * 141
        assert 0 <= found.blocks_skipped <= found.blocks


def test_auto_says_which():
    assert make_index(CASES["one item"]).search(np.ones(6, np.float32)).statistics.method == (
        "pqtopk"
    )
    assert make_index(CASES["superblocks"]).search(np.ones(6, np.float32)).statistics.method == (
        "scan"
    )


def test_arrays_of_both_libraries_do():
    asked = CASES["allow few"]
    index, right = make_index(asked), expected(asked)
    queries = asked.queries.copy()
    queries.flags.writeable = False
    for given in (queries, torch.from_numpy(asked.queries)):
        for method in ("scan", "dense"):
            found = index.search(given, 10, allow=asked.allow, method=method)
            assert np.array_equal(found.ids, right[0])


def test_a_table_and_its_codes_are_one_index():
    table = JPQEmbedding(np.random.default_rng(0).integers(0, 16, (300, 4)), 8, 16, None, 2)
    index = TopKIndex.from_table(table)
    assert (index.num_items, index.num_ids, index.embedding_dim) == (300, 300, 8)
    found = index.search(torch.ones(8), 300)
    rows = table.weight[torch.from_numpy(found.ids)].detach().sum(1)
    torch.testing.assert_close(torch.from_numpy(found.scores), rows)


def test_a_compiled_mask_follows_changes():
    asked = case(n=500)
    index, right = make_index(asked), mask(*range(0, 500, 7), n=500)
    allowed = index.allow(right)
    new = index.add(asked.items[:90])
    index.replace(np.array([7, 14]), asked.items[:2])
    index.remove(np.array([21]))
    for _ in range(2):
        found = index.search(asked.queries, 500, allow=allowed)
        listed = set(found.ids[found.ids >= 0].tolist())
        assert listed == set(range(0, 500, 7)) - {21}
        assert not listed & set(new.tolist())
        index.compact()


def test_a_search_sees_the_index_before_or_after_a_change():
    # One thread adds and removes the best item of all while others search.
    asked = case(n=5000, k=5)
    index = make_index(asked)
    best = asked.centroids.sum(2).argmax(1)[None]
    query, right = np.ones((1, M * SPLIT_DIM), np.float32), set()
    stop, failures, seen = threading.Event(), [], set()

    def answer():
        found = index.search(query, 5)
        return found.ids.tobytes() + found.scores.tobytes()

    def ask():
        while not stop.is_set():
            seen.add(answer())

    right.add(answer())
    searching = [threading.Thread(target=ask) for _ in range(2)]
    for thread in searching:
        thread.start()
    try:
        for _ in range(60):
            ids = index.add(best)
            right.add(answer())
            index.remove(ids)
            right.add(answer())
    except Exception as error:
        failures.append(error)
    stop.set()
    for thread in searching:
        thread.join()
    assert not failures
    assert len(right) > 30
    assert seen <= right


def index_and_query():
    return make_index(case()), np.ones((1, M * SPLIT_DIM), np.float32)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_query_that_is_not_finite_is_refused(wrong):
    index, query = index_and_query()
    query[0, 3] = wrong
    for given in (query, query[0], torch.from_numpy(query)):
        with pytest.raises(InputError, match="queries must be finite; got NaN or infinity"):
            index.search(given)


@pytest.mark.parametrize("shape", [(5,), (1, 7), (1, 1, 6), ()])
def test_a_query_of_another_shape_is_refused(shape):
    index, _ = index_and_query()
    with pytest.raises(InputError, match=r"queries must have shape \(q, 6\) or \(6,\); got"):
        index.search(np.ones(shape, np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, bool])
def test_a_query_of_another_type_is_refused(dtype):
    index, query = index_and_query()
    with pytest.raises(InputError, match=f"queries must be float32; got {np.dtype(dtype)}"):
        index.search(query.astype(dtype))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1; got 0"),
        ({"k": -3}, "k must be a whole number of at least 1; got -3"),
        ({"k": 2.5}, "k must be a whole number of at least 1; got 2.5"),
        ({"threads": 0}, "threads must be a whole number of at least 1; got 0"),
        ({"method": "fast"}, "method must be one of auto, scan, prune, pqtopk, dense; got 'fast'"),
        ({"exclude": [np.array([N])]}, rf"exclude must hold ids in \[0, {N}\); got \[{N}\]"),
        ({"exclude": [np.array([3, -1])]}, rf"exclude must hold ids in \[0, {N}\); got \[-1\]"),
        ({"exclude": [np.array([1.0])]}, "exclude must hold one-dimensional lists of whole ids"),
        ({"exclude": [[1], [2]]}, "exclude must have an entry for each of 1 queries; got 2"),
        ({"exclude": csr_array((2, N))}, rf"exclude must be \(1, {N}\); got \(2, {N}\)"),
        ({"allow": np.ones(N)}, rf"allow must be a bool array of shape \({N},\); got float64"),
        ({"allow": np.ones(5, bool)}, rf"allow must be a bool array of shape \({N},\); got bool"),
    ],
)
def test_a_wrong_argument_is_refused(arguments, message):
    index, query = index_and_query()
    with pytest.raises(InputError, match=message):
        index.search(query, **arguments)


def test_a_matrix_with_columns_outside_it_is_refused():
    index, query = index_and_query()
    matrix = csr_matrix((1, N), dtype=np.int8)
    matrix.data, matrix.indices = np.ones(1, np.int8), np.array([N], np.int32)
    matrix.indptr = np.array([0, 1], np.int32)
    with pytest.raises(InputError, match="exclude must hold ids in"):
        index.search(query, exclude=matrix)


def test_every_sparse_matrix_excludes():
    asked = CASES["exclude by matrix"]
    index, right = make_index(asked), expected(asked)
    for form in ("csr", "csc", "coo"):
        found = index.search(asked.queries, 10, asked.exclude.asformat(form))
        assert np.array_equal(found.ids, right[0])


def test_a_sub_score_beyond_float32_is_refused():
    index = make_index(case(values=NORMAL * 1e30))
    with pytest.raises(InputError, match="queries times centroids must fit float32; got infinity"):
        index.search(np.full(6, 1e30, np.float32))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.full((3, M), B), rf"sub-ids must have a centroid, in \[0, {B}\); got \[{B}, {B}\]"),
        (np.full((3, M), -1), r"sub-ids must have a centroid, in .*; got \[-1, -1\]"),
        (np.zeros((3, M + 1), int), rf"codes must be whole numbers of shape \(n, {M}\); got int64"),
        (np.zeros((3, M)), rf"codes must be whole numbers of shape \(n, {M}\); got float64"),
    ],
)
def test_a_code_without_a_centroid_is_refused(codes, message):
    with pytest.raises(InputError, match=message):
        TopKIndex.from_codes(codes, NORMAL)
    with pytest.raises(InputError, match=message):
        make_index(case()).add(codes)


def test_an_index_holds_something():
    with pytest.raises(InputError, match="an index must hold at least one item; got none"):
        TopKIndex.from_codes(np.empty((0, M), int), NORMAL)
    with pytest.raises(InputError, match="an index must keep at least one item; got 0 left"):
        make_index(case(n=3)).remove(np.arange(3))


def test_centroids_are_finite_and_have_three_dimensions():
    with pytest.raises(InputError, match=r"centroids must have shape \(m, b, d/m\); got \(3, 20\)"):
        TopKIndex.from_codes(np.zeros((1, M), int), NORMAL[:, :, 0])
    with pytest.raises(InputError, match="centroids must be finite; got NaN or infinity"):
        TopKIndex.from_codes(np.zeros((1, M), int), NORMAL * np.nan)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([N], rf"ids must be ids in \[0, {N}\); got \[{N}\]"),
        ([-1], rf"ids must be ids in \[0, {N}\); got \[-1\]"),
        ([4], r"ids must be in the index; got \[4\], removed"),
        ([1, 1], "ids must be given once; got a repeated id"),
        ([1.0], "ids must be whole numbers; got float64"),
    ],
)
def test_an_id_that_is_not_there_is_refused(ids, message):
    index = make_index(case())
    index.remove(np.array([4]))
    with pytest.raises(InputError, match=message):
        index.remove(np.array(ids))
    with pytest.raises(InputError, match=message):
        index.replace(np.array(ids), np.zeros((len(ids), M), int))
    assert index.num_items == N - 1


def test_items_and_ids_go_together():
    with pytest.raises(InputError, match="items must be one per id; got 3 for 2"):
        make_index(case()).replace(np.array([0, 1]), np.zeros((3, M), int))
