"""Kill a run at random moments, resume it each time, and compare its bytes with an unbroken run.

    python benchmarks/kill_resume.py --dataset toy-shop --kills 10

Prints one JSON line: where each kill hit, and whether the sha256 of each file that must be equal
is, and every epoch's loss. A kill comes a random number of epochs after the child began plus a
random part of an epoch, so that it hits codes (0 epochs), steps and checkpoints alike. Exits with
1 if anything differs.
"""

import argparse
import importlib.metadata
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


def finish(folder: Path) -> None:
    """Let a child run to its end."""
    process = start(folder)
    if process.wait() != 0:
        raise SystemExit(f"the child ended with {process.returncode}")


def history_of(folder: Path) -> list[dict]:
    """Return the epochs of a finished run, or those of its checkpoint."""
    from urecjpq.files import read_tensors

    if (folder / "manifest.json").exists():
        lines = (folder / "history.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]
    if (folder / "checkpoint.safetensors").exists():
        _, metadata = read_tensors(folder / "checkpoint.safetensors")
        return json.loads(metadata["progress"])["history"]
    return []


def kill_once(folder: Path, epochs: int, seconds: float) -> dict:
    """Kill a child ``seconds`` after it saved ``epochs`` more, and say what it left."""
    goal = len(history_of(folder)) + epochs
    process = start(folder)
    while process.poll() is None and len(history_of(folder)) < goal:
        time.sleep(0.002)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    killed = process.wait() == -signal.SIGKILL
    files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return {"killed": killed, "epochs_saved": len(history_of(folder)), "files": files}


def main() -> None:
    """Run once unbroken, once with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="toy-shop", help="a card")
    parser.add_argument("--data", help="folder with the card's files")
    parser.add_argument("--backbone", default='{"name": "lightgcn"}', help="JSON")
    tables = {"kind": "jpq", "strategy": "kmeans", "start": "factors", "codebook_size": 64}
    parser.add_argument("--tables", default=json.dumps(tables), help="JSON")
    parser.add_argument("--training", default='{"max_epochs": 60}', help="JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument(
        "--save-every", type=float, default=0.0, help="at most so often, in seconds"
    )
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        child(arguments, arguments.only)
        return

    from urecjpq.files import sha256_of

    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as parent:
        straight, broken = Path(parent) / "straight", Path(parent) / "broken"
        finish(straight)
        epochs = history_of(straight)
        share = len(epochs) // (arguments.kills + 1)
        epoch_seconds = sum(epoch["seconds"] for epoch in epochs) / len(epochs)
        kills = []
        for _ in range(arguments.kills):
            after = moments.randint(0, share)
            # Loading and codes come before the first epoch, and take longer than one.
            seconds = moments.uniform(0, epoch_seconds if after else 2.0)
            kills.append(kill_once(broken, after, seconds))
        finish(broken)
        equal = {name: sha256_of(straight / name) == sha256_of(broken / name) for name in COMPARED}
        losses = [[e["loss"] for e in history_of(folder)] for folder in (straight, broken)]
        equal["losses"] = losses[0] == losses[1]
        leftovers = {p.name for p in broken.iterdir()} ^ {p.name for p in straight.iterdir()}
    record = {
        "benchmark": "kill_resume",
        "dataset": arguments.dataset,
        "backbone": json.loads(arguments.backbone),
        "tables": json.loads(arguments.tables),
        "training": json.loads(arguments.training),
        "epochs": len(epochs),
        "kills_asked": arguments.kills,
        "kills_that_hit": sum(kill["killed"] for kill in kills),
        "kills": kills,
        "equal": equal,
        "leftovers": sorted(leftovers),
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": {
            "python": platform.python_version(),
            "torch": importlib.metadata.version("torch"),
        },
    }
    print(json.dumps(record))
    sys.exit(0 if all(equal.values()) and not leftovers else 1)


if __name__ == "__main__":
    main()
