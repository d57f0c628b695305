"""Half-precision and 8-bit centroids: what rounding them after training costs.

    python recipes/ablations/centroid_types.py --data FOLDER

FOLDER holds the files of Amazon Baby. Three runs of LightGCN, a minute or two each; finished ones
are kept. docs/ablations/centroid-types.md says what to expect.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TABLES, TrainingConfig
from urecjpq.graphs import LightGCNConfig
from urecjpq.recipe import conclude, read_options
from urecjpq.variations import vary

BACKBONE = LightGCNConfig(num_layers=2, l2=1e-3)
TYPES = ("float16", "int8")

given = read_options("Types of stored centroids", "amazon-baby", "runs/ablations/baby")


def main() -> None:
    """Train what is not there yet and show it against float32."""
    catalogue = load_catalogue(given.card, given.data)
    plain = describe(
        catalogue,
        name="lightgcn-jpq-kmeans",
        seed=0,
        backbone=BACKBONE,
        tables=TABLES["jpq-kmeans"],
        training=TrainingConfig(batch_size=2048, max_epochs=given.epochs),
    )
    seeds = {"seed": given.seeds}
    rounded = vary(plain, {"tables.centroid_dtype": TYPES} | seeds, "{name}-{centroid_dtype}")
    folders = run_grid(catalogue, vary(plain, seeds) + rounded, given.out, given.workers)
    conclude(folders, given.out, "centroid-types", baseline="lightgcn-jpq-kmeans")


if __name__ == "__main__":
    main()
