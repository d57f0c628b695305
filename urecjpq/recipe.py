"""What recipes have in common: their options, and what they leave at the end."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from urecjpq.backbones import BackboneConfig
from urecjpq.compare import compare_runs
from urecjpq.comparison import Comparison
from urecjpq.config import TrainingConfig
from urecjpq.data import load_catalogue, prepare
from urecjpq.data.catalogue import Catalogue
from urecjpq.data.item_pictures import fetch_item_pictures
from urecjpq.encoding import encode_catalogue
from urecjpq.experiment import describe
from urecjpq.files import read_json, write_text
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.grid import run_grid
from urecjpq.quantised_runs import quantise_run
from urecjpq.report import write_report
from urecjpq.table_config import TABLES, TableConfig

MAIN_NAMES = ("full", "full-factors", "jpq-kmeans", "full-spread", "jpq-spread")
MAIN_TABLES = {name: TABLES[name] for name in MAIN_NAMES}
"""Full tables with a random start, with that of the quantised ones, and these; and once more with
interactions spread over neighbours."""

AMAZON_WEIGHTS = {"image": 0.1, "text": 0.9}
"""Of modalities in Amazon's item graphs, as FREEDOM publishes them."""
AMAZON_SPREAD = {name: share / 2 for name, share in AMAZON_WEIGHTS.items()}
"""Shares by which interactions are spread there: an item hands on half of what it has."""

MODALITY_WEIGHTS = dict.fromkeys(("amazon-baby", "amazon-sports"), AMAZON_WEIGHTS)
"""In the item graph by card; equal ones elsewhere."""


def spread_by(tables: Mapping[str, TableConfig], shares: Mapping[str, float]) -> dict:
    """Return ``tables`` in which those that spread interactions do so by these shares.

    Args:
        tables: By name.
        shares: Of each modality: an audience goes by what a text says more than by a picture.
    """
    return {
        name: table.model_copy(update={"spread": dict(shares)}) if table.spread else table
        for name, table in tables.items()
    }


def quantised(run: Path, catalogue: Catalogue, out: Path, code_length: int, **choices) -> Path:
    """Return the folder in ``out`` of a run quantised with centroids in half precision.

    Args:
        run: Finished, with full tables.
        catalogue: The data it was trained on.
        out: Folder for runs.
        code_length: Sub-ids of a user or an item.
        choices: Others of `urecjpq.quantise_run`.
    """
    config = read_json(run / "config.json")
    folder = out / f"{config['name']}-quantised-m{code_length}-{config['seed']}"
    choices |= {"code_length": code_length, "centroid_dtype": "float16"}
    return quantise_run(run, catalogue, folder, **choices, resume=True)


def options(
    description: str, card: str, out: str, seeds: Sequence[int] = (0,), workers: int = 1
) -> argparse.ArgumentParser:
    """Return a parser of ``card``, ``data``, ``out``, ``seeds``, ``workers`` and ``epochs``.

    Args:
        description: First line of ``--help``.
        card: Data set, unless another is asked for.
        out: Folder for the runs, unless another is asked for.
        seeds: Unless others are asked for.
        workers: Runs side by side, unless another number is asked for.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--card", default=card, help="data set; %(default)s")
    parser.add_argument("--data", type=Path, help="folder with the files that the card names")
    parser.add_argument("--out", type=Path, default=Path(out), help="for the runs; %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds), help="%(default)s")
    parser.add_argument("--workers", type=int, default=workers, help="runs side by side")
    parser.add_argument("--epochs", type=int, default=1000, help="at most; %(default)s")
    return parser


def read_options(
    description: str, card: str, out: str, raw: bool = False, seeds: Sequence[int] = (0,)
) -> argparse.Namespace:
    """Return what was given of `options`.

    Args:
        description: See `options`, as ``card``, ``out`` and ``seeds``.
        card: Data set.
        out: Folder for the runs.
        raw: The card is one of a publisher's raw files: add ``raw``, the folder where they lie,
            ``encoder`` and ``pictures``.
        seeds: Of the runs.
    """
    parser = options(description, card, out, seeds)
    if raw:
        parser.add_argument("--from", dest="raw", type=Path, help="raw files fetched by hand")
        parser.add_argument("--encoder", action="append", help="frozen encoder; repeatable")
        parser.add_argument("--pictures", action="store_true", help="fetch pictures first")
    return parser.parse_args()


def catalogue_of(given: argparse.Namespace, encoders: Sequence[str]) -> Catalogue:
    """Return the catalogue that the options name, made from raw files, described by encoders.

    Args:
        given: See `read_options`, with ``raw=True``.
        encoders: Unless others are asked for.
    """
    folder = given.data or given.out / "catalogue"
    catalogue = prepare(given.card, folder, given.raw)
    print(catalogue.name, catalogue.counts(), flush=True)
    if given.pictures:
        print(fetch_item_pictures(folder / "items.csv"))
        catalogue = load_catalogue(given.card, folder)
    return with_neighbours(encode_catalogue(catalogue, given.encoder or encoders))


def compare_tables(
    catalogue: Catalogue,
    backbones: Sequence[BackboneConfig],
    tables: Mapping[str, TableConfig],
    training: TrainingConfig,
    given: argparse.Namespace,
    name: str,
    **choices,
) -> None:
    """Train every seed, backbone and kind of table that is not there yet, and `conclude`.

    Args:
        catalogue: The data.
        backbones: Their settings.
        tables: By the name they carry in runs and reports.
        training: Of all runs, but for ``given.epochs``.
        given: See `options`.
        name: Of the table and the report.
        choices: Further fields of `RunConfig`.
    """
    at_most = training.model_copy(update={"max_epochs": given.epochs})
    configs = [
        describe(
            catalogue,
            name=f"{backbone.name}-{kind}",
            seed=seed,
            backbone=backbone,
            tables=table,
            training=at_most,
            **choices,
        )
        for seed in given.seeds
        for backbone in backbones
        for kind, table in tables.items()
    ]
    conclude(run_grid(catalogue, configs, given.out, given.workers), given.out, name)


def conclude(
    folders: Sequence[Path], out: Path, name: str, baseline: str | None = None
) -> Comparison:
    """Print the runs side by side; write ``<name>.md``, ``.html`` and ``.json`` into ``out``."""
    comparison = compare_runs(folders, baseline)
    write_text(out / f"{name}.md", comparison.to_markdown())
    print(comparison.to_text())
    print("Report:", write_report(comparison, out / f"{name}.html"))
    return comparison
