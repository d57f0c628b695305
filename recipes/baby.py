"""Amazon Baby: LightGCN and FREEDOM with full, quotient-remainder and JPQ tables.

    python recipes/baby.py --data FOLDER

FOLDER holds the files that datasets/amazon-baby.toml names. Users and items are both quantised.
Numbers to reach on test (Recall@20, mean of three seeds): LightGCN 0.074 with full tables and 0.082
with JPQ kmeans, FREEDOM 0.098 and 0.086; codes that know content (jpq-spread, seed 0) give them
0.097 and 0.095 at this rate. An epoch of LightGCN takes 1.1 to 1.4 s on two cores.
Finished runs are kept: the same command goes on where it was stopped.
"""

from urecjpq import load_catalogue
from urecjpq.config import TrainingConfig
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig
from urecjpq.recipe import AMAZON_SPREAD, AMAZON_WEIGHTS, compare_tables, read_options, spread_by
from urecjpq.table_config import TABLES

CARD = "amazon-baby"
SEEDS = (0, 1, 2)
BACKBONES = (
    LightGCNConfig(num_layers=2, l2=1e-3),
    FREEDOMConfig(num_layers=2, edge_dropout=0.8, modality_weights=AMAZON_WEIGHTS),
)
ALL_TABLES = spread_by(TABLES, AMAZON_SPREAD)
TRAINING = TrainingConfig(learning_rate=1e-3, batch_size=2048, patience=20)


def main() -> None:
    """Train what is not there yet, print the table and write the report."""
    given = read_options("Amazon Baby, full and quantised", CARD, "runs/baby", seeds=SEEDS)
    catalogue = load_catalogue(given.card, given.data)
    compare_tables(catalogue, BACKBONES, ALL_TABLES, TRAINING, given, "baby")


if __name__ == "__main__":
    main()
