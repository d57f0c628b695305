"""Quantised runs from trained ones: codes of full tables, and centroids trained a little further.

    from urecjpq import load_catalogue, quantise_run
    quantise_run("runs/mgcn-full-0", load_catalogue("tiktok", data), "runs/mgcn-small-0")

`urecjpq.assign_by_kmeans` and its like know interactions before training, and a full table never
exists; here it does, once, and what the model has learned decides who shares centroids.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from urecjpq.assignment import assign_factors
from urecjpq.config import RunConfig, TrainingConfig, parse_config
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.experiment import run_experiment
from urecjpq.files import sha256_of
from urecjpq.recommender import Recommender
from urecjpq.starts import table_weights
from urecjpq.tables import JPQEmbedding, Table, sibling
from urecjpq.trained import full_config, full_model, swap_tables, tables_of

RATE = 3e-4
"""On TikTok and Amazon Baby as good as 1e-3 or better, under FREEDOM, MGCN and SMORE."""


def quantise_run(
    run: Path | str,
    catalogue: Catalogue,
    out: Path | str,
    *,
    code_length: int = 8,
    codebook_size: int = 256,
    sides: Literal["both", "users", "items"] = "both",
    centroid_dtype: Literal["float32", "float16", "int8"] = "float32",
    weight_power: float = 1.0,
    training: TrainingConfig | None = None,
    resume: bool = False,
    show_progress: bool = True,
) -> Path:
    """Quantise the tables of a finished run with full tables, train on, and return ``out``.

    Codes and centroids are k-means of the trained rows, split by split, in which an item's error
    counts as often as the item occurs; all else starts from its trained values. Tables of one side
    (those of users' preferences, or of an untied model) share their codes.

    Args:
        run: Folder of a run with full tables.
        catalogue: The data it was trained on.
        out: Folder of the new run, named ``<name>-quantised-m<code_length>``.
        code_length: ``m``, a divisor of the run's dimension.
        codebook_size: ``b``, at most the number of users and of items.
        sides: Whose tables; the others stay full and are trained on.
        centroid_dtype: How centroids are stored.
        weight_power: Exponent of an item's interactions in its weight; 0 for all items alike.
        training: Of what comes after; the run's own at a rate of 3e-4 if None.
        resume: See `urecjpq.run_experiment`.
        show_progress: Likewise.

    Raises:
        InputError: The run is damaged, has no full tables or other data, sizes that do not fit,
            or ``out`` holds a run and ``resume`` is False.

    Source: product quantisation of trained embeddings, Jégou et al., PAMI 2011; training centroids
    with the model's own loss is RecJPQ's (arXiv:2312.06165), whose codes are made before training.
    """
    config = full_config(Path(run))
    tables = config.tables.model_copy(
        update={
            "kind": "jpq",
            "strategy": "trained",
            "start": "trained",
            "code_length": code_length,
            "codebook_size": codebook_size,
            "sides": sides,
            "centroid_dtype": centroid_dtype,
            "weight_power": weight_power,
        }
    )
    training = training or config.training.model_copy(update={"learning_rate": RATE})
    name = f"{config.name}-quantised-m{code_length}"
    source = sha256_of(Path(run) / "model.safetensors")
    update = {"name": name, "tables": tables, "training": training, "source": source}
    made = parse_config(config.model_copy(update=update).to_json(), "the quantised run")
    build = partial(quantised_model, run=Path(run), full=config)
    return run_experiment(
        catalogue, made, out, resume=resume, show_progress=show_progress, build=build
    )


def quantised_model(
    config: RunConfig, catalogue: Catalogue, run: Path, full: RunConfig
) -> Recommender:
    """Return the model of a finished run of ``full``, its tables quantised as ``config`` says."""
    model, settings = full_model(run, full, catalogue), config.tables
    weights = table_weights(settings, catalogue.matrix("train"))
    sizes = (settings.code_length, settings.codebook_size)
    sides = tables_of(model)
    rule = f"sides must be both, or one that the model has tables of: {', '.join(sides)}"
    require(settings.sides in ("both", *sides), rule, settings.sides)
    for side, tables in sides.items():
        if settings.of(side).kind == "jpq":
            made = _together(list(tables.values()), *sizes, weights[side], config.seed)
            swap_tables(model, dict(zip(tables, made, strict=True)))
    return model


@torch.no_grad()
def _together(
    tables: Sequence[Table], code_length: int, codebook_size: int, weights: np.ndarray, seed: int
) -> list[JPQEmbedding]:
    """Return tables of the same rows, quantised with one set of codes for all of them."""
    rows = np.stack([table.weight.detach().cpu().numpy() for table in tables], axis=1)
    num_rows, count, dim = rows.shape
    # Split k of every table side by side: rows that are near in all of them share a centroid.
    splits = rows.reshape(num_rows, count, code_length, -1).swapaxes(1, 2)
    sizes = (code_length, codebook_size)
    found = assign_factors(splits.reshape(num_rows, -1), *sizes, weights=weights, seed=seed)
    centroids = np.asarray(found.centroids).reshape(code_length, codebook_size, count, -1)
    first = JPQEmbedding(found.codes, dim, codebook_size)
    made = [first, *(sibling(first) for _ in tables[1:])]
    for number, table in enumerate(made):
        table.set_centroids(torch.from_numpy(np.ascontiguousarray(centroids[:, :, number])))
    return made
