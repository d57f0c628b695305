"""How much of a trained item table the codes of each strategy can hold, and what that is worth.

    python benchmarks/codes_explain.py --run RUN --card FOLDER/ml-1m.toml

RUN is a finished sequential run with full tables. Codes are fixed; centroids, and one linear map
of all rows, are fitted to the trained rows E by least squares, an item weighing its interactions:

    min over ψ, A, c of  Σ_i w_i |E_i − A [ψ_1[g_i1]; …; ψ_m[g_im]] − c|²

`share` is one minus that error over the variance of E. The map is what a model could learn beside
its table, so that rows turned as a whole cost nothing. `ndcg@10` is the run's on validation once
the fitted rows stand in for its own, nothing else trained. Lines of `trained` have codes of the
trained rows themselves, and no strategy means the rows as they are.
"""

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import trange

from urecjpq import load_catalogue
from urecjpq.assignment import assign_factors, interaction_weights
from urecjpq.data import Catalogue, partition_leave_one_out
from urecjpq.environment import environment
from urecjpq.evaluation import evaluate
from urecjpq.sequential.backbone import SequentialBackbone
from urecjpq.starts import item_pairs, table_starts
from urecjpq.table_config import TABLES
from urecjpq.tables import JPQEmbedding
from urecjpq.trained import full_config, full_model
from urecjpq.training import deterministic

VALIDATION_USERS = 1024
CASES = [
    *itertools.product(("random", "bpr", "svd", "kmeans", "trained"), (8, 16, 32, 64), (256,)),
    *itertools.product(("random", "kmeans"), (8, 32), (512, 1024)),
]
"""Strategy, code length and codebook size."""
STEPS, CENTROID_RATE, MAP_RATE = 600, 0.1, 0.01
"""Of the fit; the first rate is that of rows of unit root mean square."""


def codes_of(
    strategy: str, sizes: dict[str, int], catalogue: Catalogue, rows: Tensor, weights: np.ndarray
) -> Tensor:
    """Return the codes of a strategy as the sequential models take them. Shape ``(items, m)``."""
    if strategy == "trained":
        codes = assign_factors(rows.numpy(), sizes["code_length"], weights=weights).codes
    else:
        tables = TABLES[f"jpq-{strategy}"]
        change: dict[str, object] = {**sizes, "embedding_dim": rows.shape[1]}
        if tables.uses_factors:
            change |= dict(SequentialBackbone.FACTORS)
        config = tables.model_copy(update=change)
        (start,) = table_starts(config, item_pairs(config, catalogue), 0, ("items",))
        codes = start.codes
    return torch.as_tensor(np.asarray(codes, dtype=np.int64))


def fit(codes: Tensor, codebook_size: int, rows: Tensor, weights: Tensor) -> Tensor:
    """Return the rows nearest to ``rows`` that the codes can hold, after any linear map."""
    torch.manual_seed(0)
    scale, middle = rows.square().mean().sqrt(), mean_row(rows, weights)
    code_length, dim = codes.shape[1], rows.shape[1]
    start = 0.1 * torch.randn(code_length, codebook_size, dim // code_length)
    table = JPQEmbedding(codes, dim, codebook_size, centroids=start)
    turn = nn.Linear(dim, dim)
    nn.init.eye_(turn.weight)
    nn.init.zeros_(turn.bias)
    groups = [
        {"params": table.parameters(), "lr": CENTROID_RATE},
        {"params": turn.parameters(), "lr": MAP_RATE},
    ]
    optimizer = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    target = (rows - middle) / scale
    for _ in trange(STEPS, leave=False, disable=None):
        optimizer.zero_grad()
        (weights * (turn(table.weight) - target).square().sum(1)).mean().backward()
        optimizer.step()
        schedule.step()
    return (turn(table.weight) * scale + middle).detach()


def share(fitted: Tensor, rows: Tensor, weights: Tensor) -> float:
    """Return the part of the weighted variance of ``rows`` that ``fitted`` has."""
    middle = mean_row(rows, weights)
    error, total = ((x - rows).square().sum(1) @ weights for x in (fitted, middle))
    return 1 - float(error / total)


def mean_row(rows: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean; ``weights`` have a mean of one. Shape ``(d,)``."""
    return (weights[:, None] * rows).mean(0)


def lines(model: SequentialBackbone, catalogue: Catalogue) -> Iterator[dict]:
    """Yield one line for the trained rows and one per case."""
    rows = model.item_table.weight.detach().clone()
    by_interactions = interaction_weights(catalogue.matrix("train"), 1.0)
    weights = torch.from_numpy(by_interactions).float()

    def line(fitted: Tensor, **settings) -> dict:
        with torch.no_grad():
            model.item_table.weight.copy_(fitted)
            users, items = model.vectors_for(catalogue, "valid")
        found = evaluate(users, items, catalogue, "valid", (10,), "train").metrics["ndcg@10"]
        return settings | {"share": round(share(fitted, rows, weights), 4), "ndcg@10": found}

    yield line(rows, strategy=None)
    for strategy, m, b in CASES:
        sizes = {"code_length": m, "codebook_size": b}
        codes = codes_of(strategy, sizes, catalogue, rows, by_interactions)
        yield line(fit(codes, b, rows, weights), strategy=strategy, **sizes)


def main(run: Path, card: str, threads: int) -> None:
    """Print one JSON line per case."""
    torch.set_num_threads(threads)
    catalogue = partition_leave_one_out(load_catalogue(card), VALIDATION_USERS)
    config = full_config(run)
    model = full_model(run, config, catalogue)
    if not isinstance(model, SequentialBackbone):
        raise SystemExit(f"{run} must be of a sequential model; got {config.backbone.name}.")
    about = {"run": config.name, "epochs": config.training.max_epochs} | environment()
    with deterministic():
        for line in lines(model, catalogue):
            print(json.dumps(line | about), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="How much of a trained table codes can hold")
    parser.add_argument("--run", type=Path, required=True, help="finished, with full tables")
    parser.add_argument("--card", default="ml-1m", help="name or path of a card")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    main(given.run, given.card, given.threads)
