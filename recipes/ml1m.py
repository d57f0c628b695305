"""MovieLens 1M, leave-one-out: sequential models with full and JPQ item tables of equal dimension.

    python recipes/ml1m.py --card FOLDER/ml-1m.toml

FOLDER is made by benchmarks/ml_1m.py; --card ml-1m takes GroupLens's own file instead. The last
film of each user is the test, the last but one of 1,024 users the validation; all films but the
seen ones are ranked. NDCG@10 to reach with full tables, as independent code does: SASRec with BCE
0.125–0.135 and with the softmax 0.175–0.185, gSASRec 0.165–0.175, BERT4Rec 0.15–0.16, GRU4Rec with
the softmax 0.13. Finished runs are kept and an unfinished one goes on: the same command continues,
and --models and --tables take a part of the whole.
"""

import argparse
import json
from pathlib import Path

from urecjpq import compare_runs, describe, load_catalogue, run_experiment
from urecjpq.config import TABLES, TrainingConfig
from urecjpq.data import partition_leave_one_out
from urecjpq.files import read_json
from urecjpq.sequential import BERT4RecConfig, GRU4RecConfig, GSASRecConfig, SASRecConfig
from urecjpq.sequential.losses import BCE

VALIDATION_USERS = 1024
MODELS = {
    "sasrec-softmax": SASRecConfig(),
    "sasrec-bce": SASRecConfig(loss=BCE()),
    "gsasrec": GSASRecConfig(),
    "bert4rec-softmax": BERT4RecConfig(),
    "gru4rec-softmax": GRU4RecConfig(),
}
# Codes of 8 sub-ids, and with kmeans of 32 as well: as many trained numbers, and 24 bytes more.
ALL_TABLES = TABLES | {
    "jpq-kmeans-m32": TABLES["jpq-kmeans"].model_copy(update={"code_length": 32}),
}
TABLE_NAMES = (
    "full",
    "jpq-kmeans",
    "jpq-kmeans-m32",
    "jpq-svd",
    "jpq-bpr",
    "jpq-random",
    "quotient-remainder",
)
# Small batches: many steps an epoch, which is what a processor without an accelerator can pay for.
TRAINING = TrainingConfig(learning_rate=1e-3, batch_size=32, max_epochs=200, patience=10)


def main(
    card: str,
    data: Path | None,
    out: Path,
    models: list[str],
    tables: list[str],
    max_epochs: int,
    results: Path | None,
) -> None:
    """Train what is not there yet, add a line per run to ``results``, and print the table."""
    catalogue = partition_leave_one_out(load_catalogue(card, data), VALIDATION_USERS)
    folders = []
    for model in models:
        for table in tables:
            config = describe(
                catalogue,
                name=f"{model}-{table}",
                seed=0,
                backbone=MODELS[model],
                tables=ALL_TABLES[table],
                training=TRAINING.model_copy(update={"max_epochs": max_epochs}),
            )
            folder = run_experiment(catalogue, config, out / config.name, resume=True)
            folders.append(folder)
            if results is not None:
                write_line(results, config.name, folder)
    print(compare_runs(folders).to_text())


def write_line(results: Path, name: str, folder: Path) -> None:
    """Put the run's configuration and what it measured among the lines of ``results``."""
    config, metrics = read_json(folder / "config.json"), read_json(folder / "metrics.json")
    line = {key: config[key] for key in ("name", "seed", "backbone", "tables", "training")}
    kept = [text for text in _lines(results) if json.loads(text)["name"] != name]
    results.write_text("".join(text + "\n" for text in [*kept, json.dumps(line | metrics)]))


def _lines(results: Path) -> list[str]:
    return results.read_text().splitlines() if results.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Sequential models on ML-1M, full and quantised")
    parser.add_argument("--card", default="ml-1m", help="name or path of a card")
    parser.add_argument("--data", type=Path, help="folder with the card's files")
    parser.add_argument("--out", type=Path, default=Path("runs/ml-1m"), help="folder for the runs")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--tables", nargs="+", default=TABLE_NAMES, choices=ALL_TABLES)
    parser.add_argument("--max-epochs", type=int, default=TRAINING.max_epochs)
    parser.add_argument("--results", type=Path, help="JSON lines to add the runs to")
    a = parser.parse_args()
    main(a.card, a.data, a.out, a.models, list(a.tables), a.max_epochs, a.results)
