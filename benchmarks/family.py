"""Full tables against JPQ, model by model, as one Markdown table.

    python benchmarks/family.py runs/tiktok --markdown > benchmarks/results/tiktok.md
    python benchmarks/family.py runs/baby runs/baby-tuned --start spread --markdown

Of the trials of a model and kind of table, the one that was best on validation stands for them. p
is that of a paired test over users, on metrics averaged over the seeds of each; not corrected.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from urecjpq import compare_runs
from urecjpq.columns import format_bytes
from urecjpq.files import read_json
from urecjpq.line import Line
from urecjpq.manifest import is_finished
from urecjpq.significance import paired_test

KINDS = {
    "factors": ("full", "full-factors", "jpq-kmeans"),
    "spread": ("full", "full-spread", "jpq-spread"),
}
"""Full tables with a random start, with that of the quantised ones, and these, by that start."""
METRICS = ("recall@20", "ndcg@20")
COUNTS = ("trials", "seeds")
SIZES = ("trainable_parameters", "checkpoint_bytes")
SAVED = ("tables", "trained numbers", "checkpoint")
TRIAL = re.compile(r"(?P<backbone>[a-z0-9]+)-(?P<kind>[a-z-]+?)(-d\d+)?(-[\d.e-]+)?-(?P<seed>\d)")


def trials(
    folders: Sequence[Path], asked: Sequence[str]
) -> dict[str, dict[str, dict[str, list[Path]]]]:
    """Return finished runs of the kinds asked for by backbone, kind of table and name."""
    found: dict = {}
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        match = TRIAL.fullmatch(path.name)
        if match and match["kind"] in asked and is_finished(path):
            kinds = found.setdefault(match["backbone"], {}).setdefault(match["kind"], {})
            kinds.setdefault(path.name[:-2], []).append(path)
    return found


def chosen(named: dict[str, list[Path]]) -> list[Path]:
    """Return the runs of the trial that was best on validation with seed 0."""
    return max(
        named.values(), key=lambda runs: read_json(runs[0] / "metrics.json")["valid"]["recall@20"]
    )


def sizes(line: Line) -> dict[str, int]:
    """Return the bytes of users' and items' tables together, and what else `saved` compares."""
    tables = line.sizes["user_table_bytes"] + line.sizes["item_table_bytes"]
    return {"table_bytes": tables} | {name: line.sizes[name] for name in SIZES}


def record_of(lines: dict[str, Line]) -> dict:
    """Return what is compared of the lines of one backbone, the last of them quantised, by kind."""
    *_, quantised = lines.values()
    record: dict = {"backbone": quantised.backbone}
    for kind, line in lines.items():
        record[kind] = {metric: round(line.metrics[metric], 5) for metric in METRICS}
        record[kind] |= {"name": line.name, "seeds": len(line.seeds)}
        record[kind] |= sizes(line)
        if line is not quantised:
            for metric in METRICS:
                change = quantised.metrics[metric] / line.metrics[metric] - 1
                p_value = paired_test(line.per_user[metric], quantised.per_user[metric])
                record[kind][f"{metric} of jpq"] = [round(change, 4), float(f"{p_value:.2g}")]
    return record


def records_of(folders: Sequence[Path], start: str = "factors") -> list[dict]:
    """Return one record for each backbone that has runs of full and of JPQ tables."""
    records = []
    full, _, quantised = asked = KINDS[start]
    for kinds in trials(folders, asked).values():
        if {full, quantised} <= kinds.keys():
            runs = {kind: chosen(kinds[kind]) for kind in asked if kind in kinds}
            lines = compare_runs([run for group in runs.values() for run in group]).lines
            record = record_of(dict(zip(runs, lines, strict=True)))
            for kind in runs:
                record[kind]["trials"] = len(kinds[kind])
            records.append(record)
    return sorted(records, key=lambda record: -record["full"]["ndcg@20"])


def markdown(records: list[dict], start: str = "factors") -> str:
    """Return the records as a table, with the mean changes below."""
    full, started, quantised = asked = KINDS[start]
    heads = ["model", *COUNTS, *asked, "JPQ against full (p)", f"against {started} (p)", *SAVED]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for record in records:
        kinds = [record.get(kind) for kind in asked]
        counts = ["/".join(str(kind[of]) if kind else "–" for kind in kinds) for of in COUNTS]
        cells = [
            record["backbone"],
            *counts,
            *map(scores, kinds),
            *map(_changes, kinds[:2]),
            *saved(record[full], record[quantised]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"| **mean** | | | | | {_mean(records, full)} | {_mean(records, started)} | | | |")
    return "\n".join(lines)


def scores(kind: Mapping | None) -> str:
    """Return Recall@20 and NDCG@20 as a cell of the table."""
    return " / ".join(f"{kind[metric]:.4f}" for metric in METRICS) if kind else "not run"


def _changes(kind: dict | None) -> str:
    if not kind:
        return ""
    pairs = [kind[f"{metric} of jpq"] for metric in METRICS]
    return " / ".join(f"{change:+.1%} ({p_value:.1g})" for change, p_value in pairs)


def saved(full: Mapping, quantised: Mapping) -> list[str]:
    """Return what `SAVED` were and are, as cells of the table."""
    before, after = (kind["table_bytes"] for kind in (full, quantised))
    cells = [f"{format_bytes(before)} → {format_bytes(after)} ({before / after:.0f}x)"]
    for name, form in zip(SIZES, ("{:,}".format, format_bytes), strict=True):
        change = quantised[name] / full[name] - 1
        cells.append(f"{form(full[name])} → {form(quantised[name])} ({change:+.1%})")
    return cells


def _mean(records: list[dict], kind: str) -> str:
    given = [record[kind] for record in records if kind in record]
    changes = [[one[f"{metric} of jpq"][0] for one in given] for metric in METRICS]
    return " / ".join(f"{sum(values) / len(values):+.1%}" for values in changes if values)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of run folders")
    parser.add_argument("--markdown", action="store_true", help="a table instead of JSON lines")
    parser.add_argument("--start", default="factors", choices=KINDS, help="of quantised tables")
    arguments = parser.parse_args()
    found = records_of(arguments.folders, arguments.start)
    print(
        markdown(found, arguments.start)
        if arguments.markdown
        else "\n".join(map(json.dumps, found))
    )
