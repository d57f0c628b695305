"""Strategy × model on one data set: which codes to take, and whether it depends on the model.

    python recipes/ablations/strategies.py --card amazon-baby --data FOLDER

FOLDER holds the files of the card, which must give neighbours or features for the multimodal
models. Fifteen runs, one to three minutes each; finished ones are kept. Run it per data set.
docs/ablations/strategies.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TABLES, TrainingConfig
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import conclude, read_options
from urecjpq.variations import vary

BACKBONES = ("bprmf", "lightgcn", "freedom")
TABLE_NAMES = ("full", "jpq-random", "jpq-svd", "jpq-bpr", "jpq-kmeans")

given = read_options("Strategy × model", "amazon-baby", "runs/ablations/strategies")


def main() -> None:
    """Train what is not there yet and show each model's strategies against its full tables."""
    catalogue = with_neighbours(load_catalogue(given.card, given.data))
    configs = [
        describe(
            catalogue,
            name=f"{backbone}-{table}",
            seed=0,
            backbone={"name": backbone},
            tables=TABLES[table],
            training=TrainingConfig(batch_size=2048, max_epochs=given.epochs),
        )
        for backbone in BACKBONES
        for table in TABLE_NAMES
    ]
    seeded = [each for config in configs for each in vary(config, {"seed": given.seeds})]
    folders = run_grid(catalogue, seeded, given.out / given.card, given.workers)
    conclude(folders, given.out, f"strategies-{given.card}")


if __name__ == "__main__":
    main()
