"""Milliseconds per query of every way to an exact top-K, beside each other in one run.

    pip install faiss-cpu numba
    python benchmarks/train_large.py --out runs/large     # once, for the trained codes
    python benchmarks/topk.py --items 2000000 | tee benchmarks/results/topk.jsonl

One query at a time on one thread; m = 8, b = 256, d = 512 (64 where trained). Codes of three kinds:
see `topk_data`. Peers: the dense product with the full table and torch.topk; PQTopK in torch; FAISS
IndexPQ holding the same codes and centroids; and a compiled loop over items that keeps the best
(numba). Ours: `prune`, `pqtopk` and `scan`, the last on every SIMD path of this processor. Every
time includes the table of sub-scores. Slow methods get fewer queries, the lines say how many.

All methods must agree before any is timed: ours and numba's by ids and score bits, the others by
scores within rounding, and by ids wherever no other score is that near. Exit status 1 if not.
"""

import argparse
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path

import faiss  # pyright: ignore[reportMissingImports]
import numpy as np
import torch
from topk_data import KINDS, Case, load_average, make_case, rounded, summary, take_turns, work
from topk_peers import Found, Method, dense, faiss_pq, numba_scan, torch_pqtopk

from urecjpq.environment import environment
from urecjpq.index import TopKIndex
from urecjpq.index.native import REFERENCE, paths

TOLERANCE = 1e-5
"""Relative to the largest absolute score: sums of 512 products in another order."""
EVERY_K = {"faiss": faiss_pq, "numba": numba_scan}
FIRST_K = {"dense": dense, "torch pqtopk": torch_pqtopk}
"""Timed at the first k only, as `prune` is: their time hardly depends on k."""
SAME_BITS = ("scan", "pqtopk", "prune", "numba")

Key = tuple[str, str | None, int]
"""Method, instruction set where it is ours, and k."""


def make_methods(case: Case, index: TopKIndex, ks: list[int]) -> dict[Key, Method]:
    """Return the searches; the dense one is left out where its table does not fit."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    peers = EVERY_K | FIRST_K
    if 4 * len(case.codes) * case.queries.shape[1] > 0.8 * free:
        print("dense is left out: its table does not fit into free memory", file=sys.stderr)
        del peers["dense"]
    methods: dict[Key, Method] = {}
    for name, make in peers.items():
        search = make(case)
        for k in ks if name in EVERY_K else ks[:1]:
            methods[name, None, k] = lambda query, search=search, k=k: search(query, k)
    best, *others = [path for path in paths() if path != REFERENCE]
    for k in ks:
        for method in ("scan", "pqtopk", "prune")[: 3 if k == ks[0] else 2]:
            methods[method, best, k] = ours(index, case.queries, k, method, best)
        for simd in others:
            methods["scan", simd, k] = ours(index, case.queries, k, "scan", simd)
    return methods


def ours(index: TopKIndex, queries: np.ndarray, k: int, method: str, simd: str) -> Method:
    """Return a method of our index on one instruction set."""

    def search(query: int) -> Found:
        os.environ["URECJPQ_SIMD"] = simd
        found = index.search(queries[query], k, method=method)
        return found.ids.reshape(-1), found.scores.reshape(-1)

    return search


def require_agreement(methods: dict[Key, Method], queries: int) -> None:
    """Exit with status 1 if a method differs from the exhaustive reference on a query."""
    for reference in [key for key in methods if key[0] == "pqtopk"]:
        rivals = [key for key in methods if key[2] == reference[2]]
        for query in range(queries):
            expected = methods[reference](query)
            for key in rivals:
                if not agree(expected, methods[key](query), same_bits=key[0] in SAME_BITS):
                    sys.exit(f"{key} differs from {reference} on query {query}")


def agree(expected: Found, found: Found, same_bits: bool) -> bool:
    """Return whether ids and scores are equal, or as near as rounding can tell."""
    (ids, scores), (other_ids, other_scores) = expected, found
    if same_bits:
        bits, other_bits = scores.view(np.int32), other_scores.view(np.int32)
        return np.array_equal(ids, other_ids) and np.array_equal(bits, other_bits)
    slack = TOLERANCE * float(np.abs(scores).max())
    # Ids may change places with a neighbour whose score is that near, the last one with any.
    wide = np.diff(scores) < -2 * slack
    apart = np.append(wide, False) & np.insert(wide, 0, True)
    near = np.abs(scores - other_scores).max() <= slack
    return bool(near) and np.array_equal(ids[apart], other_ids[apart])


def run(kind: str, arguments: argparse.Namespace) -> None:
    """Check, time and print all methods on codes of one kind."""
    case = make_case(kind, arguments.items, arguments.queries, arguments.large)
    index = TopKIndex.from_codes(case.codes, case.centroids)
    methods = make_methods(case, index, arguments.k)
    require_agreement(methods, arguments.check)
    times = take_turns(methods, len(case.queries))
    medians = {key: float(np.median(column)) for key, column in times.items()}
    facts = {"codes": kind, "items": len(case.codes), "dim": case.queries.shape[1], "threads": 1}
    sizes = {"code_bytes": case.codes.nbytes, "index_bytes": sum(index.memory().values())}
    versions = environment() | {name: version(name) for name in ("faiss-cpu", "numba")}
    for key, column in times.items():
        method, simd, k = key
        line = {**facts, "method": method, "simd": simd, "k": k, **summary(column)}
        line["times_slower_than_first_k"] = medians[key] / medians[method, simd, arguments.k[0]]
        for peer in ("faiss", "dense"):
            if (peer, None, k) in medians:
                line[f"times_faster_than_{peer}"] = medians[peer, None, k] / medians[key]
        if simd is not None:
            os.environ["URECJPQ_SIMD"] = simd
            line |= sizes | work(index, case.queries[: arguments.check], k, method)
        print(json.dumps(rounded(line) | {"load": load_average()} | versions), flush=True)


def main(arguments: argparse.Namespace) -> None:
    """Measure each kind of codes in turn."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    for kind in arguments.codes:
        run(kind, arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Every way to an exact top-K, side by side")
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--codes", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--k", type=int, nargs="+", default=(10, 100, 1000))
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--check", type=int, default=20, help="queries on which all must agree")
    parser.add_argument("--large", type=Path, default=Path("runs/large"))
    main(parser.parse_args())
