"""Finished runs as JSON lines, for benchmarks/results: what was run, and what came out.

python benchmarks/runs.py runs/tiktok > benchmarks/results/tiktok-runs.jsonl
"""

import argparse
import json
from pathlib import Path
from statistics import median

from urecjpq.config import read_config
from urecjpq.files import read_json, read_json_lines
from urecjpq.manifest import is_finished, verify_run


def line_of(run: Path) -> dict:
    """Return name, seed, settings, metrics, sizes, epochs and the median seconds of an epoch."""
    verify_run(run)
    config = read_config(run)
    history = read_json_lines(run / "history.jsonl")
    settings = {
        "name": config.name,
        "seed": config.seed,
        "backbone": config.backbone.model_dump(),
        "tables": config.tables.model_dump(exclude_defaults=True),
        "training": config.training.model_dump(exclude_defaults=True),
        "epoch_seconds": median(record["train_seconds"] for record in history),
    }
    return settings | read_json(run / "metrics.json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of run folders")
    for path in sorted(parser.parse_args().folder.iterdir()):
        if is_finished(path):
            print(json.dumps(line_of(path)))
