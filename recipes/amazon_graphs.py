"""Amazon Baby or Sports: full tables against JPQ, with dimension and learning rate tuned.

    python recipes/amazon_graphs.py --data FOLDER

FOLDER holds the files that --card names: neighbour graphs of the items, and no features. Every
model that can live on those gets the same four trials with every kind of table: d = 64 or 32, at
two learning rates, higher ones for what starts at random; the best on validation with the first
seed runs with the others. recipes/baby.py has the published settings instead: d = 64 and the rate
1e-3. Finished runs are kept: the same command goes on where it was stopped.
"""

import argparse

from urecjpq import compare_runs, describe, load_catalogue
from urecjpq.config import RunConfig, TrainingConfig
from urecjpq.data import Catalogue
from urecjpq.graphs import BM3Config, BPRMFConfig, FREEDOMConfig, LATTICEConfig, LightGCNConfig
from urecjpq.recipe import AMAZON_SPREAD, AMAZON_WEIGHTS, MAIN_TABLES, options, spread_by
from urecjpq.tuning import run_tuned
from urecjpq.variations import vary

SEEDS = (0, 1, 2)
BACKBONES = {
    "lightgcn": LightGCNConfig(num_layers=2, l2=1e-3),
    "freedom": FREEDOMConfig(num_layers=2, edge_dropout=0.8, modality_weights=AMAZON_WEIGHTS),
    "bprmf": BPRMFConfig(),
    "bm3": BM3Config(num_layers=1, dropout=0.5),
    "lattice": LATTICEConfig(),
}
DIMS = (64, 32)
# What starts at random has more to learn, and learns little in many epochs at the lowest rate.
RATES = {name: (4e-3, 1e-3) if name == "full" else (1e-3, 3e-4) for name in MAIN_TABLES}
USED = spread_by(MAIN_TABLES, AMAZON_SPREAD)
TRAINING = TrainingConfig(batch_size=2048, patience=10)


def trials(
    catalogue: Catalogue, backbone: str, table: str, given: argparse.Namespace
) -> list[RunConfig]:
    """Return the configurations that one model with one kind of table is chosen from."""
    config = describe(
        catalogue,
        name=f"{backbone}-{table}",
        seed=SEEDS[0],
        backbone=BACKBONES[backbone],
        tables=USED[table],
        training=TRAINING.model_copy(update={"max_epochs": given.epochs}),
    )
    values = {"tables.embedding_dim": given.dims, "training.learning_rate": RATES[table]}
    return vary(config, values, "{name}-d{embedding_dim}-{learning_rate:g}")


def main(given: argparse.Namespace) -> None:
    """Train what is not there yet, and print the table."""
    catalogue = load_catalogue(given.card, given.data)
    groups = [
        trials(catalogue, backbone, table, given)
        for backbone in given.backbones
        for table in given.tables
    ]
    runs = run_tuned(catalogue, groups, given.seeds, given.out, given.workers)
    print(compare_runs(runs).to_text())


if __name__ == "__main__":
    parser = options(
        "Full tables against JPQ, both tuned", "amazon-baby", "runs/amazon-graphs", SEEDS
    )
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=BACKBONES)
    parser.add_argument("--tables", nargs="+", default=list(MAIN_TABLES), choices=MAIN_TABLES)
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS)
    main(parser.parse_args())
