"""MovieLens 1M, leave-one-out: sequential models with full and JPQ item tables of equal dimension.

    python recipes/ml1m.py --card FOLDER/ml-1m.toml

FOLDER is made by benchmarks/ml_1m.py; --card ml-1m takes GroupLens's own file instead. The last
film of each user is the test, the last but one of 1,024 users the validation; all films but the
seen ones are ranked. NDCG@10 to reach with full tables, as independent code does: SASRec with BCE
0.125–0.135 and with the softmax 0.175–0.185, gSASRec 0.165–0.175, BERT4Rec 0.15–0.16, GRU4Rec with
the softmax 0.13. Reached here (benchmarks/results/ml-1m-sequential.md): SASRec with the softmax
0.180 after 40 epochs, gSASRec 0.174 after 24, BERT4Rec 0.155 after 72, quantised to 32 sub-ids
afterwards (--quantise 32) 0.179, 0.173 and 0.156; GRU4Rec 0.158 after 12 without the average, and
0.160 with JPQ kmeans of 32 sub-ids. An epoch takes half a minute, of GRU4Rec more than a minute, on
one core. Finished runs are kept and an unfinished one goes on: the same command continues, and
--models and --tables take a part of the whole.
"""

import argparse

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.data import partition_leave_one_out
from urecjpq.quantised_runs import RATE
from urecjpq.recipe import conclude, options, quantised
from urecjpq.sequential import BERT4RecConfig, GRU4RecConfig, GSASRecConfig, SASRecConfig
from urecjpq.sequential.losses import BCE
from urecjpq.table_config import TABLES

VALIDATION_USERS = 1024
MODELS = {
    "sasrec-softmax": SASRecConfig(dropout=0.1),
    "sasrec-bce": SASRecConfig(loss=BCE(), dropout=0.1),
    "gsasrec": GSASRecConfig(dropout=0.1),
    "bert4rec-softmax": BERT4RecConfig(dropout=0.1),
    "gru4rec-softmax": GRU4RecConfig(),
}
BY_INTERACTIONS = {name: table for name, table in TABLES.items() if not table.spread}
# Codes of 8 sub-ids, and of 32 as well: as many trained numbers, and 24 bytes more.
ALL_TABLES = BY_INTERACTIONS | {
    f"{name}-m32": table.model_copy(update={"code_length": 32})
    for name, table in BY_INTERACTIONS.items()
    if table.kind == "jpq"
}
# More centroids do for codes made before training what more sub-ids do not.
ALL_TABLES["jpq-kmeans-b1024"] = TABLES["jpq-kmeans"].model_copy(update={"codebook_size": 1024})
# Small batches: many steps an epoch, which is what a processor without an accelerator can pay for.
TRAINING = TrainingConfig(learning_rate=1e-3, batch_size=32, patience=10, averaging=0.8)
# BERT4Rec learns from the fifth of the actions that is masked, and takes longer.
PATIENCE = {"bert4rec-softmax": 30}
EPOCHS_AFTER = 4
"""Of a model whose tables were quantised: validation is best after the first already."""


def main(given: argparse.Namespace) -> None:
    """Train what is not there yet, print the table and write the report."""
    catalogue = partition_leave_one_out(load_catalogue(given.card, given.data), VALIDATION_USERS)
    configs = [
        describe(
            catalogue,
            name=f"{model}-{table}",
            seed=seed,
            backbone=MODELS[model],
            tables=ALL_TABLES[table],
            training=TRAINING.model_copy(
                update={
                    "max_epochs": given.epochs,
                    "patience": PATIENCE.get(model, TRAINING.patience),
                }
            ),
        )
        for seed in given.seeds
        for model in given.models
        for table in given.tables
    ]
    folders = run_grid(catalogue, configs, given.out, given.workers)
    after = TRAINING.model_copy(update={"learning_rate": RATE, "max_epochs": EPOCHS_AFTER})
    for config, folder in zip(configs, folders[:], strict=True):
        if config.tables == TABLES["full"]:
            given_run = (folder, catalogue, given.out)
            folders += [quantised(*given_run, m, training=after) for m in given.quantise]
    conclude(folders, given.out, "ml-1m")


if __name__ == "__main__":
    parser = options("Sequential models on ML-1M, full and quantised", "ml-1m", "runs/ml-1m")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--tables", nargs="+", default=list(ALL_TABLES), choices=ALL_TABLES)
    parser.add_argument("--quantise", type=int, nargs="*", default=[], help="full runs, to m codes")
    main(parser.parse_args())
