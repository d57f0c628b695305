"""Random indexes, changes and questions for the top-K index, awkward ones more often than not."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

# Beyond 65,536 items `scan` has superblocks that it does not begin with, see kernels/scan.hpp.
SIZES = (1, 2, 63, 64, 65, 128, 300, 1000, 5000, 20_000, 70_000)
SIZE_SHARES = (0.06, 0.06, 0.12, 0.12, 0.12, 0.14, 0.24, 0.115, 0.015, 0.007, 0.003)
MANY = 5000  # items from which a case has few queries and splits: brute force is slow
CODEBOOK_SIZES = (1, 2, 16, 17, 60, 100, 200, 256, 257, 300)


@dataclass(frozen=True)
class Case:
    """An index, what happens to it, and a question.

    Args:
        seed: Of `random_case`.
        items: Sub-ids, int64, shape ``(n, m)``; final vectors, shape ``(n, d)``, if `centroids` is
            None.
        centroids: Shape ``(m, b, d/m)``, or None.
        shape: ``(m, b)``.
        changes: Name of a method of the index, ids and items, in this order; None where it takes
            none.
        queries: Shape ``(q, d)``.
        k: Items wanted.
        exclude: As `TopKIndex.search` takes it.
        allow: bool by id, or None.
    """

    seed: int
    items: np.ndarray
    centroids: np.ndarray | None
    shape: tuple[int, int]
    changes: list[tuple[str, np.ndarray | None, np.ndarray | None]]
    queries: np.ndarray
    k: int
    exclude: list[np.ndarray | None] | csr_array | None
    allow: np.ndarray | None


def random_case(seed: int) -> Case:
    """Return the case of that number: same seed, same bits."""
    rng = np.random.default_rng([0x3, seed])
    n = int(rng.choice(SIZES, p=SIZE_SHARES))
    of_vectors = rng.random() < 0.1
    m, dim = int(rng.integers(1, 21)), int(rng.choice((1, 1, 2, 3, 8)))
    if n >= MANY:
        m = min(m, 8)
    elif n <= 300 and rng.random() < 0.05:
        m, dim = int(rng.integers(21, 257)), 1
    if of_vectors:
        m, dim, n = int(rng.integers(1, 6)), int(rng.integers(1, 9)), min(n, 1000)
    b = int(rng.choice(CODEBOOK_SIZES))
    num_queries = int(rng.choice((1, 2, 5, 19) if n < MANY else (1, 2)))
    queries = rng.standard_normal((num_queries, m * dim))
    if rng.random() < 0.3:
        queries = np.round(queries)
    if rng.random() < 0.1:
        queries = queries * 10.0 ** rng.uniform(-45, 0)
    values = _values(rng, (n, m * dim) if of_vectors else (m, b, dim))
    terms, limit = (m * dim, 0.9e38) if of_vectors else (dim, 3e38)
    queries, values = _within_float32(queries, values, terms, limit)
    items = values if of_vectors else _codes(rng, n, m, b)
    changes, listable = _changes(rng, items, b)
    return Case(
        seed=seed,
        items=items,
        centroids=None if of_vectors else values,
        shape=(m, min(b, 64) if of_vectors else b),
        changes=changes,
        queries=queries,
        k=int(rng.choice((1, 2, 10, 64, 100, n, n + 5))),
        exclude=_exclude(rng, num_queries, len(listable)),
        allow=_allow(rng, len(listable)),
    )


def _codes(rng: np.random.Generator, n: int, m: int, b: int) -> np.ndarray:
    kind = rng.choice(("uniform", "skewed", "equal", "few", "ordered"))
    if kind == "skewed":
        return np.minimum(rng.zipf(1.3, (n, m)) - 1, b - 1)
    if kind == "equal":
        return np.repeat(rng.integers(0, b, (1, m)), n, axis=0)
    if kind == "few":
        return rng.integers(0, b, (7, m))[rng.integers(0, 7, n)]
    codes = rng.integers(0, b, (n, m))
    if kind == "ordered":
        codes[:, 0] = np.arange(n) * b // n
    return codes


def _values(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return normal values, or ones that tie, cancel, vanish or nearly overflow."""
    values = rng.standard_normal(shape)
    kind = rng.choice(("normal", "whole", "zero", "scaled", "mixed", "negative", "uneven"))
    if kind == "whole":
        return np.round(values)
    if kind == "zero":
        return values * (rng.random(shape) < 0.1)
    if kind == "scaled":
        return values * 10.0 ** rng.choice((-44, -38, -20, 20, 30, 38))
    if kind == "mixed":
        return values * 10.0 ** rng.uniform(-30, 30, shape)
    if kind == "negative":
        return -np.abs(values)
    if kind == "uneven":
        return values * 0.5 ** np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return values


def _within_float32(
    queries: np.ndarray, values: np.ndarray, terms: int, limit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float32, scaled so that no sum of ``terms`` products overflows."""
    largest = max(np.abs(values).max() * terms, 1e-300)
    values = values * min(1.0, limit / largest)
    largest = max(np.abs(queries).max() * np.abs(values).max() * terms, 1e-300)
    queries = queries * min(1.0, limit / largest)
    return queries.astype(np.float32), values.astype(np.float32)


def _changes(
    rng: np.random.Generator, items: np.ndarray, b: int
) -> tuple[list[tuple[str, np.ndarray | None, np.ndarray | None]], np.ndarray]:
    """Return some changes and which ids can be listed after them."""
    listable = np.ones(len(items), dtype=bool)
    changes = []
    for _ in range(int(rng.choice((0, 0, 1, 4)))):
        name, ids, new = str(rng.choice(("add", "remove", "replace", "compact"))), None, None
        here = np.flatnonzero(listable)
        count = int(rng.integers(1, 1 + max(1, len(here) // 3)))
        if name in ("add", "replace"):
            new = items[rng.integers(0, len(items), min(count, len(here)))]
            new = rng.permuted(new, axis=0)
        if name == "add":
            listable = np.append(listable, np.ones(len(new), dtype=bool))
        elif name != "compact":
            count = min(count, len(here) - (name == "remove"))
            ids = rng.choice(here, count, replace=False)
            new = None if new is None else new[:count]
            listable[ids] = name == "replace"
        if ids is None or len(ids):
            changes.append((name, ids, new))
    return changes, listable


def _exclude(
    rng: np.random.Generator, num_queries: int, num_ids: int
) -> list[np.ndarray | None] | csr_array | None:
    kind = rng.choice(("none", "lists", "many", "sparse"))
    if kind == "none":
        return None
    if kind == "sparse":
        rows, columns = np.nonzero(rng.random((num_queries, num_ids)) < 0.05)
        return csr_array(
            (rng.integers(0, 2, len(rows)), (rows, columns)), shape=(num_queries, num_ids)
        )
    lists: list[np.ndarray | None] = []
    for _ in range(num_queries):
        count = int(rng.integers(0, num_ids + 1 if kind == "many" else min(num_ids, 20) + 1))
        lists.append(rng.integers(0, num_ids, count) if rng.random() < 0.8 else None)
    return lists


def _allow(rng: np.random.Generator, num_ids: int) -> np.ndarray | None:
    share = rng.choice((-1, -1, -1, 0, 0.003, 0.1, 0.5, 0.97, 1))
    return None if share < 0 else rng.random(num_ids) < share
