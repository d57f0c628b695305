"""TikTok: the whole family of multimodal graph models, full and quantised tables.

    python recipes/tiktok.py --data FOLDER

FOLDER holds the files that datasets/tiktok.toml names: image and audio features of 6,710
micro-videos. Every model gets the same six trials with every kind of table: d = 64 or 16, at three
learning rates, chosen on validation with the first seed; the chosen one runs with the others. An
epoch takes one to ten seconds. Finished runs are kept: the same command goes on where it was
stopped, and --backbones, --tables, --dims, --rates and --seeds take a part of the whole.
"""

import argparse

from urecjpq import describe, load_catalogue
from urecjpq.config import RunConfig, TrainingConfig
from urecjpq.data import Catalogue
from urecjpq.graphs import BACKBONES
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import MAIN_TABLES, conclude, options
from urecjpq.tuning import learning_rates, run_tuned

SEEDS = (0, 1, 2)
# Codes that know content gain nothing here, see docs/ablations/spread.md; --tables has them.
KINDS = ("full", "full-factors", "jpq-kmeans")
DIMS = (64, 16)
RATES = (3e-4, 1e-3, 4e-3)
TRAINING = TrainingConfig(batch_size=2048, patience=8)
# LGMRec's published contrast of 0.2 keeps it from learning here: validation Recall@20 0.031 after
# 8 epochs, and 0.052 without any.
SETTINGS = {"lgmrec": {"contrast_weight": 0.002}}


def _describe(catalogue: Catalogue, backbone: str, table: str, dim: int, epochs: int) -> RunConfig:
    return describe(
        catalogue,
        name=f"{backbone}-{table}" + (f"-d{dim}" if dim != DIMS[0] else ""),
        seed=SEEDS[0],
        backbone={"name": backbone} | SETTINGS.get(backbone, {}),
        tables=MAIN_TABLES[table].model_copy(update={"embedding_dim": dim}),
        training=TRAINING.model_copy(update={"max_epochs": epochs}),
    )


def main(given: argparse.Namespace) -> None:
    """Train what is not there yet, print the table and write the report."""
    catalogue = with_neighbours(load_catalogue(given.card, given.data))
    trials = [
        [
            config
            for dim in given.dims
            for config in learning_rates(
                _describe(catalogue, backbone, table, dim, given.epochs), given.rates
            )
        ]
        for backbone in given.backbones
        for table in given.tables
    ]
    folders = run_tuned(catalogue, trials, given.seeds, given.out, given.workers)
    conclude(folders, given.out, "tiktok")


if __name__ == "__main__":
    parser = options(
        "Every graph model on TikTok, full and quantised", "tiktok", "runs/tiktok", SEEDS, workers=2
    )
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=BACKBONES)
    parser.add_argument("--tables", nargs="+", default=KINDS, choices=MAIN_TABLES)
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    main(parser.parse_args())
