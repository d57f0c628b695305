"""What a step of a sequential model costs with full and with JPQ tables, side by side.

    python benchmarks/sequential_epoch.py --card FOLDER/ml-1m.toml

Steps of both kinds take turns in one process on one thread, on the same batches, and in turn go
first: the one that follows finds the processor slower or faster by up to a twentieth. Seconds are
those of the processor, which other work on the machine changes less than those of the clock. An
epoch is the median step times the batches of an epoch. FOLDER is made by benchmarks/ml_1m.py.
"""

import argparse
import json
import time
from itertools import islice

import numpy as np
import torch

from urecjpq import load_catalogue
from urecjpq.build import build_item_table, build_sequential
from urecjpq.data import partition_leave_one_out
from urecjpq.environment import environment
from urecjpq.sequential import SEQUENTIAL_BACKBONES
from urecjpq.sequential.backbone import SequentialBackbone
from urecjpq.table_config import TABLES
from urecjpq.training import deterministic

VALIDATION_USERS = 1024


def step(model: SequentialBackbone, optimizer: torch.optim.Optimizer, batch: torch.Tensor) -> float:
    """Take a training step and return its seconds of processor time."""
    started = time.process_time()
    optimizer.zero_grad(set_to_none=True)
    model.loss(batch).backward()
    optimizer.step()
    return time.process_time() - started


def main(card: str, backbone: str, kinds: list[str], batch_size: int, steps: int) -> None:
    """Print one line per kind of table."""
    torch.set_num_threads(1)
    catalogue = partition_leave_one_out(load_catalogue(card), VALIDATION_USERS)
    config = SEQUENTIAL_BACKBONES[backbone]()
    models = {
        kind: build_sequential(config, build_item_table(TABLES[kind], catalogue, 0), 0)
        for kind in kinds
    }
    optimizers = {
        kind: torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        for kind, model in models.items()
    }
    batches = models[kinds[0]].batches(catalogue, batch_size, 0)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    with deterministic():
        for turn, batch in enumerate(islice(batches.epoch(1), steps + 1)):
            for kind in kinds if turn % 2 else reversed(kinds):
                seconds[kind].append(step(models[kind], optimizers[kind], batch))
    for kind, taken in seconds.items():
        median = float(np.median(taken[1:]))  # the first step warms up
        line = {
            "backbone": config.model_dump(),
            "tables": kind,
            "batch_size": batch_size,
            "steps": steps,
            "step_seconds": round(median, 4),
            "epoch_seconds": round(median * len(batches), 2),
            "trainable_parameters": sum(p.numel() for p in models[kind].parameters()),
            "threads": 1,
        }
        print(json.dumps(line | environment()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", default="ml-1m", help="name or path of a card")
    parser.add_argument("--backbone", default="sasrec", choices=SEQUENTIAL_BACKBONES)
    parser.add_argument("--tables", nargs="+", default=["full", "jpq-kmeans"], choices=TABLES)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    a = parser.parse_args()
    main(a.card, a.backbone, a.tables, a.batch_size, a.steps)
