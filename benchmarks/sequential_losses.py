"""CPU seconds of every loss over a full and a JPQ table of MovieLens 1M's size, side by side.

    python benchmarks/sequential_losses.py > benchmarks/results/sequential-losses.jsonl

3,416 items, d = 64, m = 8, b = 256; 25,600 positions, a batch of 128 histories of 200. A step is
the loss, its gradients and Adam on the table; what a backbone adds is the same for both tables. One
thread; the tables take turns, and a line has the median of each.
"""

import argparse
import json
import statistics
import time

import torch
from torch import Tensor, nn

from urecjpq.environment import environment
from urecjpq.sequential.losses import BCE, GBCE, LambdaRank, Loss, SampledSoftmax, Softmax
from urecjpq.tables import JPQEmbedding, Table
from urecjpq.training import deterministic

NUM_ITEMS, DIM, POSITIONS = 3416, 64, 128 * 200
LOSSES = (Softmax(), SampledSoftmax(), BCE(), GBCE(), LambdaRank())


def step(loss: Loss, table: Table, optimizer: torch.optim.Optimizer, queries: Tensor) -> float:
    """Return the CPU seconds of one step."""
    positives = torch.randint(NUM_ITEMS, (len(queries),))
    started = time.process_time()
    optimizer.zero_grad(set_to_none=True)
    queries.grad = None
    loss(table, queries, positives, torch.default_generator).backward()
    optimizer.step()
    return time.process_time() - started


def main(repeats: int) -> None:
    """Print one JSON line per loss."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    codes = torch.randint(256, (NUM_ITEMS, 8))
    tables = {"full": nn.Embedding(NUM_ITEMS, DIM), "jpq": JPQEmbedding(codes, DIM)}
    optimizers = {name: torch.optim.Adam(t.parameters(), fused=True) for name, t in tables.items()}
    queries = torch.randn(POSITIONS, DIM, requires_grad=True)
    with deterministic():
        for loss in LOSSES:
            seconds: dict[str, list[float]] = {name: [] for name in tables}
            for _ in range(repeats + 1):
                for name, table in tables.items():
                    seconds[name].append(step(loss, table, optimizers[name], queries))
            line: dict[str, object] = {"loss": loss.model_dump(), "positions": POSITIONS}
            line |= {"items": NUM_ITEMS, "d": DIM}
            for name, found in seconds.items():
                line[f"{name}_cpu_seconds"] = round(statistics.median(found[1:]), 4)
            print(json.dumps(line | {"threads": 1, **environment()}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Every loss over a full and a JPQ table")
    parser.add_argument("--repeats", type=int, default=5)
    main(parser.parse_args().repeats)
