"""Strategy × model on one data set: which codes to take, and whether it depends on the model.

    python recipes/ablations/strategies.py --card amazon-baby --data FOLDER

FOLDER holds the files of the card, which must give neighbours or features for the multimodal
models. Fifteen runs, one to three minutes each; finished ones are kept. Run it per data set.
docs/ablations/strategies.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import conclude, read_options
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

BACKBONES = ("bprmf", "lightgcn", "freedom")
TABLE_NAMES = ("full", "jpq-random", "jpq-svd", "jpq-bpr", "jpq-kmeans")


def main(options) -> None:
    """Train what is not there yet and show each model's strategies against its full tables."""
    catalogue = with_neighbours(load_catalogue(options.card, options.data))
    configs = [
        describe(
            catalogue,
            name=f"{backbone}-{table}",
            seed=0,
            backbone={"name": backbone},
            tables=TABLES[table],
            training=TrainingConfig(learning_rate=1e-3, max_epochs=options.epochs),
        )
        for backbone in BACKBONES
        for table in TABLE_NAMES
    ]
    seeded = [each for config in configs for each in vary(config, {"seed": options.seeds})]
    folders = run_grid(catalogue, seeded, options.out / options.card, options.workers)
    conclude(folders, options.out, f"strategies-{options.card}")


if __name__ == "__main__":
    main(read_options("Strategy × model", "amazon-baby", "runs/ablations/strategies"))
