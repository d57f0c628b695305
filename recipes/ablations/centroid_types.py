"""Half-precision and 8-bit centroids: what rounding them after training costs.

    python recipes/ablations/centroid_types.py --data FOLDER

FOLDER holds the files of Amazon Baby. One run of LightGCN, a minute or two; a finished one is kept.
Rounding comes after training, so one run answers for all types: it gives the metrics that runs with
``tables.centroid_dtype`` set would have. docs/ablations/centroid-types.md says what to expect.
"""

from typing import cast

from urecjpq import describe, load_catalogue, load_run, run_experiment
from urecjpq.averaging import copied, holding
from urecjpq.config import TrainingConfig
from urecjpq.evaluation import evaluate
from urecjpq.graphs import LightGCN, LightGCNConfig
from urecjpq.recipe import read_options
from urecjpq.saving import round_centroids
from urecjpq.significance import paired_test
from urecjpq.table_config import TABLES

BACKBONE = LightGCNConfig(num_layers=2, l2=1e-3)
TABLE = TABLES["jpq-kmeans"]
BYTES = {"float32": 4, "float16": 2, "int8": 1}


def main(options) -> None:
    """Train what is not there yet, and print metrics and bytes with each type of centroid."""
    catalogue = load_catalogue(options.card, options.data)
    for seed in options.seeds:
        config = describe(
            catalogue,
            name="lightgcn-jpq-kmeans",
            seed=seed,
            backbone=BACKBONE,
            tables=TABLE,
            training=TrainingConfig(learning_rate=1e-3, max_epochs=options.epochs),
        )
        folder = options.out / f"{config.name}-{seed}"
        run = load_run(run_experiment(catalogue, config, folder, resume=True))
        model = cast(LightGCN, run.backbone)
        trained = copied(model)
        plain = evaluate(*run.vectors, catalogue, "test")
        print(f"{options.card}, seed {seed}")
        print(f"{'':<10}{'recall@20':>11}{'ndcg@20':>10}{'p':>8}{'centroid bytes':>16}")
        for dtype, width in BYTES.items():
            with holding(model, trained):
                round_centroids(model, TABLE.model_copy(update={"centroid_dtype": dtype}))
                users, items = (vectors.detach() for vectors in model.vectors())
            found = evaluate(users, items, catalogue, "test")
            p = paired_test(found.per_user["ndcg@20"], plain.per_user["ndcg@20"])
            size = width * sum(values.numel() for values in model.parameters())
            shown = (found.metrics["recall@20"], found.metrics["ndcg@20"], p)
            print(f"{dtype:<10}{shown[0]:>11.5f}{shown[1]:>10.5f}{shown[2]:>8.2g}{size:>16,}")


if __name__ == "__main__":
    main(read_options("Types of stored centroids", "amazon-baby", "runs/ablations/baby"))
