"""The generated toy shop: LightGCN and FREEDOM with full and with quantised tables.

    python recipes/toy_shop.py

Nothing is fetched: shop, titles and pictures are generated, and described without weights. Numbers
to reach on test (Recall@20), of the same settings in `make demo`: LightGCN 0.365 with full tables
and 0.365 with JPQ kmeans, FREEDOM 0.382 and 0.363; a ranking by popularity has 0.10. They took 156
and 46 epochs (28 and 8 s), 236 and 28 epochs (89 and 10 s). Finished runs are kept.
"""

from urecjpq import load_catalogue
from urecjpq.config import TrainingConfig
from urecjpq.encoding import encode_catalogue
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import MAIN_TABLES, compare_tables, read_options

CARD = "toy-shop"
ENCODERS = ("tfidf", "colour")
BACKBONES = (LightGCNConfig(), FREEDOMConfig())
# 1,000 items would leave most of 256 centroids with three or four members each.
USED = {name: table.model_copy(update={"codebook_size": 64}) for name, table in MAIN_TABLES.items()}
TRAINING = TrainingConfig(learning_rate=2e-3, batch_size=1024, patience=20)


def main() -> None:
    """Train what is not there yet, print the table and write the report."""
    given = read_options("The toy shop, full and quantised", CARD, "runs/toy-shop")
    catalogue = with_neighbours(encode_catalogue(load_catalogue(given.card, given.data), ENCODERS))
    compare_tables(catalogue, BACKBONES, USED, TRAINING, given, "toy-shop")


if __name__ == "__main__":
    main()
