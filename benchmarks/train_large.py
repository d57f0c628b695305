"""Train LightGCN with JPQ tables on a toy shop of millions of items, for benchmarks of the index.

    python benchmarks/train_large.py --out runs/large >> benchmarks/results/train-large.jsonl

300,000 users, 2,000,000 items, 12,000,000 pairs, see `large_shop`; m = 8, b = 256, d = 64, codes
and starting centroids by k-means on factors. Twenty-five minutes on one thread, 6 GB: 1.5 for the
shop, 1.5 for the factors, the rest for 76 steps of 262,144 pairs, which propagate all vectors each.

Writes ``table.safetensors`` (codes, centroids of the items), ``queries.safetensors`` (final vectors
of 5,000 users) and ``items.safetensors`` (final item vectors), float32. The line has the Recall@20
of 300 users over the whole catalogue before and after training.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from large_shop import draw_shop
from safetensors.torch import save_file
from scipy.sparse import csr_matrix

from urecjpq.build import build_tables
from urecjpq.environment import environment
from urecjpq.graphs import LightGCN
from urecjpq.sampling import TripleSampler
from urecjpq.table_config import TABLES
from urecjpq.training import deterministic, train_epoch

NUM_QUERIES, NUM_JUDGED, K = 5000, 300, 20


@torch.no_grad()
def recall(model: LightGCN, train: csr_matrix, valid: csr_matrix) -> float:
    """Return Recall@20 of the first users, their training items left out."""
    users, items = model.vectors()
    shares = []
    for user in range(NUM_JUDGED):
        scores = items @ users[user]
        scores[train[[user]].indices] = -torch.inf
        wanted = valid[[user]].indices
        shares.append(np.isin(wanted, scores.topk(K).indices.numpy()).mean())
    return float(np.mean(shares))


@torch.no_grad()
def save(model: LightGCN, folder: Path) -> None:
    """Write the item table, user vectors as queries, and the final item vectors."""
    folder.mkdir(parents=True, exist_ok=True)
    users, items = model.vectors()
    chosen = torch.randperm(len(users), generator=torch.Generator().manual_seed(0))[:NUM_QUERIES]
    save_file(model.item_table.state_dict(), folder / "table.safetensors")
    save_file({"queries": users[chosen]}, folder / "queries.safetensors")
    save_file({"items": items.clone()}, folder / "items.safetensors")


def main(arguments: argparse.Namespace) -> None:
    """Draw, train, save, and print one JSON line."""
    torch.set_num_threads(1)
    started = time.perf_counter()

    def log(stage: str) -> None:
        print(f"{time.perf_counter() - started:7.1f} s  {stage}", file=arguments.log, flush=True)

    train, valid = draw_shop(arguments.users, arguments.items, arguments.pairs)
    log("shop drawn")
    tables = build_tables(TABLES["jpq-kmeans"], train, seed=0)
    log("codes assigned")
    model = LightGCN(*tables, train, num_layers=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=arguments.learning_rate, fused=True)
    sampler = TripleSampler(train, arguments.batch_size, seed=0)
    before = recall(model, train, valid)
    log(f"Recall@{K} {before:.4f}")
    losses = []
    with deterministic():
        for epoch in range(1, arguments.epochs + 1):
            losses.append(train_epoch(model, optimizer, sampler, epoch, seed=0))
            log(f"epoch {epoch}, loss {losses[-1]:.4f}")
    save(model, arguments.out)
    line = {"users": arguments.users, "items": arguments.items, "train_pairs": int(train.nnz)}
    line |= {"epochs": arguments.epochs, "steps": arguments.epochs * len(sampler)}
    line |= {"losses": losses, "recall_before": before, "recall": recall(model, train, valid)}
    line |= {"seconds": round(time.perf_counter() - started), **environment()}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    import sys

    parser = argparse.ArgumentParser(description="LightGCN on a toy shop of millions of items")
    parser.add_argument("--users", type=int, default=300_000)
    parser.add_argument("--items", type=int, default=2_000_000)
    parser.add_argument("--pairs", type=int, default=12_000_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=2**18)
    parser.add_argument("--learning-rate", type=float, default=2e-2)
    parser.add_argument("--out", type=Path, default=Path("runs/large"))
    parser.set_defaults(log=sys.stderr)
    main(parser.parse_args())
