"""MovieLens 1M with titles: LightGCN, VBPR and FREEDOM with full tables and with JPQ kmeans codes.

    python recipes/ml1m_graphs.py --card FOLDER/ml-1m.toml --encoder minilm

FOLDER is made by benchmarks/ml_1m.py; --card ml-1m takes GroupLens's own file instead. The last
film of each user is the test, the last but one the validation; all films but those of the user's
training are ranked. Finished runs are kept: the same command goes on where it was stopped. An epoch
takes up to half a minute.
"""

import argparse

from urecjpq import compare_runs, describe, load_catalogue, run_grid
from urecjpq.config import TABLES, TrainingConfig
from urecjpq.encoding import encode_catalogue
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import options

BACKBONES = ("vbpr", "lightgcn", "freedom")
# As the trials on TikTok chose: what starts from factors takes a lower rate.
RATES = {"full": 4e-3, "jpq-kmeans": 1e-3}
# 16 times as many pairs as Amazon Baby's: batches of four times the usual size, steps as long.
TRAINING = TrainingConfig(batch_size=8192, patience=5)


def main(given: argparse.Namespace) -> None:
    """Train what is not there yet, and print the table."""
    catalogue = encode_catalogue(load_catalogue(given.card, given.data), [given.encoder])
    catalogue = with_neighbours(catalogue)
    configs = [
        describe(
            catalogue,
            name=f"{backbone}-{table}",
            seed=seed,
            backbone={"name": backbone},
            tables=TABLES[table],
            training=TRAINING.model_copy(
                update={"learning_rate": rate, "max_epochs": given.epochs}
            ),
        )
        for seed in given.seeds
        for backbone in BACKBONES
        for table, rate in RATES.items()
    ]
    print(compare_runs(run_grid(catalogue, configs, given.out, given.workers)).to_text())


if __name__ == "__main__":
    parser = options("Graph models on ML-1M, full and quantised", "ml-1m", "runs/ml-1m-graphs")
    parser.add_argument("--encoder", default="minilm", help="of titles; NAME=FOLDER has weights")
    main(parser.parse_args())
