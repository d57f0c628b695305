"""Are random codes a regulariser? Against dropout and weight decay, by popularity band.

    python recipes/regularisation.py --card FOLDER/ml-1m.toml --data FOLDER

SASRec with the softmax on MovieLens 1M (FOLDER is made by benchmarks/ml_1m.py), the last film of
each user as test. RecJPQ explains its gains on long-tail items by regularisation: items that share
sub-ids cannot be learnt by heart. If so, a full table with dropout or weight decay gains the same.
The table and the report have Recall by band (head, torso, tail). Seven runs; finished ones are
kept.
"""

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.data import partition_leave_one_out
from urecjpq.recipe import conclude, read_options
from urecjpq.sequential import SASRecConfig
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

VALIDATION_USERS = 1024
BACKBONE = SASRecConfig(max_length=50, dropout=0)
TRAINING = TrainingConfig(batch_size=128, patience=10)
DROPOUTS = (0.2, 0.5)
WEIGHT_DECAYS = (1e-6, 1e-5)


def main(options) -> None:
    """Train what is not there yet and show it against the full table left alone."""
    catalogue = partition_leave_one_out(
        load_catalogue(options.card, options.data), VALIDATION_USERS
    )
    training = TRAINING.model_copy(update={"max_epochs": options.epochs})
    full, random = (
        describe(
            catalogue, name=name, seed=0, backbone=BACKBONE, tables=TABLES[name], training=training
        )
        for name in ("full", "jpq-random")
    )
    configs = [
        full,
        *vary(full, {"backbone.dropout": DROPOUTS}, "{name}-dropout{dropout}"),
        *vary(full, {"training.weight_decay": WEIGHT_DECAYS}, "{name}-decay{weight_decay}"),
        random,
        *vary(random, {"backbone.dropout": DROPOUTS[:1]}, "{name}-dropout{dropout}"),
    ]
    seeded = [each for config in configs for each in vary(config, {"seed": options.seeds})]
    folders = run_grid(catalogue, seeded, options.out, options.workers)
    conclude(folders, options.out, "regularisation", baseline="full")


if __name__ == "__main__":
    main(read_options("Random codes as regularisation", "ml-1m", "runs/regularisation"))
