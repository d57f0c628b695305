"""Full tables against JPQ, model by model, as one Markdown table.

    python benchmarks/family.py runs/tiktok --markdown > benchmarks/results/tiktok.md

Of the trials of a model and kind of table, the one that was best on validation stands for them. p
is that of a paired test over users, on metrics averaged over the seeds both have; not corrected.
"""

import argparse
import json
from pathlib import Path

from urecjpq import compare_runs
from urecjpq.comparison import Line
from urecjpq.files import read_json
from urecjpq.manifest import is_finished
from urecjpq.significance import paired_test

KINDS = ("full", "jpq-kmeans")
METRICS = ("recall@20", "ndcg@20")


def chosen(folder: Path, backbone: str, kind: str) -> list[Path]:
    """Return the runs, one per seed, of the trial that was best on validation with seed 0."""
    named = [f"{backbone}-{kind}"] + [
        path.name[:-2] for path in folder.glob(f"{backbone}-{kind}-*.*-0")
    ]
    firsts = [folder / f"{name}-0" for name in named if is_finished(folder / f"{name}-0")]
    if not firsts:
        return []
    best = max(firsts, key=lambda run: read_json(run / "metrics.json")["valid"]["recall@20"])
    return [run for run in sorted(folder.glob(f"{best.name[:-2]}-?")) if is_finished(run)]


def record_of(full: Line, quantised: Line) -> dict:
    """Return what is compared of two lines, in one flat record."""
    tables = [
        line.sizes["user_table_bytes"] + line.sizes["item_table_bytes"]
        for line in (full, quantised)
    ]
    record = {"backbone": full.backbone, "seeds": [full.seeds, quantised.seeds]}
    for metric in METRICS:
        means = full.metrics[metric], quantised.metrics[metric]
        record[metric] = [round(mean, 5) for mean in means]
        record[f"{metric} change"] = round(means[1] / means[0] - 1, 4)
        record[f"{metric} p"] = paired_test(full.per_user[metric], quantised.per_user[metric])
    record["table bytes"] = tables
    record["trained"] = [line.sizes["trainable_parameters"] for line in (full, quantised)]
    return record


def records_of(folder: Path) -> list[dict]:
    """Return one record for each backbone that has runs of both kinds."""
    backbones = sorted({path.name.split("-")[0] for path in folder.iterdir() if path.is_dir()})
    records = []
    for backbone in backbones:
        runs = [chosen(folder, backbone, kind) for kind in KINDS]
        if all(runs):
            records.append(record_of(*compare_runs(runs[0] + runs[1]).lines))
    return sorted(records, key=lambda record: -record["ndcg@20"][0])


def markdown(records: list[dict]) -> str:
    """Return the records as a table, with their mean below."""
    lines = [
        "| model | seeds | Recall@20 full | JPQ | change | p | NDCG@20 full | JPQ | change | p |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        cells = [record["backbone"], "/".join(str(len(seeds)) for seeds in record["seeds"])]
        for metric in METRICS:
            full, quantised = record[metric]
            cells += [f"{full:.4f}", f"{quantised:.4f}"]
            cells += [f"{record[f'{metric} change']:+.1%}", f"{record[f'{metric} p']:.1g}"]
        lines.append(f"| {' | '.join(cells)} |")
    means = [sum(r[f"{m} change"] for r in records) / len(records) for m in METRICS]
    lines.append(f"| **mean** |  |  |  | {means[0]:+.1%} |  |  |  | {means[1]:+.1%} |  |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of run folders")
    parser.add_argument("--markdown", action="store_true", help="a table instead of JSON lines")
    arguments = parser.parse_args()
    found = records_of(arguments.folder)
    print(markdown(found) if arguments.markdown else "\n".join(map(json.dumps, found)))
