"""Shared against separate centroids: one set for users and items, or one for each.

    python recipes/ablations/shared_centroids.py --data FOLDER

FOLDER holds the files of Amazon Baby. Three runs of LightGCN, a minute or two each; finished ones
are kept. docs/ablations/shared-centroids.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.graphs import LightGCNConfig
from urecjpq.recipe import conclude, read_options
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

BACKBONE = LightGCNConfig(num_layers=2, l2=1e-3)
# Shared centroids of 512 are as many trainable numbers as two sets of 256, at two bytes a sub-id.
SHARED_SIZES = (256, 512)


def main(options) -> None:
    """Train what is not there yet and show it against centroids of users and items apart."""
    catalogue = load_catalogue(options.card, options.data)
    separate = describe(
        catalogue,
        name="lightgcn-jpq-kmeans",
        seed=0,
        backbone=BACKBONE,
        tables=TABLES["jpq-kmeans"],
        training=TrainingConfig(learning_rate=1e-3, max_epochs=options.epochs),
    )
    seeds = {"seed": options.seeds}
    fields = {"tables.centroids": ("shared",), "tables.codebook_size": SHARED_SIZES} | seeds
    shared = vary(separate, fields, "{name}-shared-b{codebook_size}")
    configs = vary(separate, seeds) + shared
    folders = run_grid(catalogue, configs, options.out, options.workers)
    conclude(folders, options.out, "shared-centroids", baseline="lightgcn-jpq-kmeans")


if __name__ == "__main__":
    main(read_options("Shared or separate centroids", "amazon-baby", "runs/ablations/baby"))
