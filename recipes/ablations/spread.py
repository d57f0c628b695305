"""Spread: how much of an interaction codes should see at items that resemble its own.

    python recipes/ablations/spread.py --data FOLDER

FOLDER holds the files of Amazon Baby; --card tiktok takes those instead. Twenty runs of LightGCN,
which sees no content otherwise, and of FREEDOM, which does, a minute or two each; finished ones are
kept. docs/ablations/spread.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import MODALITY_WEIGHTS, conclude, options
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

SPREADS = (0.0, 0.25, 0.5, 1.0, 2.0)
RATES = (3e-4, 1e-3)


def main(given) -> None:
    """Train what is not there yet, print the table and write the report."""
    catalogue = with_neighbours(load_catalogue(given.card, given.data))
    names = sorted(catalogue.neighbours)
    weights = MODALITY_WEIGHTS.get(given.card, {name: 1 / len(names) for name in names})
    backbones = (
        LightGCNConfig(num_layers=2, l2=1e-3),
        FREEDOMConfig(num_layers=2, edge_dropout=0.8, modality_weights=weights),
    )
    grid = []
    for backbone in backbones:
        for spread in given.spreads:
            shares = {name: spread * weight for name, weight in weights.items()} if spread else 0.0
            config = describe(
                catalogue,
                name=f"{backbone.name}-spread{spread:g}",
                seed=0,
                backbone=backbone,
                tables=TABLES["jpq-kmeans"].model_copy(update={"spread": shares}),
                training=TrainingConfig(batch_size=2048, max_epochs=given.epochs, patience=10),
            )
            fields = {"training.learning_rate": given.rates, "seed": given.seeds}
            grid += vary(config, fields, "{name}-{learning_rate:g}")
    folders = run_grid(catalogue, grid, given.out, given.workers)
    conclude(folders, given.out, "spread")


if __name__ == "__main__":
    parser = options("Spread of interactions", "amazon-baby", "runs/ablations/spread")
    parser.add_argument("--spreads", type=float, nargs="+", default=SPREADS)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    main(parser.parse_args())
