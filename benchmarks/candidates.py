"""Seconds of candidate scores by sub-scores, by rows, and out of those of all: where they cross.

    python benchmarks/candidates.py > benchmarks/results/candidates.jsonl

A JPQ table of 1,000,000 items, m = 8, b = 256, random codes. Candidates are each query's own, or
shared by all queries. Each line has the median of the ways, `forward` alone and with the gradients
of queries and centroids (`both`), and which way `candidate_scores` takes; a way that would hold
more than a gigabyte of rows is left out. Lines of kind `small` are tables of small catalogues, full
or JPQ: there candidates may also be picked from the scores of all items. Seconds are CPU seconds of
one thread, which a busy machine disturbs least.
"""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from urecjpq.environment import environment
from urecjpq.sequential.scores import (
    Way,
    cheapest_way,
    picked_scores,
    scores_by_rows,
    scores_by_sub_scores,
)
from urecjpq.tables import JPQEmbedding, Table

NUM_ITEMS, CODE_LENGTH, CODEBOOK_SIZE = 1_000_000, 8, 256
SMALL = (3416, 12_000, 50_000)
FLOATS_AT_MOST = 2**28
DIMS = (64, 512)
PAIRS_AT_MOST = 2**22
OWN_COUNTS = (1, 2, 4, 8, 16, 64, 256, 1000, 10_000, 100_000, 1_000_000)
SHARED_COUNTS = (64, 256, 1000, 2000, 4000, 10_000, 100_000, 1_000_000)

WAYS = {"rows": scores_by_rows, "all": picked_scores, "sub_scores": scores_by_sub_scores}
NAMES = {score: name for name, score in WAYS.items()}


def cases() -> Iterator[tuple[str, int, int, int]]:
    """Yield what the candidates are, dimension, number of queries and of candidates."""
    for embedding_dim in DIMS:
        for count in OWN_COUNTS:
            yield "own", embedding_dim, max(1, min(1024, 2**18 // count)), count
        for queries in (1, 16, 256):
            for count in SHARED_COUNTS:
                if queries * count <= PAIRS_AT_MOST:
                    yield "shared", embedding_dim, queries, count


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of ``work``, after one call not counted."""
    work()
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


def seconds_of(score: Way, table: Table, inputs: tuple[Tensor, Tensor], repeats: int) -> dict:
    """Return the seconds of the scores alone, and with gradients."""
    queries, ids = inputs

    def forward() -> None:
        with torch.no_grad():
            score(table, queries, ids)

    def both() -> None:
        queries.grad = None
        table.zero_grad(set_to_none=True)
        score(table, queries, ids).sum().backward()

    return {what.__name__: round(median_seconds(what, repeats), 6) for what in (forward, both)}


def of_jpq(repeats: int) -> Iterator[dict]:
    """Yield rows and sub-scores of a large JPQ table, case by case."""
    codes = torch.randint(CODEBOOK_SIZE, (NUM_ITEMS, CODE_LENGTH))
    tables = {d: JPQEmbedding(codes, d, CODEBOOK_SIZE) for d in DIMS}
    for kind, embedding_dim, num_queries, count in cases():
        table = tables[embedding_dim]
        queries = torch.randn(num_queries, embedding_dim, requires_grad=True)
        ids = torch.randint(NUM_ITEMS, (count,) if kind == "shared" else (num_queries, count))
        line = {"candidates": kind, "d": embedding_dim, "m": CODE_LENGTH, "b": CODEBOOK_SIZE}
        line |= {"queries": num_queries, "count": count}
        if ids.numel() * embedding_dim <= FLOATS_AT_MOST:
            line["rows"] = seconds_of(scores_by_rows, table, (queries, ids), repeats)
        line["sub_scores"] = seconds_of(scores_by_sub_scores, table, (queries, ids), repeats)
        yield line | {"taken": NAMES[cheapest_way(table, num_queries, ids.shape)]}


def of_small(repeats: int) -> Iterator[dict]:
    """Yield all ways to own candidates' scores of small catalogues, case by case."""
    for num_items, m, count in itertools.product(SMALL, (0, 8, 32), (16, 64, 256, 1000)):
        codes = torch.randint(CODEBOOK_SIZE, (num_items, m))
        table = JPQEmbedding(codes, 64) if m else torch.nn.Embedding(num_items, 64)
        queries = torch.randn(512, 64, requires_grad=True)
        ids = torch.randint(num_items, (len(queries), count))
        line = {"candidates": "small", "items": num_items, "d": 64, "m": m or None}
        line |= {"queries": len(queries), "count": count}
        for name in WAYS if m else ("rows", "all"):
            line[name] = seconds_of(WAYS[name], table, (queries, ids), repeats)
        yield line | {"taken": NAMES[cheapest_way(table, len(queries), ids.shape)]}


def main(repeats: int) -> None:
    """Print one JSON line per case."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for line in itertools.chain(of_jpq(repeats), of_small(repeats)):
        print(json.dumps(line | {"threads": 1} | environment()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Three ways to the scores of candidates")
    parser.add_argument("--repeats", type=int, default=3)
    main(parser.parse_args().repeats)
