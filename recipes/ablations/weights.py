"""Weights: whether k-means should tell items apart more finely that occur more often.

    python recipes/ablations/weights.py --data FOLDER

FOLDER holds the files of Amazon Baby; --card tiktok takes those instead. Ten runs of the models
that live on neighbour graphs, a minute or two each; finished ones are kept.
docs/ablations/weights.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.graphs import BM3Config, BPRMFConfig, FREEDOMConfig, LATTICEConfig, LightGCNConfig
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import MODALITY_WEIGHTS, conclude, read_options
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

POWERS = (0.0, 1.0)


def main(given) -> None:
    """Train what is not there yet, print the table and write the report."""
    catalogue = with_neighbours(load_catalogue(given.card, given.data))
    shares = MODALITY_WEIGHTS.get(given.card)
    backbones = (
        LightGCNConfig(num_layers=2, l2=1e-3),
        FREEDOMConfig(num_layers=2, edge_dropout=0.8, modality_weights=shares),
        LATTICEConfig(),
        BM3Config(num_layers=1, dropout=0.5),
        BPRMFConfig(),
    )
    fields = {"tables.weight_power": POWERS, "seed": given.seeds}
    grid = []
    for backbone in backbones:
        config = describe(
            catalogue,
            name=f"{backbone.name}-weight",
            seed=0,
            backbone=backbone,
            tables=TABLES["jpq-kmeans"],
            training=TrainingConfig(batch_size=2048, max_epochs=given.epochs, patience=10),
        )
        grid += vary(config, fields, "{name}{weight_power:g}")
    conclude(run_grid(catalogue, grid, given.out, given.workers), given.out, "weights")


if __name__ == "__main__":
    main(read_options("Weights of items in k-means", "amazon-baby", "runs/ablations/weights"))
