"""Both ways to the scores of candidates: dense products, gradients, and which way is chosen."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from urecjpq import JPQEmbedding, QuotientRemainderEmbedding
from urecjpq.sequential import scores
from urecjpq.sequential.scores import (
    all_scores,
    all_scores_are_cheaper,
    candidate_scores,
    num_items,
    picked_scores,
    scores_by_rows,
    scores_by_sub_scores,
)
from urecjpq.training import deterministic

NUM_ITEMS, DIM, NUM_QUERIES = 50, 16, 6


def jpq(num_rows=NUM_ITEMS, embedding_dim=DIM, m=4, b=5, special_tokens=0, dtype=torch.float32):
    codes = np.random.default_rng(0).integers(b, size=(num_rows, m))
    return JPQEmbedding(codes, embedding_dim, b, special_tokens=special_tokens).to(dtype)


TABLES = {
    "full": lambda: nn.Embedding(NUM_ITEMS, DIM),
    "quotient_remainder": lambda: QuotientRemainderEmbedding(NUM_ITEMS, DIM),
    "jpq": jpq,
    "jpq_two_bytes": lambda: jpq(b=300),
    "jpq_wide_splits": lambda: jpq(embedding_dim=96, m=2),
    "jpq_special_tokens": lambda: jpq(special_tokens=2),
}


@pytest.fixture(params=TABLES)
def table(request):
    return TABLES[request.param]()


def some_ids(shape):
    return torch.from_numpy(np.random.default_rng(1).integers(NUM_ITEMS, size=shape))


@pytest.mark.parametrize("shape", [(30,), (1,), (NUM_QUERIES, 1), (NUM_QUERIES, 20)])
def test_scores_are_dot_products(table, shape):
    queries, ids = torch.randn(NUM_QUERIES, table.embedding_dim), some_ids(shape)
    dense = queries @ table.weight.T
    expected = dense[:, ids] if ids.ndim == 1 else dense.gather(1, ids)
    torch.testing.assert_close(candidate_scores(table, queries, ids), expected)


def test_all_scores_leave_special_tokens_out(table):
    queries = torch.randn(NUM_QUERIES, table.embedding_dim)
    expected = queries @ table.weight[:NUM_ITEMS].T
    assert num_items(table) == NUM_ITEMS
    torch.testing.assert_close(all_scores(table, queries), expected)


@pytest.mark.parametrize(
    ("by", "shape"),
    [
        (scores_by_rows, (30,)),
        (scores_by_rows, (NUM_QUERIES, 20)),
        (scores_by_sub_scores, (30,)),
        (scores_by_sub_scores, (NUM_QUERIES, 20)),
        (picked_scores, (NUM_QUERIES, 20)),
    ],
)
def test_gradients_are_those_of_finite_differences(by, shape):
    table, ids = jpq(dtype=torch.float64), some_ids(shape)
    queries = torch.randn(NUM_QUERIES, DIM, dtype=torch.float64, requires_grad=True)

    def of_values(queries, centroids):
        twin = jpq(dtype=torch.float64)
        del twin.centroids  # a plain tensor takes the parameter's place
        twin.centroids = centroids
        return by(twin, queries, ids)

    assert torch.autograd.gradcheck(of_values, (queries, table.centroids))


@settings(max_examples=40, deadline=None)
@given(
    m=st.sampled_from([1, 2, 4, 8]),
    split_dim=st.integers(1, 5),
    b=st.sampled_from([1, 2, 7, 256, 257]),
    num_queries=st.integers(0, 5),
    candidates=st.integers(0, 9),
    shared=st.booleans(),
)
def test_both_ways_agree_in_scores_and_gradients(m, split_dim, b, num_queries, candidates, shared):
    table = jpq(20, m * split_dim, m, b, special_tokens=1, dtype=torch.float64)
    shape = (candidates,) if shared else (num_queries, candidates)
    ids = torch.from_numpy(np.random.default_rng(2).integers(20, size=shape))
    start = torch.randn(num_queries, table.embedding_dim, dtype=torch.float64)
    found = []
    for by in (scores_by_rows, scores_by_sub_scores):
        queries = start.clone().requires_grad_()
        result = by(table, queries, ids)
        values = (queries, table.centroids)
        found.append((result, *torch.autograd.grad(result.sin().sum(), values)))
    for rows, sub_scores in zip(*found, strict=True):
        torch.testing.assert_close(sub_scores, rows)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(30,), (NUM_QUERIES, 20)])
def test_same_bits_with_deterministic_algorithms(table, shape, threads):
    queries, ids = torch.randn(NUM_QUERIES, table.embedding_dim), some_ids(shape)
    torch.set_num_threads(threads)
    found = []
    with deterministic():
        for _ in range(2):
            table.zero_grad()
            result = candidate_scores(table, queries, ids)
            result.square().sum().backward()
            found.append([result, *(p.grad for p in table.parameters() if p.grad is not None)])
    assert len(found[0]) > 1
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("m", "num_queries", "shape", "taken"),
    [
        (4, NUM_QUERIES, (NUM_QUERIES, 1), False),
        (4, NUM_QUERIES, (NUM_QUERIES, 2), True),
        (4, NUM_QUERIES, (79,), False),
        (4, NUM_QUERIES, (80,), True),
        (4, 17, (80,), False),
        (1, 17, (80,), True),
    ],
)
def test_the_cheaper_way_is_taken(monkeypatch, m, num_queries, shape, taken):
    calls = []
    real = scores.scores_by_sub_scores
    monkeypatch.setattr(scores, "scores_by_sub_scores", lambda *a: calls.append(1) or real(*a))
    table = jpq(m=m, embedding_dim=48, b=20)
    candidate_scores(table, torch.randn(num_queries, 48), some_ids(shape))
    assert bool(calls) == taken


@pytest.mark.parametrize(
    ("m", "num_rows", "num_queries", "own", "picked"),
    [
        (8, 1000, 100, 64, True),
        (8, 1000, 100, 15, False),  # more than 64 items per candidate
        (8, 1000, 16, 64, False),  # few queries share the cost of making rows
        (1, 1000, 100, 64, False),  # hardly any look-ups
        (8, 4000, 100, 64, False),
    ],
)
def test_candidates_of_a_small_catalogue_are_picked_from_all(m, num_rows, num_queries, own, picked):
    table = jpq(num_rows, 64, m, b=256)
    assert all_scores_are_cheaper(table, num_queries, own) == picked
    queries = torch.randn(num_queries, 64)
    ids = torch.from_numpy(np.random.default_rng(1).integers(num_rows, size=(num_queries, own)))
    expected = (queries @ table.weight.T).gather(1, ids)
    torch.testing.assert_close(candidate_scores(table, queries, ids), expected)


def test_a_table_that_is_never_made_whole_is_not_picked_from(monkeypatch):
    table = jpq(1000, 64, 8, b=256)
    assert all_scores_are_cheaper(table, 100, 64)
    monkeypatch.setattr(scores, "ROWS_AT_ONCE", 999)
    assert not all_scores_are_cheaper(table, 100, 64)


@pytest.mark.parametrize("num_queries", [1, 20])
def test_scores_of_a_large_catalogue_need_no_table(monkeypatch, num_queries):
    table, queries = jpq(1000, b=6), torch.randn(num_queries, DIM)
    expected = queries @ table.weight.T
    forbid_the_whole_table(monkeypatch)
    monkeypatch.setattr(scores, "ROWS_AT_ONCE", 300)
    torch.testing.assert_close(all_scores(table, queries), expected)


def forbid_the_whole_table(monkeypatch):
    def refuse(self):
        raise AssertionError("materialised")

    monkeypatch.setattr(JPQEmbedding, "weight", property(refuse))


def test_candidates_of_a_large_catalogue_need_no_table(monkeypatch):
    forbid_the_whole_table(monkeypatch)
    table = jpq(1000)
    for ids in (torch.arange(500, 530), torch.arange(180).reshape(NUM_QUERIES, 30)):
        result = candidate_scores(table, torch.randn(NUM_QUERIES, DIM), ids)
        result.sum().backward()
    assert table.centroids.grad.abs().sum() > 0
