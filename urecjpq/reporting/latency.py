"""How long the index of a run takes to answer, method by method, on the machine at hand."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.errors import require
from urecjpq.index import TopKIndex
from urecjpq.index.index import METHODS
from urecjpq.index.native import path
from urecjpq.runs import Run

K = 10


@dataclass(frozen=True)
class Latency:
    """Time of one query, users drawn at random, asked one by one on one thread.

    Args:
        name: Of the run's line.
        method: See `urecjpq.TopKIndex.search`.
        median: In microseconds.
        p95: In microseconds; 95 of 100 queries take less.
        queries: How many were asked.
    """

    name: str
    method: str
    median: float
    p95: float
    queries: int


def measure_latency(name: str, run: Run, queries: int = 50, seed: int = 0) -> list[Latency]:
    """Return the latency of every method on the index of a run, training items excluded.

    Args:
        name: Of the run's line.
        run: Its index is built here: from codes where the table is one, else over final vectors.
        queries: At least 1; the first of each method is asked twice, its first answer not timed.
        seed: Of the users drawn.
    """
    require(queries >= 1, "queries must be at least 1", queries)
    index = run.build_index()
    users, _ = run.vectors
    rows = np.random.default_rng(seed).integers(len(users), size=queries)
    asked = [(users[row], run.interactions[[row]]) for row in rows]
    with _one_thread():
        times = {method: _times(index, asked, method) for method in METHODS[1:]}
    return [
        Latency(name, method, float(np.quantile(x, 0.5)), float(np.quantile(x, 0.95)), queries)
        for method, x in times.items()
    ]


def _times(
    index: TopKIndex, asked: Sequence[tuple[Tensor, csr_matrix]], method: str
) -> list[float]:
    """Return the microseconds of each query; the first is asked once before."""
    times = []
    for query, seen in [asked[0], *asked]:
        started = time.perf_counter()
        index.search(query, min(K, index.num_items), exclude=seen, method=method, threads=1)
        times.append(1e6 * (time.perf_counter() - started))
    return times[1:]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def instructions() -> str:
    """Return which kernels answered, e.g. ``avx512``."""
    return path()
