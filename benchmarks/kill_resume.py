"""Kill a run at random moments, resume it each time, and compare its bytes with an unbroken run.

    python benchmarks/kill_resume.py --dataset toy-shop --kills 10

Prints one JSON line: where each kill hit, and whether the sha256 of each file that must be equal
is. Moments are drawn over the seconds that the unbroken run took, so that kills hit the start,
codes, epochs and saving alike. Exits with 1 if a file differs.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMPARED = (
    "config.json",
    "model.safetensors",
    "codes.safetensors",
    "graph.safetensors",
    "ids.tsv.gz",
    "user_metrics.safetensors",
)


def child(arguments: argparse.Namespace, folder: str) -> None:
    """Run, or go on with, the experiment in ``folder``."""
    import functools

    from urecjpq import describe, experiment, load_catalogue

    experiment.train = functools.partial(experiment.train, save_every=arguments.save_every)
    catalogue = load_catalogue(arguments.dataset, arguments.data)
    config = describe(
        catalogue,
        name="kill-resume",
        seed=arguments.seed,
        backbone=json.loads(arguments.backbone),
        tables=json.loads(arguments.tables),
        training=json.loads(arguments.training),
    )
    print("started", flush=True)
    experiment.run_experiment(catalogue, config, folder, resume=True)


def start(folder: Path) -> subprocess.Popen:
    """Return a child that has loaded its data and begins to work."""
    command = [sys.executable, __file__, *sys.argv[1:], "--only", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if process.stdout is None or process.stdout.readline() != "started\n":
        process.wait()
        raise SystemExit(f"the child ended with {process.returncode} before it began")
    return process


def finish(folder: Path) -> float:
    """Let a child run to its end, and return the seconds it took from its first step."""
    process = start(folder)
    begun = time.perf_counter()
    if process.wait() != 0:
        raise SystemExit(f"the child ended with {process.returncode}")
    return time.perf_counter() - begun


def kill_once(folder: Path, seconds: float) -> dict:
    """Kill a child after ``seconds``, and say what it left."""
    process = start(folder)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return {"after_seconds": round(seconds, 3), "killed": killed, "files": files}


def main() -> None:
    """Run once unbroken, once with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="toy-shop", help="a card")
    parser.add_argument("--data", help="folder with the card's files")
    parser.add_argument("--backbone", default='{"name": "lightgcn"}', help="JSON")
    tables = {"kind": "jpq", "strategy": "kmeans", "start": "factors", "codebook_size": 64}
    parser.add_argument("--tables", default=json.dumps(tables), help="JSON")
    parser.add_argument("--training", default='{"max_epochs": 40}', help="JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--save-every", type=float, default=0.0, help="seconds")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        child(arguments, arguments.only)
        return

    import torch

    from urecjpq.files import sha256_of

    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as parent:
        straight, broken = Path(parent) / "straight", Path(parent) / "broken"
        seconds = finish(straight)
        kills = []
        for _ in range(arguments.kills):
            # Shares of what is left on average, or the last kills would find a finished run.
            kills.append(kill_once(broken, moments.uniform(0, 2 * seconds / arguments.kills)))
        finish(broken)
        equal = {name: sha256_of(straight / name) == sha256_of(broken / name) for name in COMPARED}
        leftovers = {p.name for p in broken.iterdir()} ^ {p.name for p in straight.iterdir()}
    record = {
        "benchmark": "kill_resume",
        "dataset": arguments.dataset,
        "backbone": json.loads(arguments.backbone),
        "tables": json.loads(arguments.tables),
        "training": json.loads(arguments.training),
        "seconds_unbroken": round(seconds, 3),
        "kills_asked": arguments.kills,
        "kills_that_hit": sum(kill["killed"] for kill in kills),
        "kills": kills,
        "equal": equal,
        "leftovers": sorted(leftovers),
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(record))
    sys.exit(0 if all(equal.values()) and not leftovers else 1)


if __name__ == "__main__":
    main()
