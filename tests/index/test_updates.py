"""What changes leave as it was, what they cost, and what they share."""

import numpy as np
import pytest

from urecjpq.errors import InputError
from urecjpq.index import TopKIndex

N, M, B = 400, 2, 8
RNG = np.random.default_rng(0)
CENTROIDS = RNG.standard_normal((M, B, 3)).astype(np.float32)
CODES = RNG.integers(0, B, (N, M))
QUERY = RNG.standard_normal(M * 3).astype(np.float32)


def made():
    return TopKIndex.from_codes(CODES, CENTROIDS)


def everything(index):
    found = index.search(QUERY, N + 200)
    return found.ids.tobytes(), found.scores.tobytes()


def test_ids_go_on_and_are_never_given_again():
    index = made()
    assert index.add(CODES[:3]).tolist() == [N, N + 1, N + 2]
    index.remove(np.array([N + 2]))
    assert index.add(CODES[:1]).tolist() == [N + 3]
    index.compact()
    assert index.add(CODES[:1]).tolist() == [N + 4]
    assert (index.num_ids, index.num_items) == (N + 5, N + 4)


def test_a_change_makes_a_new_state_and_leaves_the_old():
    index = made()
    before, answer = index._state, everything(index)
    index.add(CODES[:70])
    index.remove(np.arange(0, N, 2))
    index.replace(np.array([1, N]), CODES[5:7])
    index.compact()
    assert everything(TopKIndex(before)) == answer
    assert before.num_items == N
    assert before.hidden is None and before.tail is None


def test_a_change_builds_only_the_tail():
    index = made()
    base = index._state.base
    index.add(CODES[:70])
    index.replace(np.array([3]), CODES[:1])
    index.remove(np.array([5, N]))
    assert index._state.base is base
    assert index._state.tail.layout.num_items == 70
    index.compact()
    assert index._state.tail is None
    assert index._state.base.layout.num_items == index.num_items == N + 68


def test_compacting_changes_no_answer_and_twice_is_once():
    index = made()
    index.add(CODES[:70])
    index.remove(np.array([3, N + 1]))
    answer = everything(index)
    index.compact()
    assert everything(index) == answer
    base = index._state.base
    index.compact()
    assert everything(index) == answer
    assert index._state.base.layout.num_items == base.layout.num_items


def test_codes_are_those_of_the_items_there():
    index = made()
    index.add(CODES[:2] * 0 + 7)
    index.replace(np.array([4]), np.array([[1, 2]]))
    index.remove(np.array([0, N]))
    ids, codes = index.codes()
    assert ids.tolist() == [*range(1, N), N + 1]
    assert codes[ids == 4].tolist() == [[1, 2]]
    assert codes[-1].tolist() == [7, 7]
    kept = (ids != 4) & (ids < N)
    assert np.array_equal(codes[kept], CODES[ids[kept]])


def test_a_replaced_item_has_only_its_new_code():
    index = made()
    index.replace(np.array([7]), np.array([[0, 1]]))
    index.replace(np.array([7]), np.array([[3, 2]]))
    found = index.search(QUERY, N)
    assert np.sort(found.ids).tolist() == list(range(N))
    slices = QUERY.reshape(M, 3)
    right = slices[0] @ CENTROIDS[0, 3] + slices[1] @ CENTROIDS[1, 2]
    assert found.scores[found.ids == 7] == pytest.approx(right, rel=1e-5)


def test_a_refused_change_changes_nothing():
    index = made()
    state = index._state
    for change in (
        lambda: index.add(np.full((2, M), B)),
        lambda: index.add(np.zeros((2, M + 1), int)),
        lambda: index.replace(np.array([0, N]), CODES[:2]),
        lambda: index.replace(np.array([0, 0]), CODES[:2]),
        lambda: index.remove(np.arange(N)),
    ):
        with pytest.raises(InputError):
            change()
        assert index._state is state


def test_adding_or_removing_nothing_is_allowed():
    index = made()
    assert index.add(np.empty((0, M), int)).tolist() == []
    index.remove(np.empty(0, int))
    assert index.num_items == N


def test_memory_counts_every_part():
    parts = made().memory()
    layout = made()._state.base.layout
    assert parts["layout"] == sum(array.nbytes for array in layout.arrays().values())
    assert parts["centroids"] == CENTROIDS.nbytes
    assert parts["vectors"] == parts["hidden"] == 0
