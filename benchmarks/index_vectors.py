"""Exact top-10 over final item vectors, which have no product structure, beside FAISS.

    pip install faiss-cpu
    python benchmarks/train_large.py --out runs/large                      # once
    python benchmarks/index_vectors.py --gowalla FOLDER | tee benchmarks/results/index-vectors.jsonl

`TopKIndex.from_vectors` over the final vectors of LightGCN on 2,000,000 toys, queries those of
users, and over Gowalla's (FOLDER holds ``train.txt.gz``, 29,858 users, 40,981 items): factors of
its train matrix, 64 of them, propagated twice. Its answers must be those of its own exhaustive
method by ids and score bits, and FAISS IndexFlatIP's up to rounding, or the exit status is 1.
Peers in the same run, one thread, taking turns: IndexFlatIP; IndexHNSWFlat (M = 32, inner product)
with the smallest efSearch out of `EF_SEARCH` that finds 95 % of the top-10, or the largest; both
recall and efSearch are in its line. Its graph takes a quarter of an hour to build or more, and is
kept in the folder of ``--large`` with the seconds it took.
"""

import argparse
import gzip
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import faiss  # pyright: ignore[reportMissingImports]
import numpy as np
import torch
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix
from topk_data import load_average, rounded, summary, take_turns, work

from urecjpq.assignment.factors import normalised_factors
from urecjpq.environment import environment
from urecjpq.graphs.propagation import bipartite_graph, layer_mean
from urecjpq.index import TopKIndex

K, RANK, NUM_LAYERS = 10, 64, 2
LINKS, EF_SEARCH, RECALL = 32, (16, 32, 64, 128, 256, 512, 1024), 0.95
TOLERANCE = 1e-5


def gowalla_vectors(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return user and item vectors: factors of the train matrix, propagated over its graph."""
    with gzip.open(folder / "train.txt.gz", "rt") as lines:
        rows = [np.array(line.split(), dtype=np.int64) for line in lines]
    users = np.repeat([row[0] for row in rows], [len(row) - 1 for row in rows])
    items = np.concatenate([row[1:] for row in rows])
    ones = np.ones(len(users), dtype=np.float32)
    interactions = csr_matrix((ones, (users, items)))
    sides = normalised_factors(interactions, RANK).vectors()
    start = torch.from_numpy(np.concatenate(sides))
    final = layer_mean(bipartite_graph(interactions), start, NUM_LAYERS).numpy()
    return final[: len(sides[0])], final[len(sides[0]) :]


class Peer(NamedTuple):
    """A way to the top-K of a query by number, and what its line says of it."""

    search: Callable[[int], object]
    facts: dict[str, object]


def ours(items: np.ndarray, queries: np.ndarray) -> tuple[Peer, TopKIndex]:
    """Return our index: bytes by part, seconds to build, and the work of the median query."""
    started = time.perf_counter()
    index = TopKIndex.from_vectors(items)
    seconds = time.perf_counter() - started
    memory = index.memory()
    facts = {"build_seconds": round(seconds, 1), "bytes": sum(memory.values()), "parts": memory}
    return Peer(
        lambda query: index.search(queries[query], K), facts | work(index, queries, K, "scan")
    ), index


def flat_peer(items: np.ndarray, queries: np.ndarray) -> tuple[Peer, faiss.IndexFlatIP]:
    """Return FAISS' exhaustive product."""
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    search = lambda query: index.search(queries[query : query + 1], K)  # noqa: E731
    return Peer(search, {"bytes": items.nbytes}), index


def hnsw_peer(items: np.ndarray, queries: np.ndarray, expected: np.ndarray, path: Path) -> Peer:
    """Return FAISS' graph, built or as kept at ``path``, at the effort that reaches `RECALL`."""
    clock = path.with_suffix(".seconds")
    started = time.perf_counter()
    if path.exists():
        index: Any = faiss.read_index(str(path))
    else:
        index = faiss.IndexHNSWFlat(items.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        index.add(items)
        clock.write_text(f"{time.perf_counter() - started:.1f}")
        faiss.write_index(index, str(path))
    recall = 0.0
    for effort in EF_SEARCH:
        index.hnsw.efSearch = effort
        pairs = zip(index.search(queries, K)[1], expected, strict=True)
        recall = float(np.mean([np.isin(found, wanted).mean() for found, wanted in pairs]))
        if recall >= RECALL:
            break
    graph = index.hnsw
    links = 4 * graph.neighbors.size() + 8 * graph.offsets.size() + 4 * graph.levels.size()
    facts = {"build_seconds": float(clock.read_text()), "bytes": items.nbytes + links}
    facts |= {"recall": round(recall, 4), "ef_search": index.hnsw.efSearch}
    return Peer(lambda query: index.search(queries[query : query + 1], K), facts)


def check(index: TopKIndex, flat: faiss.IndexFlatIP, queries: np.ndarray) -> np.ndarray:
    """Return the ids of every query's top-K, or stop where the three ways disagree."""
    expected = index.search(queries, K, method="pqtopk")
    found = index.search(queries, K)
    same = np.array_equal(found.ids, expected.ids)
    if not (same and np.array_equal(found.scores.view(np.int32), expected.scores.view(np.int32))):
        sys.exit("the index differs from its exhaustive method")
    scores, _ = flat.search(queries, K)
    slack = TOLERANCE * np.abs(scores).max(axis=1, keepdims=True)
    if (np.abs(scores - expected.scores) > slack).any():
        sys.exit("the index differs from IndexFlatIP")
    return np.asarray(expected.ids)


def run(name: str, vectors: tuple[np.ndarray, np.ndarray], arguments: argparse.Namespace) -> None:
    """Build, check, time and print on one set of vectors."""
    queries, items = vectors
    queries = queries[np.random.default_rng(0).permutation(len(queries))[: arguments.queries]]
    peers: dict[str, Peer] = {}
    peers["scan"], index = ours(items, queries)
    peers["IndexFlatIP"], flat = flat_peer(items, queries)
    expected = check(index, flat, queries)
    if arguments.hnsw:
        path = arguments.large / f"{name}.hnsw"
        peers["IndexHNSWFlat"] = hnsw_peer(items, queries, expected, path)
    times = take_turns({method: peer.search for method, peer in peers.items()}, len(queries))
    slowest = float(np.median(times["IndexFlatIP"]))
    shared = {"load": load_average(), **environment(), "faiss-cpu": version("faiss-cpu")}
    for method, peer in peers.items():
        line: dict[str, object] = {"vectors": name, "items": len(items), "dim": items.shape[1]}
        line |= {"method": method, "k": K, "threads": 1, **summary(times[method])}
        line["times_faster_than_flat"] = slowest / float(np.median(times[method]))
        bytes_per_byte = peer.facts["bytes"] / items.nbytes  # pyright: ignore
        line["bytes_per_vector_byte"] = bytes_per_byte
        print(json.dumps(rounded(line | peer.facts) | shared), flush=True)


def main(arguments: argparse.Namespace) -> None:
    """Measure the toy shop's vectors, then Gowalla's if its folder is given."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    large = [load_file(arguments.large / f"{name}.safetensors") for name in ("queries", "items")]
    run("toy-shop", (large[0]["queries"], large[1]["items"]), arguments)
    if arguments.gowalla is not None:
        run("gowalla", gowalla_vectors(arguments.gowalla), arguments)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Exact top-10 over final item vectors")
    parser.add_argument("--large", type=Path, default=Path("runs/large"))
    parser.add_argument("--gowalla", type=Path, help="folder with Gowalla's train.txt.gz")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--no-hnsw", dest="hnsw", action="store_false")
    main(parser.parse_args())
