"""Writing a finished run: values, graph, ids, metrics, sizes and model card."""

import gzip
import json
from pathlib import Path

import pandas as pd
import torch

from urecjpq.centroids import packed, unpacked
from urecjpq.checkpoint import Progress
from urecjpq.config import RunConfig
from urecjpq.data.catalogue import Catalogue
from urecjpq.environment import environment
from urecjpq.evaluation import Evaluation, evaluate
from urecjpq.files import read_tensors, write_json, write_tensors, write_text, written_whole
from urecjpq.graphs.frozen import FrozenFeatures
from urecjpq.manifest import CHECKPOINT_FILES, VECTORS, write_run_manifest
from urecjpq.recommender import Recommender
from urecjpq.run_folder import ITEM_CENTROIDS, USER_CENTROIDS, graph_tensors
from urecjpq.sequential.backbone import SequentialSettings
from urecjpq.table_config import TableConfig
from urecjpq.tables import JPQEmbedding

ITEM_TABLES = ("item_table.", "output_table.")


@torch.no_grad()
def round_centroids(backbone: Recommender, config: TableConfig) -> None:
    """Round centroids to the type they are stored in, so that metrics are those of the file."""
    for table in backbone.modules():
        if isinstance(table, JPQEmbedding):
            stored = packed("centroids", table.centroids, config.centroid_dtype)
            table.centroids.copy_(unpacked(stored)["centroids"])


def save_run(
    folder: Path, config: RunConfig, catalogue: Catalogue, backbone: Recommender, progress: Progress
) -> None:
    """Evaluate the trained backbone and write every file of a finished run."""
    write_values(folder, backbone, config.tables)
    write_tensors(folder / "graph.safetensors", graph_tensors(catalogue, config))
    write_ids(folder / "ids.tsv.gz", catalogue)
    backbone.eval()
    results = {}
    with torch.no_grad():
        for name, exclude in (
            ("valid", valid_exclude(config.exclude)),
            ("test", config.exclude),
        ):
            users, items = backbone.vectors_for(catalogue, name)
            given = (users, items, catalogue, name)
            results[name] = evaluate(*given, exclude=exclude, features=catalogue.features)
    if config.stores_vectors:
        write_tensors(folder / VECTORS, {"users": users, "items": items})
    _write_results(folder, config, backbone, progress, results)
    write_run_manifest(folder)


def valid_exclude(exclude: str) -> str:
    """Return what validation leaves out, given what the test does."""
    return "none" if exclude == "none" else "train"


def write_values(folder: Path, backbone: Recommender, config: TableConfig) -> None:
    """Write trained values and codes, the two files that a checkpoint's bytes count."""
    values = backbone.state_dict()
    codes = {name: value for name, value in values.items() if name.endswith(".codes")}
    write_tensors(folder / "codes.safetensors", codes)
    trained = {name: value for name, value in values.items() if name not in codes}
    if config.centroids == "shared" and USER_CENTROIDS in trained:
        del trained[ITEM_CENTROIDS]
    for name in [name for name in trained if name.endswith(".centroids")]:
        trained |= packed(name, trained[name], config.centroid_dtype)
    write_tensors(folder / "model.safetensors", trained)


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
    backbone: Recommender,
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
            **_peaks(progress),
        },
        "environment": {**environment(), "threads": torch.get_num_threads()},
    }
    write_json(folder / "metrics.json", metrics)
    write_text(folder / "README.md", model_card(config, metrics))


def _peaks(progress: Progress) -> dict[str, int]:
    """Return the most memory of any epoch, of the kinds that every epoch knows."""
    history = progress.history
    known = [key for key in history[0] if key.startswith("peak_")] if history else []
    return {
        key: max(record[key] for record in history)
        for key in known
        if all(key in record for record in history)
    }


def sizes(folder: Path, backbone: Recommender) -> dict[str, int]:
    """Return trainable numbers, table bytes as stored, and the bytes of each file of the run.

    Preference tables grow with the users, and count as theirs, as shared centroids do. Features
    count as they are held in training: float32, or codes and centroids.
    """
    values, codes = (read_tensors(folder / name)[0] for name in CHECKPOINT_FILES)
    stored = values | codes
    files = {name: (folder / name).stat().st_size for name in CHECKPOINT_FILES}
    prefixes = {"user": ("user_table.", "preference_tables."), "item": ITEM_TABLES}
    vectors = folder / VECTORS
    return {
        "trainable_parameters": sum(p.numel() for p in backbone.parameters()),
        "table_parameters": sum(
            parameter.numel()
            for name, parameter in backbone.named_parameters()
            if name.startswith(prefixes["user"] + prefixes["item"])
        ),
        **{
            f"{side}_table_bytes": sum(
                value.nbytes for name, value in stored.items() if name.startswith(prefix)
            )
            for side, prefix in prefixes.items()
        },
        "feature_bytes": sum(
            module.num_bytes for module in backbone.modules() if isinstance(module, FrozenFeatures)
        ),
        "checkpoint_bytes": sum(files.values()),
        "model_file_bytes": files["model.safetensors"],
        "codes_file_bytes": files["codes.safetensors"],
        "graph_file_bytes": (folder / "graph.safetensors").stat().st_size,
        "ids_file_bytes": (folder / "ids.tsv.gz").stat().st_size,
        "vectors_file_bytes": vectors.stat().st_size if vectors.exists() else 0,
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
    alone = isinstance(config.backbone, SequentialSettings)
    whose = "item table" if alone else "user and item tables"
    left_out = "" if config.exclude == "none" else f" but the user's {config.exclude} items"
    return f"""---
library_name: urecjpq
tags: [recommendation, {config.backbone.name}, {tables.kind}]
---
# {config.name}, seed {config.seed}

{config.backbone.name} on `{config.catalogue.name}` (sha256 `{config.catalogue.digest[:12]}…`),
{whose}: {kind}. Full ranking, all items{left_out}.

| metric | valid | test |
|---|---|---|
{rows}
{counts["trainable_parameters"]:,} trainable parameters; tables of
{counts["user_table_bytes"]:,} bytes (users) and {counts["item_table_bytes"]:,} bytes (items);
checkpoint of {counts["checkpoint_bytes"]:,} bytes.

    from urecjpq import load_run
    load_run("this folder").recommend("a raw user id", k=10)
"""
