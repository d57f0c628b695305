"""TikTok: frozen features in full against the same features as product-quantised codes.

    python recipes/feature_codes.py --data FOLDER

Of a million items, features of 512 numbers take 2 GB, and codes of 16 sub-ids 16 MB: at that size
features outweigh all tables. Three models read them in three ways: VBPR as a part of its scores,
FREEDOM in its loss, SLMRec as one of the graphs' inputs. Tables are full, so that nothing else is
quantised. Finished runs are kept: the same command goes on where it was stopped.
"""

import argparse

from urecjpq import compare_runs, describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.feature_codes import with_quantised_features
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import options
from urecjpq.table_config import TABLES

BACKBONES = ("vbpr", "freedom", "slmrec")
CODE_LENGTHS = (32, 16, 8)
TRAINING = TrainingConfig(learning_rate=4e-3, batch_size=2048, patience=8)


def main(given: argparse.Namespace) -> None:
    """Train what is not there yet, and print the table."""
    full = with_neighbours(load_catalogue(given.card, given.data))
    folders = []
    for length in (None, *given.code_lengths):
        catalogue = full if length is None else with_quantised_features(full, length)
        configs = [
            describe(
                catalogue,
                name=f"{backbone}-features-{length or 'full'}",
                seed=seed,
                backbone={"name": backbone},
                tables=TABLES["full"],
                training=TRAINING.model_copy(update={"max_epochs": given.epochs}),
            )
            for backbone in given.backbones
            for seed in given.seeds
        ]
        folders += run_grid(catalogue, configs, given.out, given.workers)
    print(compare_runs(folders).to_text())


if __name__ == "__main__":
    parser = options("Features in full and as codes", "tiktok", "runs/feature-codes", workers=2)
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), help="%(default)s")
    parser.add_argument("--code-lengths", type=int, nargs="+", default=CODE_LENGTHS)
    main(parser.parse_args())
