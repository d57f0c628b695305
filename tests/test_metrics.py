"""Ranking metrics against ir-measures, against loops, and against what must hold."""

import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Success, nDCG
from scipy.sparse import csr_matrix

from urecjpq.data.catalogue import Features
from urecjpq.errors import InputError
from urecjpq.list_metrics import band_recall, diversity, gini, list_metrics, popularity_bands
from urecjpq.metrics import find_hits, user_metrics

ORACLE = {"recall": R, "ndcg": nDCG, "map": AP, "mrr": RR, "precision": P, "hr": Success}


def random_lists(rng, num_queries, num_items, width, share):
    """Lists of random lengths up to ``width``, padded with -1, and relevant items."""
    order = rng.random((num_queries, num_items)).argsort(1)
    lists = np.full((num_queries, width), -1)
    kept = min(width, num_items)
    lists[:, :kept] = order[:, :kept]
    lists[np.arange(width) >= rng.integers(0, width + 1, num_queries)[:, None]] = -1
    relevant = rng.random((num_queries, num_items)) < share * rng.random((num_queries, 1))
    return lists, csr_matrix(relevant.astype(np.float32))


def oracle(lists, relevant, ks):
    """The same dict as `user_metrics` from pytrec_eval's C code."""
    judged = [q for q in range(len(lists)) if relevant.indptr[q] < relevant.indptr[q + 1]]
    qrels = {str(q): {str(i): 1 for i in relevant[q].indices} for q in judged}
    run = {
        str(q): {str(i): float(-place) for place, i in enumerate(lists[q]) if i >= 0}
        for q in judged
    }
    measures = {f"{name}@{k}": kind @ k for name, kind in ORACLE.items() for k in ks}
    found = {name: np.zeros(len(judged)) for name in measures}
    names = {measure: name for name, measure in measures.items()}
    rows = {str(q): row for row, q in enumerate(judged)}
    for each in ir_measures.iter_calc(list(names), qrels, run):
        found[names[each.measure]][rows[each.query_id]] = each.value
    counts = np.diff(relevant.indptr)[judged]
    for k in ks:  # trec_eval divides AP@k by |relevant|, we by min(k, |relevant|)
        found[f"map@{k}"] *= counts / np.minimum(k, counts)
    return found


def check_against_oracle(lists, relevant, ks):
    expected, found = oracle(lists, relevant, ks), user_metrics(lists, relevant, ks)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("num_items", "width", "share"),
    [(200, 20, 0.1), (60, 20, 1.0), (7, 20, 0.8), (1, 3, 1.0), (500, 5, 0.02)],
    ids=["usual", "more relevant than K", "fewer items than K", "one item", "mostly none"],
)
def test_ten_thousand_random_queries_equal_ir_measures(num_items, width, share):
    rng = np.random.default_rng(num_items)
    lists, relevant = random_lists(rng, 2000, num_items, width, share)
    check_against_oracle(lists, relevant, (width // 2, width))


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_adversarial_lists_equal_ir_measures(data):
    num_items, width = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 10))
    item = st.integers(0, num_items - 1)
    query = st.tuples(st.lists(item, max_size=width, unique=True), st.sets(item))
    queries = data.draw(st.lists(query, min_size=1, max_size=6))
    lists = np.array([ranked + [-1] * (width - len(ranked)) for ranked, _ in queries])
    relevant = np.zeros((len(queries), num_items), dtype=np.float32)
    for row, (_, wanted) in enumerate(queries):
        relevant[row, list(wanted)] = 1
    check_against_oracle(lists, csr_matrix(relevant), range(1, width + 1))


def naive(ranked, relevant, k):
    """Every metric of one user, by the definitions."""
    hits = [item in relevant for item in ranked[:k]]
    places = [place for place, hit in enumerate(hits, 1) if hit]
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))
    return {
        "recall": len(places) / len(relevant),
        "precision": len(places) / k,
        "hr": float(bool(places)),
        "mrr": 1 / places[0] if places else 0.0,
        "map": sum((n + 1) / place for n, place in enumerate(places)) / min(k, len(relevant)),
        "ndcg": sum(1 / math.log2(place + 1) for place in places) / ideal,
    }


def test_every_user_metric_equals_its_definition():
    rng = np.random.default_rng(3)
    lists, relevant = random_lists(rng, 300, 30, 12, 0.5)
    found = user_metrics(lists, relevant, (1, 5, 12))
    rows = [q for q in range(300) if relevant[q].nnz]
    for k in (1, 5, 12):
        each = [naive(lists[q].tolist(), set(relevant[q].indices), k) for q in rows]
        for name in each[0]:
            expected = [values[name] for values in each]
            np.testing.assert_allclose(found[f"{name}@{k}"], expected, rtol=0, atol=1e-12)


def test_a_perfect_ranking_is_exactly_one():
    rng = np.random.default_rng(4)
    relevant = rng.random((200, 40)) < rng.random((200, 1))
    relevant[:, 0] = True
    lists = np.argsort(~relevant, axis=1, kind="stable")[:, :10]
    found = user_metrics(lists, csr_matrix(relevant), (10,))
    for name in ("ndcg@10", "map@10", "mrr@10", "hr@10"):
        assert (found[name] == 1.0).all(), name
    counts = relevant.sum(1)
    assert np.array_equal(found["recall@10"], np.minimum(10, counts) / counts)


def test_permuting_items_changes_nothing():
    rng = np.random.default_rng(5)
    lists, relevant = random_lists(rng, 100, 50, 20, 0.3)
    new = rng.permutation(50)
    renamed = np.where(lists >= 0, new[lists], -1)
    before = user_metrics(lists, relevant, (20,))
    after = user_metrics(renamed, relevant[:, np.argsort(new)], (20,))
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_queries_without_relevant_items_are_left_out():
    relevant = csr_matrix(np.array([[0, 0], [0, 1], [0, 0]]))
    found = user_metrics(np.array([[0, 1]] * 3), relevant, (2,), ["recall", "mrr"])
    assert {name: values.tolist() for name, values in found.items()} == {
        "recall@2": [1.0],
        "mrr@2": [0.5],
    }


def test_unsorted_and_doubled_entries_count_once():
    relevant = csr_matrix((np.ones(4), [3, 1, 3, 0], [0, 3, 4]), shape=(2, 4))
    assert find_hits(np.array([[1, 3], [-1, 0]]), relevant).tolist() == [
        [True, True],
        [False, True],
    ]
    assert relevant.nnz == 4  # the caller's matrix is left as it was
    assert user_metrics(np.array([[1, 2], [2, 1]]), relevant, (2,))["recall@2"][0] == 0.5


def test_list_metrics_equal_loops():
    rng = np.random.default_rng(6)
    lists, _ = random_lists(rng, 40, 25, 10, 0.3)
    popularity = rng.integers(0, 9, 25)
    found = list_metrics(lists, popularity, (4, 10))
    for k in (4, 10):
        listed = [i for row in lists[:, :k].tolist() for i in row if i >= 0]
        exposure = [listed.count(i) for i in range(25)]
        unequal = sum(abs(a - b) for a in exposure for b in exposure)
        surprise = [-math.log2(max(popularity[i], 1) / popularity.sum()) for i in listed]
        assert found[f"coverage@{k}"] == len(set(listed)) / 25
        assert found[f"gini@{k}"] == pytest.approx(unequal / (2 * 25 * sum(exposure)), abs=1e-12)
        assert found[f"novelty@{k}"] == pytest.approx(sum(surprise) / len(listed), abs=1e-12)


def test_gini_ends():
    assert gini(np.full(8, 3)) == pytest.approx(0, abs=1e-12)
    assert gini(np.array([0, 0, 0, 9])) == pytest.approx(3 / 4)
    assert gini(np.zeros(3)) == 0.0


def test_bands_partition_the_items_and_the_tail_has_fewer_than_five():
    popularity = np.array([100, 60, 60, 40, 5, 4, 4, 0])  # 273 in all: 100 + 60 pass the half
    bands = popularity_bands(popularity)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in bands.items()} == {
        "head": [0, 1, 2],
        "torso": [3, 4],
        "tail": [5, 6, 7],
    }
    sparse = popularity_bands(np.array([4, 1, 0]))
    assert not sparse["head"].any() and sparse["tail"].all()
    assert popularity_bands(np.zeros(3, dtype=int))["tail"].all()


def test_band_recall_equals_a_loop():
    rng = np.random.default_rng(7)
    lists, relevant = random_lists(rng, 200, 30, 10, 0.4)
    popularity = rng.geometric(0.1, 30)
    found = band_recall(lists, relevant, popularity, (5, 10))
    for band, inside in popularity_bands(popularity).items():
        members = set(np.flatnonzero(inside))
        for k in (5, 10):
            wanted = [members & set(relevant[q].indices) for q in range(200)]
            each = [len(w & set(lists[q, :k])) / len(w) for q, w in enumerate(wanted) if w]
            assert found[f"recall_{band}@{k}"] == pytest.approx(np.mean(each), abs=1e-12)


def test_a_band_without_relevant_items_is_left_out():
    found = band_recall(np.array([[0]]), csr_matrix([[1, 0]]), np.array([10, 1]), (1,))
    assert found == {"recall_head@1": 1.0}


def test_diversity_equals_a_loop_and_passes_over_missing_features():
    rng = np.random.default_rng(8)
    lists, _ = random_lists(rng, 50, 20, 8, 0.3)
    values, present = rng.standard_normal((20, 6)), rng.random(20) < 0.8
    values[~present] = 0.0
    unit = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30)
    found = diversity(lists, Features(values, present), (3, 8))
    for k in (3, 8):
        each = []
        for row in lists[:, :k]:
            kept = [i for i in row if i >= 0 and present[i]]
            pairs = [unit[a] @ unit[b] for a in kept for b in kept if a < b]
            each += [1 - np.mean(pairs)] if pairs else []
        assert found[k] == pytest.approx(np.mean(each), rel=1e-5)  # float32 sums
    same = Features(np.ones((20, 6)), np.ones(20, dtype=bool))
    assert diversity(lists, same, (8,))[8] == pytest.approx(0, abs=1e-6)
    assert diversity(np.array([[3, -1]]), same, (2,)) == {2: 0.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ks": (3,)}, "ks must lie in 1 … 2, the length of the lists; got"),
        ({"ks": ()}, "ks must lie in"),
        ({"names": ["auc"]}, "names must be out of recall, .*; got auc"),
        ({"item_ids": np.array([[0, 4]])}, r"item_ids must lie in -1 … 3; got \(0, 4\)"),
        ({"item_ids": np.array([[0, 1]] * 2)}, "item_ids must have one row per query"),
    ],
)
def test_refusals(change, message):
    arguments = {"item_ids": np.array([[0, 1]]), "relevant": csr_matrix((1, 4)), "ks": (1,)}
    with pytest.raises(InputError, match=message):
        user_metrics(**(arguments | change))


def test_unknown_list_metrics_are_refused():
    with pytest.raises(InputError, match="names must be out of coverage, gini, novelty; got luck"):
        list_metrics(np.array([[0]]), np.array([1]), (1,), ["luck"])
