"""What the commands do, apart from their options."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from urecjpq.config import TABLES, RunConfig, refuse_field
from urecjpq.data import load_catalogue
from urecjpq.data.catalogue import Catalogue
from urecjpq.encoding import encode_catalogue
from urecjpq.errors import require
from urecjpq.evaluation import evaluate
from urecjpq.experiment import describe, run_experiment
from urecjpq.feature_codes import with_quantised_features
from urecjpq.files import read_json
from urecjpq.graphs import BACKBONES
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.runs import load_run


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
) -> Path:
    """Load the card, describe the run and train it; returns the run folder."""
    require(tables in TABLES, f"tables must be one of {', '.join(TABLES)}", repr(tables))
    catalogue = encode_catalogue(load_catalogue(card, data), encoders or ())
    require(
        backbone in BACKBONES, f"backbone must be one of {', '.join(BACKBONES)}", repr(backbone)
    )
    if "neighbours" in BACKBONES[backbone].MODEL.USES:  # those of a large catalogue take a while
        catalogue = with_neighbours(catalogue)
    if feature_codes is not None:
        catalogue = with_quantised_features(catalogue, feature_codes)
    choices: dict[str, Any] = {
        "name": f"{backbone}-{tables}",
        "seed": seed,
        "backbone": {"name": backbone},
        "tables": TABLES[tables].model_dump(),
    }
    for setting in settings or ():
        _apply(choices, setting)
    return run_experiment(catalogue, _described(catalogue, choices), out, resume=resume)


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


def _described(catalogue: Catalogue, choices: dict[str, Any]) -> RunConfig:
    try:
        return describe(catalogue, **choices)
    except ValidationError as error:
        raise refuse_field(error, "the run's settings") from None


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
    folder: Path, card: str | None, data: Path | None, partition: str, exclude: str
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
    users, items = run.vectors
    return evaluate(users, items, catalogue, partition, exclude=exclude).metrics
