"""Dimension: how many numbers a code of eight sub-ids should stand for, at which learning rate.

    python recipes/ablations/dimension.py --data FOLDER

FOLDER holds the files of Amazon Baby. Sixteen runs of LightGCN, half a minute or two each; finished
ones are kept. docs/ablations/dimension.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.graphs import LightGCNConfig
from urecjpq.recipe import conclude, read_options
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

DIMS = (8, 16, 32, 64)
RATES = (3e-4, 1e-3)
TABLE_NAMES = ("jpq-kmeans", "full-factors")
BACKBONE = LightGCNConfig(num_layers=2, l2=1e-3)


def main(options) -> None:
    """Train what is not there yet and show it against full tables of 64 dimensions."""
    catalogue = load_catalogue(options.card, options.data)
    fields = {"tables.embedding_dim": DIMS, "training.learning_rate": RATES, "seed": options.seeds}
    grid = []
    for table in TABLE_NAMES:
        config = describe(
            catalogue,
            name=f"lightgcn-{table}",
            seed=0,
            backbone=BACKBONE,
            tables=TABLES[table],
            training=TrainingConfig(batch_size=2048, max_epochs=options.epochs, patience=10),
        )
        grid += vary(config, fields, "{name}-d{embedding_dim}-{learning_rate:g}")
    folders = run_grid(catalogue, grid, options.out, options.workers)
    conclude(folders, options.out, "dimension", baseline="lightgcn-full-factors-d64-0.001")


if __name__ == "__main__":
    main(read_options("Dimension × learning rate", "amazon-baby", "runs/ablations/dimension"))
