"""The graph of users with items in common, by hand and in blocks."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from urecjpq.errors import InputError
from urecjpq.graphs import users
from urecjpq.graphs.users import common_items_graph

PAIRS = csr_matrix(
    np.array(
        [[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]],
        dtype=np.float32,
    )
)


def test_counts_become_softmax_weights():
    graph = common_items_graph(PAIRS).toarray()
    two, one = np.exp([2, 1]) / np.exp([2, 1, 1]).sum()
    np.testing.assert_allclose(graph[0], [0, two, one, 0, 0, one], rtol=1e-6)
    np.testing.assert_allclose(graph[2], [1, 0, 0, 0, 0, 0])
    assert not graph[[3, 4]].any()  # nothing in common with anyone
    assert not graph.diagonal().any()


def test_of_equal_counts_the_lower_row_is_kept():
    graph = common_items_graph(PAIRS, k=2).toarray()
    assert np.flatnonzero(graph[0]).tolist() == [1, 2]
    assert np.flatnonzero(graph[5]).tolist() == [0, 1]
    np.testing.assert_allclose(graph.sum(1), [1, 1, 1, 0, 0, 1], rtol=1e-6)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_blocks_change_nothing(monkeypatch, block):
    rng = np.random.default_rng(0)
    pairs = csr_matrix((rng.random((50, 30)) < 0.2).astype(np.float32))
    expected = common_items_graph(pairs, k=5)
    monkeypatch.setattr(users, "BLOCK", block)
    assert (common_items_graph(pairs, k=5) != expected).nnz == 0
    common = (pairs @ pairs.T).toarray()
    np.fill_diagonal(common, 0)
    for user, counts in enumerate(common):
        found = np.flatnonzero(expected[[user]].toarray())
        best = np.sort(counts[counts > 0])[::-1][:5]
        assert sorted(counts[found], reverse=True) == best.tolist()


def test_many_items_in_common_do_not_overflow():
    pairs = csr_matrix(np.ones((3, 500), dtype=np.float32))
    np.testing.assert_allclose(common_items_graph(pairs).toarray()[0], [0, 0.5, 0.5])


def test_a_length_below_one_is_refused():
    with pytest.raises(InputError, match="k must be at least 1; got 0"):
        common_items_graph(PAIRS, k=0)
