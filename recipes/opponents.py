"""JPQ against full tables made as small by other means: pruned, rounded, or with fewer numbers.

    python recipes/opponents.py --data FOLDER

FOLDER holds the files that --card names, TikTok's unless told otherwise. LightGCN is trained with
full tables of 64 and of --dim dimensions, and with JPQ kmeans tables of the latter. Full ones of
--dim that start from factors are then pruned by magnitude to the bytes of the JPQ tables, and
rounded to 8 and 4 bits; narrower ones, as such and rounded, have the d that fits those bytes.
Finished runs are kept.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from urecjpq import compare_runs, describe, load_catalogue, run_experiment
from urecjpq.config import TrainingConfig
from urecjpq.files import read_json
from urecjpq.manifest import is_finished
from urecjpq.opponents import largest_dim, prune_run, round_run
from urecjpq.table_config import TABLES


def main(card: str, data: Path | None, out: Path, seed: int, dim: int, epochs: int) -> None:
    """Train and compress what is not there yet, and print the table."""
    catalogue = load_catalogue(card, data)

    def train(table: str, dim: int) -> Path:
        config = describe(
            catalogue,
            name=f"lightgcn-{table}-d{dim}",
            seed=seed,
            backbone={"name": "lightgcn"},
            tables=TABLES[table].model_copy(update={"embedding_dim": dim}),
            training=TrainingConfig(patience=8, max_epochs=epochs),
        )
        return run_experiment(catalogue, config, out / config.name, resume=True)

    strong, jpq = train("full-factors", dim), train("jpq-kmeans", dim)
    runs = [train("full", 64), train("full-factors", 64), strong, jpq]
    sizes = read_json(jpq / "metrics.json")["sizes"]
    budget = sizes["user_table_bytes"], sizes["item_table_bytes"]
    rows = catalogue.num_users + catalogue.num_items
    pruned = out / f"{strong.name}-pruned"
    runs.append(_once(pruned, lambda: prune_run(strong, catalogue, pruned, *budget)))
    runs.append(train("full-factors", largest_dim(sum(budget), rows)))
    for bits in (8, 4):
        narrow = train("full-factors", largest_dim(sum(budget), rows, bits))
        for full in (strong, narrow):
            path = out / f"{full.name}-{bits}bit"
            runs.append(_once(path, lambda f=full, p=path, b=bits: round_run(f, catalogue, p, b)))
    print(compare_runs(list(dict.fromkeys(runs)), baseline=jpq.name).to_text())


def _once(path: Path, make: Callable[[], Path]) -> Path:
    return path if is_finished(path) else make()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="JPQ against tables as small by other means")
    parser.add_argument("--card", default="tiktok", help="data set")
    parser.add_argument("--data", type=Path, help="folder with the files that the card names")
    parser.add_argument("--out", type=Path, default=Path("runs/opponents"), help="for the runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dim", type=int, default=16, help="of the JPQ tables; %(default)s")
    parser.add_argument("--epochs", type=int, default=1000, help="at most; %(default)s")
    chosen = parser.parse_args()
    main(chosen.card, chosen.data, chosen.out, chosen.seed, chosen.dim, chosen.epochs)
