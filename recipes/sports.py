"""Amazon Sports and Outdoors: LightGCN and FREEDOM with full, quotient-remainder and JPQ tables.

    python recipes/sports.py --data FOLDER

FOLDER holds the files that datasets/amazon-sports.toml names: the partition and the neighbours of
MMRec. Users and items are both quantised. Numbers to reach on test (Recall@20, seed 0): LightGCN
0.086 with full tables, 0.095 with JPQ kmeans and 0.101 with jpq-spread, FREEDOM 0.108 and 0.098
with the first two. Full tables with a random start take 130 to 210 epochs of 10 to 12 s on one
core, what starts from factors 11 to 21. The learning
rate is 1e-3, and 3e-4 of what starts from factors. Finished runs are kept: the same command goes on
where it was stopped.
"""

from urecjpq import load_catalogue
from urecjpq.config import TrainingConfig
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig
from urecjpq.recipe import AMAZON_SPREAD, AMAZON_WEIGHTS, compare_tables, read_options, spread_by
from urecjpq.table_config import TABLES

CARD = "amazon-sports"
BACKBONES = (
    LightGCNConfig(num_layers=2, l2=1e-3),
    FREEDOMConfig(num_layers=2, edge_dropout=0.8, modality_weights=AMAZON_WEIGHTS),
)
ALL_TABLES = spread_by(TABLES, AMAZON_SPREAD)
TRAINING = TrainingConfig(batch_size=2048, patience=20)


def main() -> None:
    """Train what is not there yet, print the table and write the report."""
    given = read_options("Amazon Sports, full and quantised", CARD, "runs/sports")
    catalogue = load_catalogue(given.card, given.data)
    compare_tables(catalogue, BACKBONES, ALL_TABLES, TRAINING, given, "sports")


if __name__ == "__main__":
    main()
