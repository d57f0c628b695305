"""Threads search while another changes the index: every answer is that of one of its states."""

import threading

import numpy as np
import pytest

from urecjpq.index import TopKIndex

M, B, DIM, NUM_ITEMS, ROUNDS = 4, 16, 8, 3000, 40
KINDS = ("codes", "vectors")
WAYS = ("scan", "prune", "pqtopk", "dense")


def items(kind, count, seed):
    rng = np.random.default_rng(seed)
    if kind == "codes":
        return rng.integers(0, B, (count, M))
    return rng.normal(size=(count, DIM)).astype(np.float32)


def made(kind):
    if kind == "codes":
        centroids = np.random.default_rng(0).normal(size=(M, B, DIM // M))
        return TopKIndex.from_codes(items(kind, NUM_ITEMS, 1), centroids)
    return TopKIndex.from_vectors(items(kind, NUM_ITEMS, 1), M, B)


def changes(kind, index):
    """Do one thing after the other, each of which the best items of the query notice."""
    for step in range(ROUNDS):
        best = index.search(QUERY, 5).ids[0]
        new = index.add(items(kind, 70, [2, step]))
        yield
        index.replace(best[:2], items(kind, 2, [3, step]))
        yield
        index.remove(best[2:4])
        yield
        index.remove(new[::2])
        yield
        if step % 5 == 4:
            index.compact()
            yield


QUERY = np.random.default_rng(9).normal(size=(1, DIM)).astype(np.float32)


def answer(index, method):
    found = index.search(QUERY, 50, method=method)
    return found.ids.tobytes() + found.scores.tobytes()


def while_changing(work, change):
    """Run each of ``work`` again and again in a thread of its own until ``change`` has ended."""
    stop, failures = threading.Event(), []

    def run(one):
        try:
            while not stop.is_set():
                one()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    try:
        change()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[0]


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_is_that_of_one_state(kind):
    index, twin = made(kind), made(kind)
    right = {method: {answer(twin, method)} for method in WAYS}
    for _ in changes(kind, twin):  # alone: the states there will be
        for method in WAYS:
            right[method].add(answer(twin, method))
    seen = {method: set() for method in WAYS}

    def asking(method):
        return lambda: seen[method].add(answer(index, method))

    while_changing([asking(m) for m in WAYS], lambda: [None for _ in changes(kind, index)])
    for method in WAYS:
        assert len(right[method]) > ROUNDS
        assert seen[method] <= right[method], method
        assert answer(index, method) == answer(twin, method)


@pytest.mark.parametrize("kind", KINDS)
def test_two_threads_that_add_get_other_ids(kind):
    index, given = made(kind), []
    start = threading.Barrier(3)

    def add():
        start.wait()
        for step in range(30):
            given.append(index.add(items(kind, 5, step)))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    start.wait()
    for _ in range(10):
        index.compact()
    for thread in threads:
        thread.join()
    assert np.sort(np.concatenate(given)).tolist() == list(range(NUM_ITEMS, NUM_ITEMS + 300))
    assert index.num_items == index.num_ids == NUM_ITEMS + 300


def test_a_compiled_mask_and_a_saved_index_are_of_one_state(tmp_path):
    index = made("codes")
    mask = np.random.default_rng(4).random(NUM_ITEMS) < 0.2
    allowed = index.allow(mask)

    def ask():
        found = index.search(QUERY, 50, allow=allowed, method="scan").ids
        assert mask[found[found >= 0]].all()

    def save():
        loaded = TopKIndex.load(index.save(tmp_path))
        ids, _ = loaded.codes()
        assert len(ids) == loaded.num_items
        assert loaded.search(QUERY, 50, method="prune").ids.max() < loaded.num_ids

    while_changing([ask, ask, save], lambda: [None for _ in changes("codes", index)])


def test_the_first_searches_of_all_threads_build_postings_once():
    index = made("codes")
    right, start = answer(made("codes"), "prune"), threading.Barrier(4)
    found = []

    def ask():
        start.wait()
        found.append(answer(index, "prune"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [right] * 4
