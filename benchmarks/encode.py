"""Encode a data set in one command, then again with kills, and compare the files.

    python benchmarks/ml_1m.py --data ../shared/data/ml-1m --out runs/ml-1m
    python benchmarks/encode.py runs/ml-1m/ml-1m.toml --encoder clip-image --weights random:0

Prints one JSON line: rate, processor time and peak memory of the straight run (``urecjpq encode``
in a process of its own, an empty cache, loading included), and whether the feature file has the
same sha256 after five kills at random moments. Exits with 1 if it has not, or if a saved row was
encoded again. With ``--kills 0`` the straight run alone.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def start(arguments: argparse.Namespace, home: Path) -> subprocess.Popen:
    """Return a running ``urecjpq encode`` with a cache of its own."""
    command = [sys.executable, "-m", "urecjpq.cli", "encode", arguments.card]
    command += ["--encoder", arguments.encoder, "--save-every", str(arguments.save_every)]
    if arguments.weights:
        command += ["--weights", arguments.weights]
    given = os.environ | {"URECJPQ_HOME": str(home)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=given)


def finish(process: subprocess.Popen) -> dict[str, str]:
    """Return what a run that goes to its end says of itself."""
    said, _ = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"the child ended with {process.returncode}")
    told = dict(re.split(r" {2,}", line, maxsplit=1) for line in said.splitlines())
    told.pop("features")  # the path of a temporary folder
    return told


def count_rows(home: Path) -> tuple[int, int]:
    """Return how many rows the shards hold, and how many different ones."""
    from urecjpq.files import read_tensors

    keys: list[bytes] = []
    for path in home.glob("encoded/*/*.safetensors"):
        content = read_tensors(path)[0]["keys"].numpy().tobytes()
        keys += [content[start : start + 32] for start in range(0, len(content), 32)]
    return len(keys), len(set(keys))


def main() -> None:
    """Run once straight, once with kills, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("card", help="of a data set")
    parser.add_argument("--encoder", default="clip-image")
    parser.add_argument("--weights", help="folder, or random:SEED")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=10.0, help="seconds")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as parent:
        straight, broken = Path(parent) / "straight", Path(parent) / "broken"
        began = time.monotonic()
        told = finish(start(arguments, straight))
        seconds = time.monotonic() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        kills = []
        for _ in range(arguments.kills):
            process = start(arguments, broken)
            moment = moments.uniform(0, 2 * seconds / (arguments.kills + 1))
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            killed = process.wait() == -signal.SIGKILL
            kills.append({"seconds": moment, "killed": killed, "rows": count_rows(broken)[0]})
        again = finish(start(arguments, broken)) if kills else None
        rows, different = count_rows(broken)
    record = {
        "benchmark": "encode",
        "card": Path(arguments.card).stem,
        "encoder": arguments.encoder,
        "weights": arguments.weights,
        "command_seconds": seconds,
        "processor_seconds": used.ru_utime + used.ru_stime,
        "straight": told,
        "kills": kills,
        "resumed": again,
        "same_sha256": again is None or told["sha256"] == again["sha256"],
        "rows_encoded_twice": rows - different,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("torch", "open_clip_torch", "transformers")
        },
    }
    print(json.dumps(record))
    sys.exit(0 if record["same_sha256"] and rows == different else 1)


if __name__ == "__main__":
    main()
