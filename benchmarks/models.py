"""Processor seconds of a training epoch and peak memory of every graph model, full and JPQ.

    python benchmarks/models.py --data FOLDER > benchmarks/results/models.jsonl

TikTok (59,541 training pairs, image and audio of 128 numbers each), batch 2,048, d = 64, default
settings, one thread. Each model runs in a process of its own; seconds are those that the process
was given, so a busy machine changes them little. Memory is what building, training and the final
vectors took on top of the process with the data loaded. ``of_lightgcn`` is the epoch's length
divided by that of LightGCN with the same tables in the same run.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from tqdm import tqdm

from urecjpq import load_catalogue
from urecjpq.build import build_backbone, build_tables
from urecjpq.environment import environment
from urecjpq.graphs import BACKBONES
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.memory import peak_memory, reset_peak
from urecjpq.sampling import TripleSampler
from urecjpq.table_config import TABLES
from urecjpq.training import deterministic, train_epoch

REFERENCE = "lightgcn"
TABLE_NAMES = ("full", "jpq-kmeans")
BATCH_SIZE, RATE = 2048, 1e-3


def measure(data: Path, backbone: str, tables: str, repeats: int) -> dict:
    """Return what the epochs of one model took, in this process."""
    torch.set_num_threads(1)
    catalogue = with_neighbours(load_catalogue("tiktok", data))
    train = catalogue.matrix("train")
    reset_peak()
    before = peak_memory()["peak_resident_bytes"]
    pair = build_tables(TABLES[tables], train, seed=0)
    given = catalogue.neighbours, catalogue.features
    model = build_backbone(BACKBONES[backbone](), pair, train, *given, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    sampler = TripleSampler(train, BATCH_SIZE, seed=0)
    seconds = []
    with deterministic():
        for epoch in range(1, repeats + 2):
            started = time.process_time()
            train_epoch(model, optimizer, sampler, epoch, seed=0)
            seconds.append(time.process_time() - started)
        with torch.no_grad():
            model.eval().vectors()
    return {
        "backbone": backbone,
        "tables": tables,
        "epoch_cpu_seconds": round(median(seconds[1:]), 3),
        "memory_bytes": peak_memory()["peak_resident_bytes"] - before,
        "trainable_parameters": int(np.sum([p.numel() for p in model.parameters()])),
    }


def main(data: Path, backbones: list[str], repeats: int) -> None:
    """Print one JSON line per model and kind of table."""
    names = [REFERENCE] + [name for name in backbones if name != REFERENCE]
    reference = {}
    machine = {"threads": 1, **environment()}
    jobs = [(name, tables) for name in names for tables in TABLE_NAMES]
    for name, tables in tqdm(jobs, unit="model", disable=None):
        options = ["--data", str(data), "--repeats", str(repeats), "--one", name, tables]
        command = [sys.executable, __file__, *options]
        child = subprocess.run(command, check=True, capture_output=True, text=True)
        record = json.loads(child.stdout)
        seconds = record["epoch_cpu_seconds"]
        reference.setdefault(tables, seconds)
        record["of_lightgcn"] = round(seconds / reference[tables], 2)
        print(json.dumps(record | machine), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Epoch and memory of every graph model")
    parser.add_argument("--data", type=Path, required=True, help="folder with the TikTok files")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=BACKBONES)
    parser.add_argument(
        "--repeats", type=int, default=3, help="epochs counted, after one that is not"
    )
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "TABLES"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        backbone, tables = chosen.one
        print(json.dumps(measure(chosen.data, backbone, tables, chosen.repeats)))
    else:
        main(chosen.data, chosen.backbones, chosen.repeats)
