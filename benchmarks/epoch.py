"""Seconds of one LightGCN training epoch and of one full-ranking evaluation, beside peers.

    pip install torch-geometric
    python benchmarks/epoch.py --data FOLDER [--threads 2] > benchmarks/results/epoch.jsonl

Amazon Baby, batch 2,048, 2 layers, d = 64. All in one run, so that the ratios mean something on a
busy machine; each figure is the median of several repeats. Peers: torch_geometric's LightGCN, its
own model, graph and loss (on the sparse adjacency, its faster form) in the same loop over the same
batches; and for the evaluation the bare products and torch.topk, without masking or metrics.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from urecjpq import load_catalogue
from urecjpq.build import build_backbone, build_tables
from urecjpq.environment import environment
from urecjpq.evaluation import evaluate
from urecjpq.graphs import LightGCNConfig
from urecjpq.sampling import TripleSampler
from urecjpq.table_config import TABLES
from urecjpq.training import deterministic, train_epoch

BATCH_SIZE, NUM_LAYERS, DIM = 2048, 2, 64
NAMES = ("recall", "ndcg")


def median_seconds(work: Callable[[int], object], repeats: int) -> float:
    """Return the median time of ``work(1) … work(repeats)``, after one call not counted."""
    work(0)
    times = []
    for number in range(1, repeats + 1):
        started = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def our_model(catalogue, tables: str):
    """Return LightGCN and its optimizer over the named tables."""
    interactions = catalogue.matrix("train")
    config = LightGCNConfig(num_layers=NUM_LAYERS)
    pair = build_tables(TABLES[tables], interactions, seed=0)
    model = build_backbone(config, pair, interactions, {}, {}, seed=0)
    return model, torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)


def pyg_epoch(catalogue, sampler: TripleSampler) -> Callable[[int], object] | None:
    """Return one epoch of torch_geometric's LightGCN, or None where it is not installed."""
    try:
        from torch_geometric.nn import LightGCN as PyGLightGCN  # pyright: ignore[reportMissingImports]
        from torch_geometric.utils import to_torch_csr_tensor  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    train = catalogue.matrix("train").tocoo()
    users, items = (torch.from_numpy(a.astype(np.int64)) for a in (train.row, train.col))
    edges = torch.stack([users, items + catalogue.num_users])
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    num_nodes = catalogue.num_users + catalogue.num_items
    graph = to_torch_csr_tensor(edges, size=(num_nodes, num_nodes))
    model = PyGLightGCN(num_nodes, DIM, NUM_LAYERS)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch(number: int) -> None:
        for batch in sampler.epoch(number):
            optimizer.zero_grad()
            vectors = model.get_embedding(graph)
            rows = vectors[torch.cat([batch.users, batch.users])]
            others = torch.cat([batch.positives, batch.negatives]) + catalogue.num_users
            positive, negative = (rows * vectors[others]).sum(-1).chunk(2)
            nodes = torch.cat([batch.users, others])
            model.recommendation_loss(positive, negative, node_id=nodes).backward()
            optimizer.step()

    return epoch


def bare_ranking(users: torch.Tensor, items: torch.Tensor) -> None:
    """Do the products and the top-K of an evaluation and nothing else."""
    buffer = torch.empty(256, len(items))
    for block in users.split(256):
        torch.mm(block, items.T, out=buffer[: len(block)]).topk(20)


def main(data: Path, threads: int, repeats: int) -> None:
    """Print one JSON line per figure."""
    torch.set_num_threads(threads)
    catalogue = load_catalogue("amazon-baby", data)
    sampler = TripleSampler(catalogue.matrix("train"), BATCH_SIZE, seed=0)
    machine = {"threads": threads, **environment()}

    def report(what: str, seconds: float) -> None:
        print(json.dumps({"what": what, "seconds": round(seconds, 3), **machine}), flush=True)

    models = {name: our_model(catalogue, name) for name in ("full", "jpq-kmeans")}
    with deterministic():
        for name, (model, optimizer) in models.items():
            epoch = median_seconds(
                lambda n, m=model, o=optimizer: train_epoch(m, o, sampler, n, seed=0), repeats
            )
            report(f"training epoch, {name}", epoch)
    if (peer := pyg_epoch(catalogue, sampler)) is not None:
        report("training epoch, torch_geometric LightGCN, full", median_seconds(peer, repeats))
    for name, (model, _) in models.items():
        with torch.no_grad():
            users, items = model.eval().vectors()
        seconds = median_seconds(
            lambda _, u=users, i=items: evaluate(u, i, catalogue, "test", names=NAMES), repeats
        )
        report(f"evaluation of all users, {name}", seconds)
        report(
            f"products and topk alone, {name}",
            median_seconds(lambda _, u=users, i=items: bare_ranking(u, i), repeats),
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One epoch and one evaluation")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.data, arguments.threads, arguments.repeats)
