"""Amazon Baby or Sports: full tables against JPQ, with dimension and learning rate tuned.

    python recipes/amazon_graphs.py --data FOLDER

FOLDER holds the files that --card names: neighbour graphs of the items, and no features. Every
model that can live on those gets the same four trials with every kind of table: d = 64 or 32, at
two learning rates, chosen on validation with the first seed; the chosen one runs with the others.
recipes/baby.py has the published settings instead: d = 64 and the rate 1e-3. Finished runs are
kept: the same command goes on where it was stopped.
"""

import argparse
from pathlib import Path

from urecjpq import compare_runs, describe, load_catalogue
from urecjpq.config import TABLES, RunConfig, TrainingConfig
from urecjpq.data import Catalogue
from urecjpq.graphs import BM3Config, BPRMFConfig, FREEDOMConfig, LATTICEConfig, LightGCNConfig
from urecjpq.tuning import run_tuned
from urecjpq.variations import vary

SEEDS = (0, 1, 2)
TABLE_NAMES = ("full", "full-factors", "jpq-kmeans")
BACKBONES = {
    "lightgcn": LightGCNConfig(num_layers=2, l2=1e-3),
    "freedom": FREEDOMConfig(
        num_layers=2, edge_dropout=0.8, modality_weights={"image": 0.1, "text": 0.9}
    ),
    "bprmf": BPRMFConfig(),
    "bm3": BM3Config(num_layers=1, dropout=0.5),
    "lattice": LATTICEConfig(),
}
TRIALS = {"tables.embedding_dim": (64, 32), "training.learning_rate": (1e-3, 3e-4)}
TRAINING = TrainingConfig(batch_size=2048, patience=10)


def trials(catalogue: Catalogue, backbone: str, table: str, epochs: int) -> list[RunConfig]:
    """Return the configurations that one model with one kind of table is chosen from."""
    config = describe(
        catalogue,
        name=f"{backbone}-{table}",
        seed=SEEDS[0],
        backbone=BACKBONES[backbone],
        tables=TABLES[table],
        training=TRAINING.model_copy(update={"max_epochs": epochs}),
    )
    return vary(config, TRIALS, "{name}-d{embedding_dim}-{learning_rate:g}")


def main(chosen: argparse.Namespace) -> None:
    """Train what is not there yet, and print the table."""
    catalogue = load_catalogue(chosen.card, chosen.data)
    groups = [
        trials(catalogue, backbone, table, chosen.epochs)
        for backbone in chosen.backbones
        for table in chosen.tables
    ]
    runs = run_tuned(catalogue, groups, chosen.seeds, chosen.out, chosen.workers)
    print(compare_runs(runs).to_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Full tables against JPQ, both tuned")
    parser.add_argument("--card", default="amazon-baby", help="data set; %(default)s")
    parser.add_argument("--data", type=Path, help="folder with its files")
    parser.add_argument("--out", type=Path, default=Path("runs/amazon-graphs"), help="for the runs")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=BACKBONES)
    parser.add_argument("--tables", nargs="+", default=TABLE_NAMES, choices=TABLE_NAMES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--workers", type=int, default=1, help="runs side by side")
    parser.add_argument("--epochs", type=int, default=1000, help="at most; %(default)s")
    main(parser.parse_args())
