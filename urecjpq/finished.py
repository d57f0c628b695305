"""Finished runs as a comparison reads them, and what must hold for runs to be comparable."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from urecjpq.config import SCHEMA
from urecjpq.errors import require
from urecjpq.files import read_json, read_tensors
from urecjpq.manifest import verify_run


@dataclass(frozen=True)
class FinishedRun:
    """What a run folder says of itself and of its test users, in the order of `users`."""

    folder: Path
    config: dict[str, Any]
    results: dict[str, Any]
    users: np.ndarray
    per_user: dict[str, np.ndarray]


def read_finished(folder: Path) -> FinishedRun:
    """Return a finished run, every byte of its folder checked."""
    verify_run(folder)
    per_user = {
        k: v.numpy() for k, v in read_tensors(folder / "user_metrics.safetensors")[0].items()
    }
    config, results = (read_json(folder / name) for name in ("config.json", "metrics.json"))
    rule = f"{folder / 'config.json'} must have the schema {SCHEMA}"
    require(config.get("schema") == SCHEMA, rule, config.get("schema"), "Update urecjpq.")
    return FinishedRun(folder, config, results, per_user.pop("users"), per_user)


def require_comparable(first: FinishedRun, run: FinishedRun) -> None:
    """Refuse runs on other data, by another protocol, or of other users."""
    both = f"{first.folder} and {run.folder}"
    catalogues = [each.config["catalogue"] for each in (first, run)]
    require(
        catalogues[0]["digest"] == catalogues[1]["digest"],
        f"{both} must hold runs on the same catalogue",
        " and ".join(f"{c['name']} ({c['digest'][:12]}…)" for c in catalogues),
        "Compare runs on the same data and partition.",
    )
    protocols = [each.results["protocol"] for each in (first, run)]
    require(
        protocols[0] == protocols[1],
        f"{both} must be evaluated by the same protocol",
        f"{protocols[0]} and {protocols[1]}",
        "Evaluate both by the same rule.",
    )
    same = np.array_equal(first.users, run.users)
    require(same, f"{both} must hold metrics of the same users", "different users")


def require_metrics(run: FinishedRun, metrics: Sequence[str]) -> None:
    """Refuse a metric that the run does not have."""
    known = run.results["test"]
    for name in metrics:
        rule = f"metrics must be among the test metrics of {run.folder}"
        require(name in known, rule, repr(name), f"Known: {', '.join(known)}.")


def require_seeds(runs: list[FinishedRun]) -> None:
    """Refuse runs of one name that differ in more than the seed, or not even in it."""
    first, seeds = runs[0].config, [run.config["seed"] for run in runs]
    rule = f"runs named {first['name']} must have different seeds"
    require(len(set(seeds)) == len(seeds), rule, f"seeds {seeds}")
    for run in runs[1:]:
        keys = sorted(set(first) | set(run.config))
        own = ("seed", "source")  # a run of another seed starts from another trained one
        differing = [k for k in keys if k not in own and first.get(k) != run.config.get(k)]
        require(
            not differing,
            f"runs named {first['name']} must differ in the seed alone",
            f"different {', '.join(differing)} in {runs[0].folder} and {run.folder}",
            "Give runs of different settings different names.",
        )
