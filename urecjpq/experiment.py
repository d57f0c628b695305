"""One run from start to end: codes, tables, backbone, training, evaluation, run folder."""

import gzip
import importlib.metadata
import json
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from urecjpq.build import Backbone, build_backbone, build_tables
from urecjpq.config import CatalogueReference, RunConfig, TableConfig, parse_config
from urecjpq.data.catalogue import Catalogue
from urecjpq.environment import environment
from urecjpq.errors import require
from urecjpq.evaluation import Evaluation, evaluate
from urecjpq.files import read_tensors, write_json, write_tensors, write_text, written_whole
from urecjpq.runs import (
    CHECKPOINT_FILES,
    FILES,
    MANIFEST,
    graph_tensors,
    is_finished,
    verify_run,
    write_manifest,
)
from urecjpq.tables import JPQEmbedding, Table
from urecjpq.training import Progress, train

CHECKPOINT = "checkpoint.safetensors"


def describe(catalogue: Catalogue, **choices) -> RunConfig:
    """Return the configuration of a run on ``catalogue``; ``choices`` are fields of `RunConfig`."""
    return RunConfig(
        version=importlib.metadata.version("urecjpq"),
        catalogue=CatalogueReference(name=catalogue.name, digest=catalogue.digest),
        **choices,
    )


def run_experiment(
    catalogue: Catalogue,
    config: RunConfig,
    folder: Path | str,
    *,
    resume: bool = False,
    show_progress: bool = True,
) -> Path:
    """Train and evaluate one model and leave a finished run folder.

    Args:
        catalogue: The data that ``config`` names.
        config: See `describe`.
        folder: Where the run goes; made if absent.
        resume: Go on with an unfinished run of the same configuration, and leave a finished one
            as it is.
        show_progress: Draw a progress bar where the output is a terminal.

    Returns:
        The folder.

    Raises:
        InputError: The folder holds a run already and ``resume`` is False, or holds a run of
            another configuration; or the configuration does not fit the data.
    """
    folder = Path(folder)
    require(
        config.catalogue.digest == catalogue.digest,
        "catalogue must be the one that the configuration names",
        f"{catalogue.name} {catalogue.digest[:12]}… "
        f"instead of {config.catalogue.name} {config.catalogue.digest[:12]}…",
        "Describe the run with this catalogue.",
    )
    if _is_done(folder, config, resume):
        return folder
    interactions = catalogue.matrix("train")
    tables = build_tables(config.tables, interactions, config.seed)
    backbone = build_backbone(
        config.backbone, tables, interactions, catalogue.neighbours, catalogue.features, config.seed
    )
    # Only now that everything fits: a refused configuration leaves no folder with a run in it.
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.json", config.to_json())
    progress = train(
        backbone,
        catalogue,
        config.training,
        config.seed,
        folder / CHECKPOINT,
        config.digest,
        show_progress=show_progress,
    )
    round_centroids(tables, config.tables)
    save_run(folder, config, catalogue, backbone, progress)
    remove_leftovers(folder)
    return folder


def remove_leftovers(folder: Path) -> None:
    """Remove the checkpoint of a run, and the temporary files of processes that were killed."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    for name in (CHECKPOINT, MANIFEST, *FILES):
        for path in folder.glob(f".{name}.*.part"):
            path.unlink(missing_ok=True)


def _is_done(folder: Path, config: RunConfig, resume: bool) -> bool:
    path = folder / "config.json"
    if not path.exists():
        require(not is_finished(folder), f"{path} must be there", "a run without it")
        return False
    require(
        resume,
        f"folder must not hold a run yet: {folder}",
        "a finished run" if is_finished(folder) else "an unfinished run",
        "Pass --resume to go on with it, or choose another folder.",
    )
    require(
        parse_config(path.read_text(), str(path)) == config,
        f"{path} must equal the configuration to resume",
        "another configuration or other data",
        "Choose another folder.",
    )
    if is_finished(folder):
        verify_run(folder)
    return is_finished(folder)


@torch.no_grad()
def round_centroids(tables: tuple[Table, Table], config: TableConfig) -> None:
    """Round centroids to the type they are stored in, so that metrics are those of the file."""
    for table in tables:
        if isinstance(table, JPQEmbedding):
            table.centroids.copy_(table.centroids.to(getattr(torch, config.centroid_dtype)))


def save_run(
    folder: Path, config: RunConfig, catalogue: Catalogue, backbone: Backbone, progress: Progress
) -> None:
    """Evaluate the trained backbone and write every file of a finished run."""
    values = backbone.state_dict()
    codes = {name: value for name, value in values.items() if name.endswith(".codes")}
    write_tensors(folder / "codes.safetensors", codes)
    write_tensors(folder / "model.safetensors", _stored_values(values, codes, config.tables))
    graph = graph_tensors(catalogue, with_neighbours=config.backbone.name != "lightgcn")
    write_tensors(folder / "graph.safetensors", graph)
    write_ids(folder / "ids.tsv.gz", catalogue)
    backbone.eval()
    with torch.no_grad():
        vectors = backbone.vectors()
    results = {
        name: evaluate(*vectors, catalogue, name, exclude=exclude, features=catalogue.features)
        for name, exclude in (("valid", "train"), ("test", config.exclude))
    }
    _write_results(folder, config, backbone, progress, results)
    write_manifest(folder)


def _stored_values(
    values: dict[str, Tensor], codes: dict[str, Tensor], config: TableConfig
) -> dict[str, Tensor]:
    dtype = getattr(torch, config.centroid_dtype)
    return {
        name: value.to(dtype) if name.endswith(".centroids") else value
        for name, value in values.items()
        if name not in codes
    }


def write_ids(path: Path, catalogue: Catalogue) -> None:
    """Write raw ids by row, users first, and item titles; equal catalogues give equal bytes."""
    items = catalogue.num_items
    titles = [""] * items if catalogue.titles is None else list(catalogue.titles)
    table = pd.DataFrame(
        {
            "kind": ["user"] * catalogue.num_users + ["item"] * items,
            "id": [*catalogue.user_ids, *catalogue.item_ids],
            "title": [""] * catalogue.num_users + [" ".join(title.split()) for title in titles],
        }
    )
    text = table.to_csv(sep="\t", index=False, quoting=3, escapechar="\\")
    with written_whole(path) as temporary:
        temporary.write_bytes(gzip.compress(text.encode(), mtime=0))


def _write_results(
    folder: Path,
    config: RunConfig,
    backbone: Backbone,
    progress: Progress,
    results: dict[str, Evaluation],
) -> None:
    test = results["test"]
    per_user = {name: torch.from_numpy(values) for name, values in test.per_user.items()}
    per_user["users"] = torch.from_numpy(test.users.astype("int32"))
    write_tensors(folder / "user_metrics.safetensors", per_user)
    lines = (json.dumps(record, allow_nan=False) + "\n" for record in progress.history)
    write_text(folder / "history.jsonl", "".join(lines))
    seconds = [record["seconds"] for record in progress.history]
    metrics = {
        "protocol": test.protocol,
        **{name: result.metrics for name, result in results.items()},
        "sizes": sizes(folder, backbone),
        "training": {
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "seconds": round(sum(seconds), 3),
            "seconds_to_best": round(sum(seconds[: progress.best_epoch]), 3),
        },
        "environment": {**environment(), "threads": torch.get_num_threads()},
    }
    write_json(folder / "metrics.json", metrics)
    write_text(folder / "README.md", model_card(config, metrics))


def sizes(folder: Path, backbone: Backbone) -> dict[str, int]:
    """Return trainable numbers, table bytes as stored, and the bytes of each file of the run."""
    tables = {"user": backbone.user_table, "item": backbone.item_table}
    values, codes = (read_tensors(folder / name)[0] for name in CHECKPOINT_FILES)
    stored = values | codes
    files = {name: (folder / name).stat().st_size for name in CHECKPOINT_FILES}
    return {
        "trainable_parameters": sum(p.numel() for p in backbone.parameters()),
        "table_parameters": sum(p.numel() for t in tables.values() for p in t.parameters()),
        **{
            f"{side}_table_bytes": sum(
                value.nbytes for name, value in stored.items() if name.startswith(f"{side}_table.")
            )
            for side in tables
        },
        "checkpoint_bytes": sum(files.values()),
        "model_file_bytes": files["model.safetensors"],
        "codes_file_bytes": files["codes.safetensors"],
        "graph_file_bytes": (folder / "graph.safetensors").stat().st_size,
        "ids_file_bytes": (folder / "ids.tsv.gz").stat().st_size,
    }


def model_card(config: RunConfig, metrics: dict) -> str:
    """Return the README of a run folder, in Markdown."""
    tables = config.tables
    kind = f"{tables.kind}, {tables.strategy} codes" if tables.strategy else tables.kind
    rows = "".join(
        f"| {name} | {metrics['valid'][name]:.4f} | {metrics['test'][name]:.4f} |\n"
        for name in ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
    )
    counts = metrics["sizes"]
    return f"""---
library_name: urecjpq
tags: [recommendation, {config.backbone.name}, {tables.kind}]
---
# {config.name}, seed {config.seed}

{config.backbone.name} on `{config.catalogue.name}` (sha256 `{config.catalogue.digest[:12]}…`),
user and item tables: {kind}. Full ranking, all items but the user's {config.exclude} items.

| metric | valid | test |
|---|---|---|
{rows}
{counts["trainable_parameters"]:,} trainable parameters; tables of
{counts["user_table_bytes"]:,} bytes (users) and {counts["item_table_bytes"]:,} bytes (items);
checkpoint of {counts["checkpoint_bytes"]:,} bytes.

    from urecjpq import load_run
    load_run("this folder").recommend("a raw user id", k=10)
"""
