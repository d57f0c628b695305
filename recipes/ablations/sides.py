"""Users only, items only, or both: whose table can be quantised at what price.

    python recipes/ablations/sides.py --data FOLDER

FOLDER holds the files of Amazon Baby. Four runs of LightGCN, a minute or two each; finished ones
are kept. docs/ablations/sides.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.graphs import LightGCNConfig
from urecjpq.recipe import conclude, read_options
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

BACKBONE = LightGCNConfig(num_layers=2, l2=1e-3)


def main(options) -> None:
    """Train what is not there yet and show it against full tables with the same start."""
    catalogue = load_catalogue(options.card, options.data)
    full, both = (
        describe(
            catalogue,
            name=f"lightgcn-{table}",
            seed=0,
            backbone=BACKBONE,
            tables=TABLES[table],
            training=TrainingConfig(learning_rate=1e-3, max_epochs=options.epochs),
        )
        for table in ("full-factors", "jpq-kmeans")
    )
    seeds = {"seed": options.seeds}
    one_side = vary(both, {"tables.sides": ("users", "items")} | seeds, "{name}-{sides}")
    configs = vary(full, seeds) + one_side + vary(both, seeds)
    folders = run_grid(catalogue, configs, options.out, options.workers)
    conclude(folders, options.out, "sides", baseline="lightgcn-full-factors")


if __name__ == "__main__":
    main(read_options("Users only, items only, both", "amazon-baby", "runs/ablations/baby"))
