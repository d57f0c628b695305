"""Finished runs side by side: means over seeds, sizes, and which differences are beyond chance."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from urecjpq.comparison import Comparison
from urecjpq.errors import InputError, require
from urecjpq.files import read_json_lines
from urecjpq.finished import (
    FinishedRun,
    read_finished,
    require_comparable,
    require_metrics,
    require_seeds,
)
from urecjpq.line import Line
from urecjpq.significance import bonferroni, paired_test

METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")


def compare_runs(
    folders: Sequence[Path | str], baseline: str | None = None, metrics: Sequence[str] = METRICS
) -> Comparison:
    """Return finished runs side by side, every file verified first.

    Runs of one name become one line. A line is tested against ``baseline``; without one, against
    the first line with plain full tables and the same settings of the backbone, else the first of
    that backbone, else the first line.

    Args:
        folders: Run folders, at least one.
        baseline: Name of a run.
        metrics: Test metrics to show; those kept per user are tested.

    Raises:
        InputError: A folder is damaged, runs differ in data or protocol, runs of one name differ
            in more than the seed, or ``baseline`` or a metric is unknown.
    """
    require(len(folders) > 0, "folders must name at least one run", "none")
    runs = [read_finished(Path(folder)) for folder in folders]
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        require_comparable(runs[0], run)
        require_metrics(run, metrics)
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


def _line(runs: list[FinishedRun]) -> Line:
    runs = sorted(runs, key=lambda run: run.config["seed"])
    require_seeds(runs)
    config, test = runs[0].config, _columns([run.results["test"] for run in runs])
    return Line(
        name=config["name"],
        backbone=config["backbone"]["name"],
        settings=config["backbone"],
        tables=config["tables"],
        seeds=tuple(run.config["seed"] for run in runs),
        metrics=_means(test),
        spread={k: float(v.std(ddof=1)) for k, v in test.items()} if len(runs) > 1 else {},
        sizes={
            k: round(v) for k, v in _means(_columns([r.results["sizes"] for r in runs])).items()
        },
        training=_means(_columns([run.results["training"] for run in runs])),
        per_user={k: v.mean(0) for k, v in _columns([run.per_user for run in runs]).items()},
        history=read_json_lines(runs[0].folder / "history.jsonl"),
        folder=runs[0].folder,
    )


def _columns(records: list[dict]) -> dict[str, np.ndarray]:
    """Return the values of every key all records share, stacked over the records."""
    shared = [key for key in records[0] if all(key in record for record in records)]
    return {key: np.array([record[key] for record in records]) for key in shared}


def _means(columns: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(values.mean()) for name, values in columns.items()}


def _baselines(lines: list[Line], baseline: str | None) -> list[Line]:
    named = {line.name: line for line in lines}
    if baseline is not None and baseline not in named:
        rule = f"baseline must be one of {', '.join(named)}"
        raise InputError(f"{rule}; got {baseline!r}.")
    return [named[baseline] if baseline else _full_of(line, lines) for line in lines]


def _full_of(line: Line, lines: Sequence[Line]) -> Line:
    """Return the full line nearest to ``line``: of the same settings, or of the same backbone."""
    full = [other for other in lines if other.is_full and other.backbone == line.backbone]
    alike = [other for other in full if other.settings == line.settings]
    return [*alike, *full, *lines][0]


def _tested(line: Line, other: Line, metrics: Sequence[str], num_tests: int) -> Line:
    if line is other:
        return line
    p_values = {
        name: bonferroni(paired_test(line.per_user[name], other.per_user[name]), num_tests)
        for name in metrics
    }
    return replace(line, baseline=other.name, p_values=p_values)
