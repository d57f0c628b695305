"""What dimension and code length buy: RecJPQ's grid of d and m, and its curve of size and accuracy.

    python recipes/size_grid.py --card FOLDER/ml-1m.toml --epochs 5

RecJPQ's Figure 3 (NDCG@10 by d and m) and Figure 4 (NDCG@10 by the size of the item table), on any
card of histories; leave-one-out, 1,024 users validate. SASRec with the full softmax; full tables of
each d, and JPQ tables of each d and m. Prints the grid; leaves it as size-grid.png, and the report.
Finished runs are kept, an unfinished one goes on. A run of d = 64 takes half a minute an epoch on
one core without an accelerator; the grid was not run yet. RecJPQ's, on Gowalla, is best at m = 4 to
8, with NDCG@10 from 0.037 (d = 64) to 0.12 (d = 512).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from urecjpq import describe, load_catalogue, run_grid
from urecjpq.columns import format_bytes
from urecjpq.config import RunConfig, TrainingConfig
from urecjpq.data import Catalogue, partition_leave_one_out
from urecjpq.line import Line
from urecjpq.recipe import conclude, options
from urecjpq.sequential import SASRecConfig
from urecjpq.table_config import TABLES
from urecjpq.variations import vary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VALIDATION_USERS = 1024
BACKBONE = SASRecConfig()
TRAINING = TrainingConfig(learning_rate=1e-3, batch_size=32, patience=10)
STRATEGIES = ("jpq-kmeans", "jpq-svd", "jpq-bpr", "jpq-random")
DIMS = (32, 64, 128, 256, 512)
CODE_LENGTHS = (2, 4, 8, 16, 32)
METRIC = "ndcg@10"
Grid = dict[int, dict[int, Line]]


def configs(catalogue: Catalogue, given: argparse.Namespace) -> list[RunConfig]:
    """Return full tables of every dimension, and JPQ tables of every one and code length."""
    full, coded = (
        describe(
            catalogue,
            name=f"sasrec-{table}",
            seed=given.seeds[0],
            backbone=BACKBONE,
            tables=TABLES[table],
            training=TRAINING.model_copy(update={"max_epochs": given.epochs}),
        )
        for table in ("full", given.table)
    )
    dims = {"seed": given.seeds, "tables.embedding_dim": given.dims}
    lengths = {"tables.code_length": given.code_lengths}
    return [
        *vary(full, dims, "{name}-d{embedding_dim}"),
        *vary(coded, dims | lengths, "{name}-d{embedding_dim}-m{code_length}"),
    ]


def grid(lines: Sequence[Line]) -> Grid:
    """Return lines by dimension and code length, full tables first, as 0."""
    found: Grid = {}
    for line in lines:
        length = line.tables["code_length"] if line.tables["kind"] == "jpq" else 0
        found.setdefault(line.tables["embedding_dim"], {})[length] = line
    return found


def markdown(by_dim: Grid) -> str:
    """Return accuracy and bytes of the item table, a row per dimension."""
    heads = [
        "d",
        *(f"m = {length}" if length else "full" for length in next(iter(by_dim.values()))),
    ]
    rows = [f"| {' | '.join(heads)} |", "|---:" * len(heads) + "|"]
    for dim, lines in by_dim.items():
        cells = [
            f"{line.metrics[METRIC]:.4f} ({format_bytes(line.sizes['item_table_bytes'])})"
            for line in lines.values()
        ]
        rows.append(f"| {' | '.join([str(dim), *cells])} |")
    return "\n".join(rows)


def plot(by_dim: Grid, path: Path) -> None:
    """Draw the grid as a heat map, and accuracy over bytes, a line per dimension."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    heat, curve = figure.subplots(1, 2)
    draw_heat(heat, by_dim)
    draw_curve(curve, by_dim)
    figure.savefig(path, dpi=120)


def draw_heat(axes: "Axes", by_dim: Grid) -> None:
    """Draw a cell for each dimension and code length."""
    lengths = [length for length in next(iter(by_dim.values())) if length]
    values = np.array([[lines[m].metrics[METRIC] for m in lengths] for lines in by_dim.values()])
    axes.imshow(values, cmap="viridis", aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < (values.min() + values.max()) / 2 else "black"
        axes.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(lengths)), [str(m) for m in lengths])
    axes.set_yticks(range(len(by_dim)), [str(d) for d in by_dim])
    axes.set(xlabel="code length m", ylabel="dimension d", title="NDCG@10 of JPQ tables")


def draw_curve(axes: "Axes", by_dim: Grid) -> None:
    """Draw accuracy over the bytes of the item table."""
    for place, (dim, lines) in enumerate(by_dim.items()):
        sizes = [line.sizes["item_table_bytes"] / 1000 for line in lines.values()]
        values = [line.metrics[METRIC] for line in lines.values()]
        colour = f"C{place}"
        axes.plot(sizes[1:], values[1:], marker="o", color=colour, label=f"JPQ, d = {dim}")
        axes.plot(sizes[0], values[0], marker="s", ls="", mfc="none", color=colour)
    axes.plot([], [], marker="s", ls="", mfc="none", color="#333333", label="full, of the same d")
    axes.set_xscale("log")
    axes.set(xlabel="item table, kB", ylabel="NDCG@10", title="Size and accuracy")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def main(given: argparse.Namespace) -> None:
    """Train what is not there yet, print the grid, and write plot, table and report."""
    catalogue = partition_leave_one_out(load_catalogue(given.card, given.data), VALIDATION_USERS)
    folders = run_grid(catalogue, configs(catalogue, given), given.out, given.workers)
    by_dim = grid(conclude(folders, given.out, "size-grid").lines)
    print(markdown(by_dim))
    plot(by_dim, given.out / "size-grid.png")


if __name__ == "__main__":
    parser = options("Dimension and code length of item tables", "ml-1m", "runs/size-grid")
    parser.add_argument("--table", default="jpq-kmeans", choices=STRATEGIES)
    parser.add_argument("--dims", type=int, nargs="+", default=DIMS)
    parser.add_argument("--code-lengths", type=int, nargs="+", default=CODE_LENGTHS)
    main(parser.parse_args())
