"""MovieLens 1M with titles: LightGCN, VBPR and FREEDOM with full tables and with JPQ kmeans codes.

    python recipes/ml1m_graphs.py --card FOLDER/ml-1m.toml --encoder minilm

FOLDER is made by benchmarks/ml_1m.py; --card ml-1m takes GroupLens's own file instead. The last
film of each user is the test, the last but one the validation; all films but those of the user's
training are ranked. Numbers to reach on test (Recall@20): LightGCN 0.137 with full tables and 0.126
with JPQ kmeans, VBPR 0.134 and 0.122, FREEDOM 0.121 and 0.130. Finished runs are kept: the same
command goes on where it was stopped. An epoch takes up to half a minute.
"""

import argparse

from urecjpq import load_catalogue
from urecjpq.config import TrainingConfig
from urecjpq.encoding import encode_catalogue
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig, VBPRConfig
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import compare_tables, options
from urecjpq.table_config import TABLES

BACKBONES = (VBPRConfig(), LightGCNConfig(), FREEDOMConfig())
USED = {name: TABLES[name] for name in ("full", "jpq-kmeans")}
# 16 times as many pairs as Amazon Baby's: batches of four times the usual size, steps as long.
# Users have 165 actions and not six, so what starts from factors takes the rate of the others:
# LightGCN with JPQ has a validation Recall@20 of 0.090 after 13 epochs at 1e-3, and 0.118 at 4e-3.
TRAINING = TrainingConfig(learning_rate=4e-3, batch_size=8192, patience=5)


def main(given: argparse.Namespace) -> None:
    """Train what is not there yet, print the table and write the report."""
    catalogue = encode_catalogue(load_catalogue(given.card, given.data), [given.encoder])
    catalogue = with_neighbours(catalogue)
    compare_tables(catalogue, BACKBONES, USED, TRAINING, given, "ml-1m-graphs")


if __name__ == "__main__":
    parser = options("Graph models on ML-1M, full and quantised", "ml-1m", "runs/ml-1m-graphs")
    parser.add_argument("--encoder", default="minilm", help="of titles; NAME=FOLDER has weights")
    main(parser.parse_args())
