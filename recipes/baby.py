"""Amazon Baby: LightGCN and FREEDOM with full, quotient-remainder and JPQ tables.

    python recipes/baby.py --data FOLDER

FOLDER holds the files that datasets/amazon-baby.toml names. Users and items are both quantised.
Numbers to reach on test (Recall@20): full LightGCN 0.073, full FREEDOM 0.095, JPQ kmeans 0.077 and
0.081. Finished runs are kept: the same command goes on where it was stopped.
"""

import argparse
from pathlib import Path

from urecjpq import compare_runs, describe, load_catalogue, run_grid, write_report
from urecjpq.config import TABLES, TrainingConfig
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig

SEEDS = (0, 1, 2)
TABLE_NAMES = tuple(TABLES)
BACKBONES = (
    LightGCNConfig(num_layers=2, l2=1e-3),
    FREEDOMConfig(num_layers=2, edge_dropout=0.8, modality_weights={"image": 0.1, "text": 0.9}),
)
TRAINING = TrainingConfig(learning_rate=1e-3, batch_size=2048, patience=20)


def main(data: Path, out: Path, seeds: tuple[int, ...], workers: int) -> None:
    """Train what is not there yet, print the table and write the report."""
    catalogue = load_catalogue("amazon-baby", data)
    configs = [
        describe(
            catalogue,
            name=f"{backbone.name}-{table}",
            seed=seed,
            backbone=backbone,
            tables=TABLES[table],
            training=TRAINING,
        )
        for seed in seeds
        for backbone in BACKBONES
        for table in TABLE_NAMES
    ]
    folders = run_grid(catalogue, configs, out, workers)
    comparison = compare_runs(folders)
    (out / "table.md").write_text(comparison.to_markdown(), encoding="utf-8")
    print(comparison.to_text())
    print("Report:", write_report(comparison, out / "report.html"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="LightGCN and FREEDOM on Amazon Baby, full and quantised"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the Baby files")
    parser.add_argument("--out", type=Path, default=Path("runs/baby"), help="folder for the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    arguments = parser.parse_args()
    main(arguments.data, arguments.out, tuple(arguments.seeds), arguments.workers)
