"""JPQ against full tables made as small by other means: pruned, rounded, or with fewer numbers.

    python recipes/opponents.py --data FOLDER

FOLDER holds the files that --card names, TikTok's unless told otherwise. LightGCN is trained with
full tables, from factors and from a random start, and with JPQ kmeans tables. The better full one
is then pruned by magnitude to the bytes of the JPQ tables, and rounded to 8 and 4 bits; narrow
full tables, as such and rounded, have the d that fits those bytes. Finished runs are kept.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from urecjpq import compare_runs, describe, load_catalogue, run_experiment
from urecjpq.config import TABLES, RunConfig, TableConfig, TrainingConfig
from urecjpq.data import Catalogue
from urecjpq.files import read_json
from urecjpq.manifest import is_finished
from urecjpq.opponents import largest_dim, prune_run, round_run

STRONG = "full-factors"
TRAINING = TrainingConfig(learning_rate=1e-3, batch_size=2048, patience=8)


def main(card: str, data: Path | None, out: Path, seed: int) -> None:
    """Train and compress what is not there yet, and print the table."""
    catalogue = load_catalogue(card, data)

    def train(name: str, tables: TableConfig) -> Path:
        config = _describe(catalogue, name, tables, seed)
        return run_experiment(catalogue, config, out / config.name, resume=True)

    named = {name: train(name, TABLES[name]) for name in (STRONG, "full", "jpq-kmeans")}
    sizes = read_json(named["jpq-kmeans"] / "metrics.json")["sizes"]
    budget = sizes["user_table_bytes"], sizes["item_table_bytes"]
    rows = catalogue.num_users + catalogue.num_items
    runs = list(named.values())
    pruned = out / f"lightgcn-{STRONG}-pruned"
    runs.append(_once(pruned, lambda: prune_run(named[STRONG], catalogue, pruned, *budget)))
    for bits in (32, 8, 4):
        dim = largest_dim(sum(budget), rows, bits)
        narrow = train(f"{STRONG}-d{dim}", TABLES[STRONG].model_copy(update={"embedding_dim": dim}))
        if bits == 32:
            runs.append(narrow)
            continue
        for full in (named[STRONG], narrow):
            path = out / f"{full.name}-{bits}bit"
            runs.append(_once(path, lambda f=full, p=path, b=bits: round_run(f, catalogue, p, b)))
    print(compare_runs(runs, baseline=f"lightgcn-{STRONG}").to_text())


def _describe(catalogue: Catalogue, name: str, tables: TableConfig, seed: int) -> RunConfig:
    return describe(
        catalogue,
        name=f"lightgcn-{name}",
        seed=seed,
        backbone={"name": "lightgcn"},
        tables=tables,
        training=TRAINING,
    )


def _once(path: Path, make: Callable[[], Path]) -> Path:
    return path if is_finished(path) else make()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="JPQ against tables as small by other means")
    parser.add_argument("--card", default="tiktok", help="data set")
    parser.add_argument("--data", type=Path, help="folder with the files that the card names")
    parser.add_argument("--out", type=Path, default=Path("runs/opponents"), help="for the runs")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    main(chosen.card, chosen.data, chosen.out, chosen.seed)
