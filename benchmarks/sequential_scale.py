"""Seconds and memory of SASRec's training steps at a million items, JPQ against full tables.

    python benchmarks/sequential_scale.py > benchmarks/results/sequential-scale.jsonl

SASRec, d = 64, two blocks, length 50, batch 128, sampled softmax with 256 negatives, Adam; m = 8,
b = 256. Sequences are generated: Zipf's law, and every other action stays with one of 200 tastes.
Each table has a process of its own on one thread; the processes take turns. ``full_sparse`` is a
full table with torch's SparseAdam, which touches only the rows of a batch, and leaves out what Adam
does to the moments of the others. Memory is the peak of resident memory above what was resident
before the table was made; CPU seconds are what a busy machine disturbs least.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from urecjpq.assignment import assign_by_random
from urecjpq.environment import environment
from urecjpq.sequential import SASRec
from urecjpq.sequential.losses import SampledSoftmax
from urecjpq.tables import JPQEmbedding, Table
from urecjpq.training import deterministic

DIM, LENGTH, BATCH_SIZE, TASTES = 64, 50, 128, 200
CODE_LENGTH, CODEBOOK_SIZE = 8, 256
TABLES = ("full", "full_sparse", "jpq")
WARM_UP = 2


def sequences(num_items: int, count: int) -> Tensor:
    """Return ``count`` seeded histories of one action more than the model's length."""
    rng = np.random.default_rng(0)
    shape = (count, LENGTH + 1)
    shares = np.cumsum(1 / np.arange(1, num_items + 1))
    items = np.searchsorted(shares / shares[-1], rng.random(shape)).clip(max=num_items - 1)
    own_taste = items // TASTES * TASTES + rng.integers(TASTES, size=(count, 1))
    return torch.from_numpy(
        np.where(rng.random(shape) < 0.5, own_taste.clip(max=num_items - 1), items)
    )


def make_table(name: str, num_items: int) -> Table:
    """Return a table whose rows have unit expected squared norm."""
    if name == "jpq":
        codes, _ = assign_by_random(num_items, CODE_LENGTH, CODEBOOK_SIZE)
        return JPQEmbedding(codes, DIM, CODEBOOK_SIZE)
    table = nn.Embedding(num_items, DIM, sparse=name == "full_sparse")
    nn.init.normal_(table.weight, std=DIM**-0.5)
    return table


def make_optimizers(model: SASRec, name: str) -> list[torch.optim.Optimizer]:
    """Return Adam, beside SparseAdam for a table of sparse gradients."""
    values = set(model.item_table.parameters()) if name == "full_sparse" else set()
    rest = [each for each in model.parameters() if each not in values]
    adam = torch.optim.Adam(rest, fused=True)
    return [adam, torch.optim.SparseAdam(list(values))] if values else [adam]


def measure(name: str, num_items: int, steps: int) -> dict[str, object]:
    """Train for some steps in this process and return its line."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    batches = sequences(num_items, (steps + WARM_UP) * BATCH_SIZE).split(BATCH_SIZE)
    before = resident("VmRSS")
    table = make_table(name, num_items)
    loss = SampledSoftmax(num_negatives=256)
    model = SASRec(table, max_length=LENGTH, loss=loss).train()
    optimizers = make_optimizers(model, name)
    clocks, losses = [], []
    with deterministic():
        for batch in batches:
            wall, cpu = time.perf_counter(), time.process_time()
            for optimizer in optimizers:
                optimizer.zero_grad(set_to_none=True)
            value = model.loss(batch)
            value.backward()
            for optimizer in optimizers:
                optimizer.step()
            clocks.append((time.process_time() - cpu, time.perf_counter() - wall))
            losses.append(value.item())
    cpu, wall = (statistics.median(column) for column in zip(*clocks[WARM_UP:], strict=True))
    return {
        "table": name,
        "items": num_items,
        "cpu_seconds_per_step": round(cpu, 4),
        "seconds_per_step": round(wall, 4),
        "peak_mb": round(resident("VmHWM") - before, 1),
        "table_mb": round(sum(t.nbytes for t in table.state_dict().values()) / 2**20, 1),
        "trained": sum(p.numel() for p in model.parameters()),
        "steps": steps,
        "first_loss": round(losses[0], 4),
        "last_loss": round(losses[-1], 4),
    }


def resident(field: str) -> float:
    """Return resident memory in MB, now (``VmRSS``) or at most so far (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def main(num_items: int, steps: int, rounds: int) -> None:
    """Measure every table in turns, one line each, then the ratios of their medians."""
    found: dict[str, list[dict]] = {name: [] for name in TABLES}
    for _ in range(rounds):
        for name in TABLES:
            command = [sys.executable, __file__, "--only", name]
            command += ["--items", str(num_items), "--steps", str(steps)]
            line = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            found[name].append(line)
            print(json.dumps(line | {"threads": 1, **environment()}), flush=True)
    for name in TABLES[:-1]:
        ratios = {
            field: round(
                statistics.median(line[field] for line in found[name])
                / statistics.median(line[field] for line in found["jpq"]),
                2,
            )
            for field in ("cpu_seconds_per_step", "seconds_per_step", "peak_mb")
        }
        print(json.dumps({"jpq against": name, "items": num_items, "times": ratios}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="SASRec's steps at a million items")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=TABLES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.items, arguments.steps)))
    else:
        main(arguments.items, arguments.steps, arguments.rounds)
