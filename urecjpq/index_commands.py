"""What the commands `urecjpq index …` do, apart from their options.

Beside the index lies ``run.json``, which names the run it was built from: ids of an index are rows
of a run, and those of another run would be other items.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from urecjpq.errors import InputError, require
from urecjpq.files import read_json, sha256_of, write_json
from urecjpq.index import TopK, TopKIndex
from urecjpq.index.native import path, paths
from urecjpq.manifest import MANIFEST
from urecjpq.runs import load_run

RUN = "run.json"


def build_index(run_folder: Path, out: Path, code_length: int, codebook_size: int) -> Path:
    """Build the index of a finished run's items; returns its folder."""
    hint = "Choose another folder."
    require(not (out / MANIFEST).exists(), f"{out} must not hold anything yet", MANIFEST, hint)
    run = load_run(run_folder)
    index = run.build_index(code_length, codebook_size)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / RUN, _name(run_folder, run.config.name))
    return index.save(out)


def search_for_user(folder: Path, run_folder: Path, user: str, k: int, method: str) -> pd.DataFrame:
    """Return the best items for a user of the run that the index was built from."""
    index, run = TopKIndex.load(folder), load_run(run_folder)
    built_from, given = read_json(folder / RUN), _name(run_folder, run.config.name)
    rule = f"run must be the one that {folder} was built from"
    require(built_from == given, rule, run_folder, "Build an index of this run.")
    return run.recommend(user, k, method, index)


def search_for_queries(folder: Path, file: Path, k: int, method: str, threads: int) -> TopK:
    """Return the best items for each row of an array in a ``.npy`` file."""
    try:
        queries = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{file} must be an array as numpy.save writes it; got {error}.") from None
    fits = isinstance(queries, np.ndarray) and queries.ndim == 2
    require(fits, f"{file} must hold queries of shape (q, d)", getattr(queries, "shape", "others"))
    return TopKIndex.load(folder).search(queries, k, method=method, threads=threads)


def describe_index(folder: Path) -> dict[str, str]:
    """Return what an index holds, and how this machine would search it, by name."""
    index = TopKIndex.load(folder)
    memory = {part: size for part, size in index.memory().items() if size}
    code_length, codebook_size, _ = index.centroids.shape
    built_from = {"run": read_json(folder / RUN)["run"]} if (folder / RUN).is_file() else {}
    return {
        **built_from,
        "items": f"{index.num_items:,}",
        "ids": f"0 … {index.num_ids - 1:,}",
        "scores": "final vectors" if "vectors" in memory else "sums of sub-scores",
        "dimension": f"{index.embedding_dim:,}",
        "code length": f"{code_length:,}",
        "codebook size": f"{codebook_size:,}",
        **{f"bytes, {part}": f"{size:,}" for part, size in memory.items()},
        "bytes per item": f"{sum(memory.values()) / index.num_items:.1f}",
        "paths here": ", ".join(paths()),
        "path taken": path(),
    }


def _name(run_folder: Path, name: str) -> dict[str, str]:
    return {"run": name, "manifest_sha256": sha256_of(run_folder / MANIFEST)}
