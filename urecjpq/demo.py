"""The demonstration: the toy shop with full and with quantised tables."""

import base64
from pathlib import Path

from urecjpq.compare import compare_runs
from urecjpq.config import TrainingConfig
from urecjpq.data import Catalogue, load_catalogue
from urecjpq.encoding import encode_catalogue
from urecjpq.experiment import describe
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.grid import run_grid
from urecjpq.report import write_report
from urecjpq.reporting import measure
from urecjpq.runs import Run, load_run
from urecjpq.table_config import TABLES

BACKBONES = (LightGCNConfig(), FREEDOMConfig())
# 1,000 items would leave most of 256 centroids with three or four members each.
CODEBOOK_SIZE = 64
TRAINING = TrainingConfig(learning_rate=2e-3, batch_size=1024, patience=20)
SHOWN_USERS = ("U0007", "U0042", "U0123")
SHOWN_RUN = "freedom-jpq-kmeans"
ENCODERS = ("tfidf", "colour")


def run_demo(out: Path, workers: int = 2) -> None:
    """Train every kind of table under two backbones, print the table, and show a user's list.

    Args:
        out: Folder for the runs and the report; runs that are there already are kept.
        workers: Runs side by side.
    """
    catalogue = with_neighbours(encode_catalogue(load_catalogue("toy-shop"), ENCODERS))
    print(
        f"A generated toy shop: {catalogue.num_users:,} users, {catalogue.num_items:,} items, "
        f"{len(catalogue.interactions):,} interactions. Training {len(BACKBONES) * len(TABLES)} "
        "models …",
        flush=True,
    )
    configs = [
        describe(
            catalogue,
            name=f"{backbone.name}-{name}",
            seed=0,
            backbone=backbone,
            tables=tables.model_copy(update={"codebook_size": CODEBOOK_SIZE}),
            training=TRAINING,
        )
        for backbone in BACKBONES
        for name, tables in TABLES.items()
    ]
    comparison = compare_runs(run_grid(catalogue, configs, out, workers))
    print(comparison.to_text())
    run = load_run(out / f"{SHOWN_RUN}-0")
    shown = [_shown_user(run, catalogue, user) for user in SHOWN_USERS]
    _print_user(shown[0])
    page = write_report(comparison, out / "report.html", shown, measure(comparison, catalogue))
    print(f"Report page: {page}")
    print(f"Ask for more: .venv/bin/urecjpq recommend {out / f'{SHOWN_RUN}-0'} {SHOWN_USERS[1]}")


def _shown_user(run: Run, catalogue: Catalogue, user: str) -> dict:
    """Return a user's training items and recommendations, with pictures."""
    rows = {item: row for row, item in enumerate(catalogue.item_ids)}
    past = run.interactions[run.user_row(user)].indices
    best = [rows[item] for item in run.recommend(user, 10)["item_id"]]
    return {
        "user": f"{user}, by {run.config.name}",
        "past": [_shown_item(catalogue, row) for row in past],
        "recommended": [_shown_item(catalogue, row) for row in best],
    }


def _shown_item(catalogue: Catalogue, row: int) -> dict:
    path = catalogue.images[row] if catalogue.images else None
    title = str(catalogue.titles[row]) if catalogue.titles is not None else catalogue.item_ids[row]
    if path is None:
        return {"title": title, "picture": None}
    encoded = base64.b64encode(path.read_bytes()).decode()
    return {"title": title, "picture": f"data:image/png;base64,{encoded}"}


def _print_user(shown: dict) -> None:
    print(f"User {shown['user']}. Bought:")
    for item in shown["past"]:
        print(f"      {item['title']}")
    print("Recommended:")
    for place, item in enumerate(shown["recommended"], start=1):
        print(f"  {place:>2}. {item['title']}")
