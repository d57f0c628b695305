"""What the commands do, apart from their options."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from urecjpq.backbones import BACKBONES
from urecjpq.data import load_catalogue
from urecjpq.encoding import encode_catalogue
from urecjpq.errors import require
from urecjpq.evaluation import evaluate
from urecjpq.experiment import describe, run_experiment
from urecjpq.feature_codes import with_quantised_features
from urecjpq.files import read_json, write_text
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.loggers import require_loggers
from urecjpq.quantised_runs import quantise_run
from urecjpq.runs import load_run
from urecjpq.saving import valid_exclude
from urecjpq.table_config import TABLES
from urecjpq.trained import full_config


def train_run(
    card: str,
    out: Path,
    data: Path | None = None,
    backbone: str = "lightgcn",
    tables: str = "jpq-kmeans",
    seed: int = 0,
    encoders: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    resume: bool = False,
    feature_codes: int | None = None,
    log: Sequence[str] | None = None,
) -> Path:
    """Load the card, describe the run and train it; returns the run folder."""
    require_loggers(log or ())
    require(tables in TABLES, f"tables must be one of {', '.join(TABLES)}", repr(tables))
    catalogue = encode_catalogue(load_catalogue(card, data), encoders or ())
    require(
        backbone in BACKBONES, f"backbone must be one of {', '.join(BACKBONES)}", repr(backbone)
    )
    choices: dict[str, Any] = {
        "name": f"{backbone}-{tables}",
        "seed": seed,
        "backbone": {"name": backbone},
        "tables": TABLES[tables].model_dump(),
    }
    for setting in settings or ():
        _apply(choices, setting)
    # Neighbours of a large catalogue take a while: only where something asks for them.
    if "neighbours" in BACKBONES[backbone].MODEL.USES or _spreads(choices["tables"]):
        catalogue = with_neighbours(catalogue)
    if feature_codes is not None:
        catalogue = with_quantised_features(catalogue, feature_codes)
    config = describe(catalogue, **choices)
    return run_experiment(catalogue, config, out, resume=resume, log=log or ())


def quantise_folder(
    run: Path,
    out: Path,
    card: str | None,
    data: Path | None,
    encoders: Sequence[str] | None,
    options: Mapping[str, Any],
    resume: bool,
) -> Path:
    """Quantise a finished run on the data that it was trained on; returns the new run's folder.

    ``options`` are those of `urecjpq.quantise_run`, by name.
    """
    config = full_config(run)
    catalogue = load_catalogue(card or config.catalogue.name, data)
    catalogue = encode_catalogue(catalogue, encoders or ())
    if any(name.startswith("neighbours.") for name in config.catalogue.content):
        catalogue = with_neighbours(catalogue)
    return quantise_run(run, catalogue, out, **options, resume=resume)


def report_runs(
    folders: Sequence[Path],
    out: Path,
    baseline: str | None = None,
    card: str | None = None,
    data: Path | None = None,
    queries: int = 50,
    forms: Sequence[str] = (),
) -> Path:
    """Compare runs, measure what they do not keep, and write the page; returns its path.

    ``forms`` are the suffixes of further tables beside it, ``.md`` and ``.tex``.
    """
    from urecjpq.compare import compare_runs
    from urecjpq.report import write_report
    from urecjpq.reporting import measure

    comparison = compare_runs(folders, baseline)
    require(queries >= 0, "queries must be at least 0", queries)
    catalogue = None if card is None else load_catalogue(card, data)
    page = write_report(comparison, out, measurements=measure(comparison, catalogue, queries))
    tables = {".md": comparison.to_markdown, ".tex": comparison.to_latex}
    for suffix in forms:
        write_text(out.with_suffix(suffix), tables[suffix]())
    return page


def prepare_card(
    card: str, out: Path | None, given: Path | None, skip_bad: bool
) -> dict[str, object]:
    """Make a catalogue from raw files; returns where it lies and what is in it, by name."""
    from urecjpq.data.preparation import prepare
    from urecjpq.data.prepared import BAD_LINES, MANIFEST, prepared_folder

    catalogue = prepare(card, out, given, skip_bad)
    folder = out or prepared_folder(catalogue.name)
    manifest = read_json(folder / MANIFEST)
    counts = manifest["counts"] | catalogue.counts()
    shown: dict[str, object] = {k.replace("_", " "): f"{n:,}" for k, n in counts.items()}
    bad = manifest["bad_lines"]
    listed = {"listed in": folder / BAD_LINES} if bad else {}
    return shown | {"bad lines left out": bad} | listed | {"folder": folder}


def recommend_list(
    folder: Path, user: str | None, history: str | None, k: int, method: str
) -> pd.DataFrame:
    """Return the best items for a user, or after a history of ids with commas between them."""
    require(
        (user is None) != (history is None),
        "recommend must be given either a user or --history",
        "neither" if user is None else "both",
        "Try --history ID,ID,… with item ids, oldest first.",
    )
    run = load_run(folder)
    if user is not None:
        return run.recommend(user, k, method)
    return run.recommend_next(history.split(",") if history else [], k, method)


def _spreads(tables: object) -> bool:
    return isinstance(tables, dict) and bool(tables.get("spread"))


def _apply(choices: dict[str, Any], setting: str) -> None:
    field, equals, value = setting.partition("=")
    require(bool(equals), "--set must be FIELD=VALUE", repr(setting), "Try training.max_epochs=50.")
    *parents, last = field.split(".")
    place = choices
    for parent in parents:
        place = place.setdefault(parent, {})
        require(isinstance(place, dict), f"{parent} must be a group of fields", repr(setting))
    try:
        place[last] = json.loads(value)
    except json.JSONDecodeError:
        place[last] = value


def evaluate_run(
    folder: Path, card: str | None, data: Path | None, partition: str, exclude: str | None
) -> dict[str, float]:
    """Return the metrics of a finished run on the data that it was trained on."""
    run = load_run(folder)
    catalogue = load_catalogue(card or run.config.catalogue.name, data)
    require(
        catalogue.digest == run.config.catalogue.digest,
        f"the catalogue must be the one the run was trained on, {run.config.catalogue.name}",
        f"other ids, pairs or partitions in {catalogue.name}",
        "Pass the same --data, or --card.",
    )
    if exclude is None:
        own = run.config.exclude
        exclude = own if partition == "test" else valid_exclude(own)
    users, items = run.backbone.vectors_for(catalogue, partition)
    return evaluate(users, items, catalogue, partition, exclude=exclude).metrics
