"""Finished runs with full tables: the models that smaller ones are made of."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from urecjpq.build import build_model
from urecjpq.config import RunConfig, read_config
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.experiment import require_catalogue
from urecjpq.files import read_tensors
from urecjpq.graphs import Backbone
from urecjpq.manifest import verify_run
from urecjpq.recommender import Recommender
from urecjpq.sequential.backbone import SequentialBackbone
from urecjpq.tables import Table


def full_config(run: Path) -> RunConfig:
    """Return the configuration of a finished run with full tables.

    Raises:
        InputError: The run is damaged, unfinished, or has no full tables.
    """
    verify_run(run)
    config = read_config(run)
    require(config.tables.kind == "full", f"{run} must have full tables", config.tables.kind)
    return config


def full_model(run: Path, config: RunConfig, catalogue: Catalogue) -> Recommender:
    """Return the trained model of a finished run whose `full_config` is ``config``.

    Raises:
        InputError: Other data than it was trained on.
    """
    require_catalogue(catalogue, config)
    model = build_model(config, catalogue)
    model.load_state_dict(read_tensors(run / "model.safetensors")[0])
    return model.eval()


def tables_of(model: Recommender) -> dict[str, dict[str, Table]]:
    """Return the tables by side and dotted name; those of a side have the same rows.

    Beside the main one those of users' preferences, and the one that an untied model scores with.
    """
    if isinstance(model, SequentialBackbone):
        items = {"item_table": model.item_table, "output_table": model.output_table}
        return {"items": {name: table for name, table in items.items() if table is not None}}
    if not isinstance(model, Backbone):
        raise TypeError(f"model must be a graph or a sequential one; got {type(model).__name__}.")
    preferences = getattr(model, "preference_tables", {})
    users = {f"preference_tables.{name}": table for name, table in preferences.items()}
    return {
        "users": {"user_table": model.user_table, **users},
        "items": {"item_table": model.item_table},
    }


def swap_tables(model: Recommender, tables: Mapping[str, nn.Module]) -> None:
    """Put other tables in the place of those of the same dotted name."""
    for name, table in tables.items():
        parent, _, child = name.rpartition(".")
        model.get_submodule(parent).register_module(child, table)
