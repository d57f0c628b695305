"""What a top-K index must answer, worked out by brute force, and a comparison of every way to ask.

`python benchmarks/index_cases.py` runs 100,000 cases of it.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from urecjpq.index import TopK, TopKIndex
from urecjpq.index.native import REFERENCE, VARIABLE
from urecjpq.testing_index_cases import Case, random_case

__all__ = ["Case", "Mismatch", "check_case", "expected", "make_index", "on_path", "random_case"]

Answer = tuple[np.ndarray, np.ndarray]
EXACT = ("scan", "prune", "pqtopk")


class Mismatch(Exception):
    """Two answers that must be equal differ."""


def check_case(
    case: Case, paths: Sequence[str], threads: Sequence[int], folder: Path | None = None
) -> None:
    """Compare every way to ask the question of `case` with brute force.

    Methods × paths × threads, all queries at once and one by one, changed, saved and mapped.

    Args:
        case: From `random_case`, or made by hand.
        paths: Of `urecjpq.index.native.paths`.
        threads: Numbers of threads.
        folder: Where to save an index; None leaves that out.

    Raises:
        Mismatch: An id, a bit of a score, or, for ``dense``, more than rounding differs.
    """
    index, right = make_index(case), expected(case)
    for path in paths:
        methods = EXACT if path != REFERENCE else ("pqtopk",)
        for method in methods:
            for count in threads if path != REFERENCE else (1,):
                found = _search(index, case, path, method, count)
                _compare(found, right, case, f"{path}, {method}, {count} threads")
    _check_single(index, case, right, paths[0])
    _check_dense(index, case, right)
    if folder is not None:
        _check_saved(index, case, right, paths[0], folder)


@contextmanager
def on_path(path: str) -> Iterator[None]:
    """Force a path of the kernels."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = path
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def make_index(case: Case) -> TopKIndex:
    """Return the index of a case after its changes."""
    if case.centroids is None:
        m, b = case.shape
        index = TopKIndex.from_vectors(case.items, code_length=m, codebook_size=b)
    else:
        index = TopKIndex.from_codes(case.items, case.centroids)
    for name, ids, items in case.changes:
        given = [value for value in (ids, items) if value is not None]
        getattr(index, name)(*given)
    return index


def expected(case: Case) -> Answer:
    """Return ids and scores of the case by scoring and sorting everything."""
    items, listable = _items_after(case)
    if case.centroids is None:
        scores = _products(case.queries, items)
    else:
        scores = _sums(case.queries, case.centroids, items)
    candidates = np.tile(listable, (len(scores), 1))
    if case.allow is not None:
        candidates &= case.allow
    for query, ids in enumerate(_lists(case.exclude, len(scores))):
        candidates[query, ids] = False
    ids = np.full((len(scores), case.k), -1)
    best = np.full((len(scores), case.k), -np.inf, dtype=np.float32)
    for query in range(len(scores)):
        those = np.flatnonzero(candidates[query])
        those = those[np.argsort(-scores[query, those], kind="stable")][: case.k]
        ids[query, : len(those)], best[query, : len(those)] = those, scores[query, those]
    return ids, best


def _items_after(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the items by id and which of them are in the index."""
    items, listable = case.items.copy(), np.ones(len(case.items), dtype=bool)
    for name, ids, new in case.changes:
        if name == "add" and new is not None:
            items, listable = np.concatenate([items, new]), np.pad(listable, (0, len(new)))
            listable[-len(new) :] = True
        elif name == "remove":
            listable[ids] = False
        elif name == "replace":
            items[ids] = new
    return items, listable


def _sums(queries: np.ndarray, centroids: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return scores, in the order that `urecjpq.index.reference` promises."""
    m, _, dim = centroids.shape
    scores = np.empty((len(queries), len(codes)), dtype=np.float32)
    with np.errstate(all="ignore"):
        for split in range(m):
            rows = centroids[split]
            part = queries[:, split * dim : (split + 1) * dim]
            table = part[:, :1] * rows[:, 0]
            for c in range(1, dim):
                table = table + part[:, c : c + 1] * rows[:, c]
            found = table[:, codes[:, split]]
            scores = scores + found if split else found
    return scores


def _products(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return products in eight lanes."""
    extra = -queries.shape[1] % 8
    queries, vectors = (np.pad(values, ((0, 0), (0, extra))) for values in (queries, vectors))
    lanes = [queries[:, lane : lane + 1] * vectors[:, lane] for lane in range(8)]
    for c in range(8, queries.shape[1]):
        lanes[c % 8] = lanes[c % 8] + queries[:, c : c + 1] * vectors[:, c]
    pairs = [lanes[lane] + lanes[lane + 4] for lane in range(4)]
    return (pairs[0] + pairs[2]) + (pairs[1] + pairs[3])


def _lists(exclude: list | csr_array | None, num_queries: int) -> list[np.ndarray]:
    if exclude is None:
        return [np.empty(0, dtype=int)] * num_queries
    if isinstance(exclude, list):
        return [np.empty(0, dtype=int) if ids is None else ids for ids in exclude]
    return [exclude.indices[exclude.indptr[q] : exclude.indptr[q + 1]] for q in range(num_queries)]


def _search(index: TopKIndex, case: Case, path: str, method: str, threads: int) -> TopK:
    with on_path(path):
        return index.search(case.queries, case.k, case.exclude, case.allow, method, threads)


def _compare(found: TopK | Answer, right: Answer, case: Case, how: str) -> None:
    ids, scores = (found.ids, found.scores) if isinstance(found, TopK) else found
    kinds = ids.dtype == np.int64 and scores.dtype == np.float32 and ids.shape == right[0].shape
    if not kinds:
        raise Mismatch(f"case {case.seed}, {how}: {ids.dtype} {ids.shape}, {scores.dtype}")
    wrong = (ids != right[0]) | (scores.view(np.int32) != right[1].view(np.int32))
    if wrong.any():
        query, place = np.argwhere(wrong)[0]
        pairs = [
            (ids[query, place], scores[query, place]) for ids, scores in ((ids, scores), right)
        ]
        raise Mismatch(
            f"case {case.seed}, {how}: query {query}, place {place}: got {pairs[0]}, "
            f"expected {pairs[1]}"
        )


def _check_single(index: TopKIndex, case: Case, right: Answer, path: str) -> None:
    lists = None if case.exclude is None else _lists(case.exclude, len(case.queries))
    for query in range(min(len(case.queries), 2)):
        exclude = None if lists is None else lists[query]
        for method in ("auto", "scan", "prune"):
            with on_path(path):
                found = index.search(case.queries[query], case.k, exclude, case.allow, method)
            one = found.ids[None], found.scores[None]
            expected = right[0][query][None], right[1][query][None]
            _compare(one, expected, case, f"one query, {method}")


def _check_dense(index: TopKIndex, case: Case, right: Answer) -> None:
    """Equal up to rounding: so many units in the last place of the sum of absolute products."""
    items, _ = _items_after(case)
    if case.centroids is None:
        rows = items.astype(np.float64)
    else:
        splits = np.arange(items.shape[1])
        rows = case.centroids[splits, items].reshape(len(items), -1).astype(np.float64)
    sizes = np.abs(case.queries.astype(np.float64)) @ np.abs(rows).T
    if sizes.max(initial=0) > 1e37:  # the order of a product decides what overflows on the way
        return
    found = index.search(case.queries, case.k, case.exclude, case.allow, method="dense")
    room = (rows.shape[1] + 4) * 2.0**-23 * sizes.max(1, keepdims=True) + 1e-37
    listed = found.ids >= 0
    if not np.array_equal(listed, right[0] >= 0):
        raise Mismatch(f"case {case.seed}, dense: other numbers of items")
    real = np.take_along_axis(case.queries.astype(np.float64) @ rows.T, found.ids.clip(0), 1)
    for given in (right[1], real):
        off = np.abs(np.where(listed, found.scores - np.where(listed, given, 0), 0)) > room
        if off.any():
            raise Mismatch(f"case {case.seed}, dense: more than rounding, {np.argwhere(off)[0]}")


def _check_saved(index: TopKIndex, case: Case, right: Answer, path: str, folder: Path) -> None:
    saved = index.save(folder / "index")
    for memory_map, verify in ((True, False), (False, True)):
        loaded = TopKIndex.load(saved, memory_map, verify)
        for method in ("scan", "prune"):
            found = _search(loaded, case, path, method, 1)
            _compare(found, right, case, f"saved, memory_map={memory_map}, {method}")
