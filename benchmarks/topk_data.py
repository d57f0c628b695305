"""Codes, centroids and queries of three kinds, and clocks, for the benchmarks of the index.

| kind | codes | centroids and queries |
|---|---|---|
| independent | every sub-id uniform and independent: nothing to skip, the worst case | N(0, 1) |
| zipf | sub-ids by Zipf's law, the n-th most frequent ∝ 1/n, splits independent | N(0, 1) |
| trained | of a LightGCN with JPQ tables, d = 64, from ``benchmarks/train_large.py`` | trained |
| structured | any number of items: each mixes two trained items, see `structured_codes` | trained |
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from safetensors.numpy import load_file

from urecjpq.index import TopKIndex

KINDS = ("independent", "zipf", "trained")
CODE_LENGTH, CODEBOOK_SIZE, EMBEDDING_DIM = 8, 256, 512
CHUNK = 2**20
TURN = 10
Name = TypeVar("Name")


class Case(NamedTuple):
    """What an index is made of and asked.

    Args:
        codes: Sub-ids, uint8. Shape ``(num_items, m)``.
        centroids: float32. Shape ``(m, b, d/m)``.
        queries: float32. Shape ``(q, d)``.
    """

    codes: np.ndarray
    centroids: np.ndarray
    queries: np.ndarray


def make_case(kind: str, num_items: int, num_queries: int, large: Path) -> Case:
    """Return a case of one of the kinds above; trained ones are read from the folder ``large``.

    Raises:
        ValueError: More trained items or queries are asked for than there are.
    """
    if kind in ("trained", "structured"):
        table = load_file(large / "table.safetensors")
        queries = load_file(large / "queries.safetensors")["queries"]
        if len(queries) < num_queries or (kind == "trained" and len(table["codes"]) < num_items):
            raise ValueError(f"{large} holds {len(table['codes'])} items, {len(queries)} queries.")
        codes = table["codes"][:num_items]
        if kind == "structured":
            codes = structured_codes(table["codes"], num_items)
        return Case(codes, table["centroids"], queries[:num_queries])
    rng = np.random.default_rng(0)
    split_dim = EMBEDDING_DIM // CODE_LENGTH
    centroids = rng.standard_normal((CODE_LENGTH, CODEBOOK_SIZE, split_dim), dtype=np.float32)
    queries = rng.standard_normal((num_queries, EMBEDDING_DIM), dtype=np.float32)
    return Case(_drawn_codes(kind, num_items, rng), centroids, queries)


def _drawn_codes(kind: str, num_items: int, rng: np.random.Generator) -> np.ndarray:
    # A table of 65,536 sub-ids in which each is as frequent as it shall be: one draw, one look-up.
    law = 1 / np.arange(1, CODEBOOK_SIZE + 1) if kind == "zipf" else np.ones(CODEBOOK_SIZE)
    edges = np.round(np.cumsum(law) / law.sum() * 2**16).astype(int)
    table = np.repeat(np.arange(CODEBOOK_SIZE), np.diff(edges, prepend=0)).astype(np.uint8)
    codes = np.empty((num_items, CODE_LENGTH), dtype=np.uint8)
    for start in range(0, num_items, CHUNK):
        part = codes[start : start + CHUNK]
        part[:] = table[rng.integers(2**16, size=part.shape, dtype=np.uint16)]
    return codes


def structured_codes(trained: np.ndarray, num_items: int) -> np.ndarray:
    """Return codes distributed like a trained model's, for any number of items.

    A new item takes each sub-id from one of two trained items, by an even coin per split; the
    first is any item, the second any of those with the first one's sub-id in split 0. Frequencies
    of sub-ids stay, dependence between splits is kept in part, and new tuples arise.
    """
    rng = np.random.default_rng(1)
    alike = np.argsort(trained[:, 0], kind="stable")
    sizes = np.bincount(trained[:, 0], minlength=CODEBOOK_SIZE)
    starts = np.cumsum(sizes) - sizes
    codes = np.empty((num_items, trained.shape[1]), dtype=trained.dtype)
    for start in range(0, num_items, CHUNK):
        part = codes[start : start + CHUNK]
        first = trained[rng.integers(len(trained), size=len(part))]
        offsets = rng.random(len(part)) * sizes[first[:, 0]]
        second = trained[alike[starts[first[:, 0]] + offsets.astype(np.int64)]]
        part[:] = np.where(rng.random(part.shape, dtype=np.float32) < 0.5, first, second)
    return codes


def take_turns(
    calls: Mapping[Name, Callable[[int], object]], queries: int, seconds: float = 20.0
) -> dict[Name, np.ndarray]:
    """Return the milliseconds of ``call(0) … call(queries - 1)`` for each method.

    Methods take turns of ten queries, so that the machine's load hits all alike; before each turn
    one query is asked that does not count, since a method's own data should be in the cache and
    not what the one before left there. A method that would take longer than ``seconds`` is asked
    fewer queries (at least ten).
    """
    limits = {}
    for name, call in calls.items():
        call(0)
        limits[name] = int(np.clip(seconds * 1e3 / _milliseconds(call, 0), TURN, queries))
    times: dict[Name, list[float]] = {name: [] for name in calls}
    for start in range(0, queries, TURN):
        for name, call in calls.items():
            if start < limits[name]:
                call(start)
                turn = range(start, min(start + TURN, limits[name]))
                times[name] += [_milliseconds(call, query) for query in turn]
    return {name: np.array(column) for name, column in times.items()}


def _milliseconds(call: Callable[[int], object], query: int) -> float:
    started = time.perf_counter_ns()
    call(query)
    return (time.perf_counter_ns() - started) / 1e6


def summary(times: np.ndarray) -> dict[str, float | int]:
    """Return number, median, 95th percentile and their ratio, as results carry them."""
    median, p95 = np.quantile(times, [0.5, 0.95])
    figures = {"median_ms": median, "p95_ms": p95, "p95_over_median": p95 / median}
    return {"queries": len(times)} | {name: float(value) for name, value in figures.items()}


def work(index: TopKIndex, queries: np.ndarray, k: int, method: str) -> dict[str, object]:
    """Return what a method does to answer a query: medians, and for scored items the 95th too."""
    done = [index.search(query, k, method=method).statistics for query in queries]
    scored = np.array([statistics.items_scored for statistics in done])
    skipped = [statistics.blocks_skipped / statistics.blocks for statistics in done]
    lines = [statistics.lines_read for statistics in done]
    figures: dict[str, object] = {"simd": done[0].path, "items_scored": int(np.median(scored))}
    figures |= {"items_scored_p95": int(np.quantile(scored, 0.95))}
    return figures | {
        "share_of_blocks_skipped": float(np.median(skipped)),
        "lines_read": int(np.median(lines)),
    }


def rounded(line: Mapping[str, object]) -> dict[str, object]:
    """Return the line with four decimals."""
    return {n: round(value, 4) if isinstance(value, float) else value for n, value in line.items()}


def load_average() -> float:
    """Return the machine's load of the last minute, beside which times must be read."""
    return round(os.getloadavg()[0], 1)
