"""Finished runs side by side: means over seeds, sizes, and which differences are beyond chance."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from urecjpq.comparison import Comparison
from urecjpq.errors import InputError, require
from urecjpq.files import read_json, read_tensors
from urecjpq.line import Line
from urecjpq.manifest import verify_run
from urecjpq.significance import bonferroni, paired_test

METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
SCHEMA = 1  # of run folders this module reads


@dataclass(frozen=True)
class _Run:
    folder: Path
    config: dict[str, Any]
    results: dict[str, Any]
    users: np.ndarray
    per_user: dict[str, np.ndarray]


def compare_runs(
    folders: Sequence[Path | str], baseline: str | None = None, metrics: Sequence[str] = METRICS
) -> Comparison:
    """Return finished runs side by side, every file verified first.

    Runs of one name become one line. A line is tested against ``baseline``; without one, against
    the first line of the same backbone with plain full tables, else against the first line.

    Args:
        folders: Run folders, at least one.
        baseline: Name of a run.
        metrics: Test metrics to show; those kept per user are tested.

    Raises:
        InputError: A folder is damaged, runs differ in data or protocol, runs of one name differ
            in more than the seed, or ``baseline`` or a metric is unknown.
    """
    require(len(folders) > 0, "folders must name at least one run", "none")
    runs = [_read(Path(folder)) for folder in folders]
    groups: dict[str, list[_Run]] = {}
    for run in runs:
        _check_comparable(runs[0], run)
        _check_metrics(run, metrics)
        groups.setdefault(run.config["name"], []).append(run)
    lines = [_line(group) for group in groups.values()]
    tested = [name for name in metrics if all(name in line.per_user for line in lines)]
    pairs = list(zip(lines, _baselines(lines, baseline), strict=True))
    num_tests = len(tested) * sum(line is not other for line, other in pairs)
    return Comparison(
        lines=tuple(_tested(line, other, tested, num_tests) for line, other in pairs),
        metrics=tuple(metrics),
        catalogue=runs[0].config["catalogue"],
        protocol=runs[0].results["protocol"],
        num_users=len(runs[0].users),
        num_tests=num_tests,
    )


def _read(folder: Path) -> _Run:
    verify_run(folder)
    per_user = {
        k: v.numpy() for k, v in read_tensors(folder / "user_metrics.safetensors")[0].items()
    }
    config, results = (read_json(folder / name) for name in ("config.json", "metrics.json"))
    rule = f"{folder / 'config.json'} must have the schema {SCHEMA}"
    require(config.get("schema") == SCHEMA, rule, config.get("schema"), "Update urecjpq.")
    return _Run(folder, config, results, per_user.pop("users"), per_user)


def _check_comparable(first: _Run, run: _Run) -> None:
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


def _check_metrics(run: _Run, metrics: Sequence[str]) -> None:
    known = run.results["test"]
    for name in metrics:
        rule = f"metrics must be among the test metrics of {run.folder}"
        require(name in known, rule, repr(name), f"Known: {', '.join(known)}.")


def _line(runs: list[_Run]) -> Line:
    runs = sorted(runs, key=lambda run: run.config["seed"])
    _check_seeds(runs)
    config, test = runs[0].config, _columns([run.results["test"] for run in runs])
    return Line(
        name=config["name"],
        backbone=config["backbone"]["name"],
        tables=config["tables"],
        seeds=tuple(run.config["seed"] for run in runs),
        metrics=_means(test),
        spread={k: float(v.std(ddof=1)) for k, v in test.items()} if len(runs) > 1 else {},
        sizes={
            k: round(v) for k, v in _means(_columns([r.results["sizes"] for r in runs])).items()
        },
        training=_means(_columns([run.results["training"] for run in runs])),
        per_user={k: v.mean(0) for k, v in _columns([run.per_user for run in runs]).items()},
        history=_history(runs[0].folder / "history.jsonl"),
        folder=runs[0].folder,
    )


def _check_seeds(runs: list[_Run]) -> None:
    first, seeds = runs[0].config, [run.config["seed"] for run in runs]
    rule = f"runs named {first['name']} must have different seeds"
    require(len(set(seeds)) == len(seeds), rule, f"seeds {seeds}")
    for run in runs[1:]:
        keys = sorted(set(first) | set(run.config))
        differing = [k for k in keys if k != "seed" and first.get(k) != run.config.get(k)]
        require(
            not differing,
            f"runs named {first['name']} must differ in the seed alone",
            f"different {', '.join(differing)} in {runs[0].folder} and {run.folder}",
            "Give runs of different settings different names.",
        )


def _columns(records: list[dict]) -> dict[str, np.ndarray]:
    """Return the values of every key all records share, stacked over the records."""
    shared = [key for key in records[0] if all(key in record for record in records)]
    return {key: np.array([record[key] for record in records]) for key in shared}


def _means(columns: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in columns.items()}


def _history(path: Path) -> list[dict]:
    if not path.is_file():
        return []
    return [json.loads(record) for record in path.read_text(encoding="utf-8").splitlines()]


def _baselines(lines: list[Line], baseline: str | None) -> list[Line]:
    named = {line.name: line for line in lines}
    if baseline is not None and baseline not in named:
        rule = f"baseline must be one of {', '.join(named)}"
        raise InputError(f"{rule}; got {baseline!r}.")
    full = {line.backbone: line for line in reversed(lines) if line.is_full}
    return [named[baseline] if baseline else full.get(a.backbone, lines[0]) for a in lines]


def _tested(line: Line, other: Line, metrics: Sequence[str], num_tests: int) -> Line:
    if line is other:
        return line
    p_values = {
        name: bonferroni(paired_test(line.per_user[name], other.per_user[name]), num_tests)
        for name in metrics
    }
    return replace(line, baseline=other.name, p_values=p_values)
