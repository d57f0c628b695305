"""Amazon Clothing, Shoes and Jewelry: LightGCN and FREEDOM, full and quantised, from raw reviews.

    python recipes/clothing.py --from FOLDER

FOLDER holds the publisher's files, fetched by hand; without it they are fetched. 39,387 users and
23,033 items are to be left by the 5-core. Texts count by their words; ``--pictures --encoder
minilm --encoder clip-image`` describes items by both. Numbers to reach and time: not measured,
since the publisher's files were not at hand. Finished runs are kept: the same command goes on
where it was stopped.
"""

from urecjpq.config import TrainingConfig
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig
from urecjpq.recipe import MAIN_TABLES, catalogue_of, compare_tables, read_options

CARD = "amazon-2014-clothing"
ENCODERS = ("tfidf",)
BACKBONES = (
    LightGCNConfig(num_layers=2, l2=1e-3),
    FREEDOMConfig(num_layers=2, edge_dropout=0.8),
)
TRAINING = TrainingConfig(batch_size=2048, patience=20)


def main() -> None:
    """Train what is not there yet, print the table and write the report."""
    given = read_options(
        "Amazon Clothing, Shoes and Jewelry, full and quantised", CARD, "runs/clothing", raw=True
    )
    catalogue = catalogue_of(given, ENCODERS)
    compare_tables(catalogue, BACKBONES, MAIN_TABLES, TRAINING, given, "clothing")


if __name__ == "__main__":
    main()
