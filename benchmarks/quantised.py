"""Trained full tables against their quantised selves, model by model, as one Markdown table.

    python benchmarks/quantised.py runs/tiktok runs/tiktok-quantised

Runs are those of `recipes/quantise.py` and what they were made of. p is that of a paired test over
users, on metrics averaged over the seeds of each; not corrected.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from family import METRICS, SAVED, saved, scores, sizes

from urecjpq import compare_runs
from urecjpq.files import read_json
from urecjpq.line import Line
from urecjpq.manifest import is_finished
from urecjpq.significance import paired_test

MARK = "-quantised-m"


def named(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the finished runs in some folders by their name."""
    found: dict[str, list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        if is_finished(path):
            found.setdefault(read_json(path / "config.json")["name"], []).append(path)
    return found


def groups(folders: Sequence[Path]) -> dict[str, list[tuple[int, Line, Line]]]:
    """Return code length, full and quantised line, by backbone and with the best model first."""
    runs, found = named(folders), {}
    for name in [name for name in runs if MARK in name]:
        source, _, length = name.rpartition(MARK)
        seeds = {read_json(path / "config.json")["seed"] for path in runs[name]}
        full = [p for p in runs[source] if read_json(p / "config.json")["seed"] in seeds]
        lines = compare_runs([*full, *runs[name]], baseline=source).lines
        found.setdefault(lines[0].backbone, []).append((int(length), *lines))
    return dict(sorted(found.items(), key=lambda item: -item[1][0][1].metrics[METRICS[1]]))


def markdown(groups: dict[str, list[tuple[int, Line, Line]]]) -> str:
    """Return one row for each backbone and code length, with the mean changes below."""
    heads = ["model", "m", "seeds", "full", "quantised", "Recall@20 (p)", "NDCG@20 (p)", *SAVED]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    means: dict[int, list[list[float]]] = {}
    for backbone, pairs in groups.items():
        for length, full, small in sorted(pairs, key=lambda pair: pair[0]):
            changes = [small.metrics[metric] / full.metrics[metric] - 1 for metric in METRICS]
            means.setdefault(length, []).append(changes)
            cells = [backbone, str(length), str(len(small.seeds))]
            cells += [scores(full.metrics), scores(small.metrics)]
            cells += map(_change, METRICS, changes, [full] * 2, [small] * 2)
            cells += saved(sizes(full), sizes(small))
            lines.append(f"| {' | '.join(cells)} |")
    for length, changes in sorted(means.items()):
        mean = [f"{sum(values) / len(values):+.1%}" for values in zip(*changes, strict=True)]
        lines.append(f"| **mean of {len(changes)}** | {length} | | | | {' | '.join(mean)} | | | |")
    return "\n".join(lines)


def _change(metric: str, change: float, full: Line, small: Line) -> str:
    return f"{change:+.1%} ({paired_test(full.per_user[metric], small.per_user[metric]):.1g})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of run folders")
    print(markdown(groups(parser.parse_args().folders)))
