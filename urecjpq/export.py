"""What a run learnt, in the formats of other programs.

A folder is written, whole or not at all, with a file per side:

    safetensors   users.safetensors (the tensor ``vectors``) and users.ids.json; of quantised tables
                  the folder users/ that `JPQEmbedding.from_pretrained` reads
    numpy         users.npy, users.ids.json
    faiss         users.faiss, users.ids.json: IndexFlatIP, of quantised tables IndexPQ
    parquet       users.parquet with the columns id and vector
    word2vec      users.txt: number of rows and of dimensions, then a line per id

and ``items`` likewise. ``ids.json`` lists raw ids by row.
"""

import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from urecjpq.centroids import unpacked
from urecjpq.errors import InputError, require
from urecjpq.files import read_tensors, write_json, write_tensors
from urecjpq.manifest import CHECKPOINT_FILES
from urecjpq.quotient_remainder import QuotientRemainderEmbedding
from urecjpq.runs import Run, load_run
from urecjpq.table_config import TableConfig
from urecjpq.tables import JPQEmbedding, Table

WHAT = ("vectors", "tables")
SIDES = ("users", "items")
BLOCK_ROWS = 8192


def export_run(
    folder: Path | str, out: Path | str, form: str, what: str = "vectors", side: str = "both"
) -> list[Path]:
    """Write a run's users, items or both for other programs; returns what lies in the new folder.

    Args:
        folder: A finished run.
        out: Made; it must not exist yet, or be empty.
        form: One of `FORMATS`.
        what: ``vectors``, whose dot products are the model's scores, or the bare ``tables``, before
            any propagation.
        side: ``users``, ``items`` or ``both``.

    Raises:
        InputError: An unknown choice, a side that the run has no table of, ids that the format
            cannot hold, or a missing package. Nothing is left then.
    """
    folder, out = Path(folder), Path(out)
    require(form in FORMATS, f"format must be one of {', '.join(FORMATS)}", repr(form))
    require(what in WHAT, f"what must be one of {', '.join(WHAT)}", repr(what))
    require(side in (*SIDES, "both"), f"side must be one of {', '.join(SIDES)}, both", repr(side))
    taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
    require(not taken, f"{out} must not exist yet", "something there", "Choose another folder.")
    run = load_run(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name in SIDES if side == "both" else (side,):
            ids = run.user_ids if name == "users" else run.item_ids
            FORMATS[form](temporary, name, ids, _content(folder, run, name, what))
        temporary.chmod(0o777 & ~_umask())
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(out.iterdir())


def read_table(folder: Path, config: TableConfig, side: str, num_rows: int) -> Table:
    """Return the bare table of one side of a verified run.

    Args:
        folder: Of the run.
        config: Its tables.
        side: ``users`` or ``items``.
        num_rows: Users or items of the run.

    Raises:
        InputError: The model has no such table.
    """
    model, codes = (read_tensors(folder / name)[0] for name in CHECKPOINT_FILES)
    stored = unpacked(model) | codes
    prefix = f"{side.removesuffix('s')}_table."
    values = {k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)}
    require(bool(values), f"side must be one that {folder} has a table of", side)
    if "weight" in values:
        return nn.Embedding.from_pretrained(values["weight"])
    if "codes" in values:
        centroids = values.get("centroids", stored.get("user_table.centroids"))  # or shared
        return JPQEmbedding(values["codes"], config.embedding_dim, config.codebook_size, centroids)
    known, hint = config.kind == "quotient_remainder", "Export the vectors."
    require(known, f"tables of {folder} must be full, jpq or quotient-remainder", config.kind, hint)
    table = QuotientRemainderEmbedding(num_rows, config.embedding_dim, scramble=True)
    table.set_centroids(values["centroids"])
    return table


@torch.no_grad()
def _content(folder: Path, run: Run, side: str, what: str) -> Tensor | JPQEmbedding:
    if what == "vectors":
        # Sequential models have no vector of a user without a history: items do not wait for it.
        return run._item_vectors() if side == "items" else run.vectors[0]
    rows = len(run.user_ids if side == "users" else run.item_ids)
    table = read_table(folder, run.config.tables, side, rows)
    return table if isinstance(table, JPQEmbedding) else table.weight.detach()


def _array(content: Tensor | JPQEmbedding) -> np.ndarray:
    values = content.weight if isinstance(content, JPQEmbedding) else content
    return np.ascontiguousarray(values.detach().float().numpy())


def _write_ids(folder: Path, side: str, ids: np.ndarray) -> None:
    write_json(folder / f"{side}.ids.json", ids.tolist())


def _safetensors(folder: Path, side: str, ids: np.ndarray, content: Tensor | JPQEmbedding) -> None:
    if isinstance(content, JPQEmbedding):
        content.set_ids(ids)
        content.save_pretrained(folder / side)
        return
    write_tensors(folder / f"{side}.safetensors", {"vectors": content})
    _write_ids(folder, side, ids)


def _numpy(folder: Path, side: str, ids: np.ndarray, content: Tensor | JPQEmbedding) -> None:
    np.save(folder / f"{side}.npy", _array(content), allow_pickle=False)
    _write_ids(folder, side, ids)


def _faiss(folder: Path, side: str, ids: np.ndarray, content: Tensor | JPQEmbedding) -> None:
    faiss = _import("faiss", "faiss")
    if isinstance(content, JPQEmbedding):
        from urecjpq.index import TopKIndex
        from urecjpq.index.export import to_faiss

        index = to_faiss(TopKIndex.from_table(content))
    else:
        index = faiss.IndexFlatIP(content.shape[1])
        index.add(_array(content))
    faiss.write_index(index, str(folder / f"{side}.faiss"))
    _write_ids(folder, side, ids)


def _parquet(folder: Path, side: str, ids: np.ndarray, content: Tensor | JPQEmbedding) -> None:
    pyarrow, parquet = _import("pyarrow", "parquet"), _import("pyarrow.parquet", "parquet")
    values = _array(content)
    vectors = pyarrow.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1])
    table = pyarrow.table({"id": pyarrow.array(ids, pyarrow.string()), "vector": vectors})
    file = folder / f"{side}.parquet"
    parquet.write_table(table, file, compression="zstd", use_dictionary=False)


def _word2vec(folder: Path, side: str, ids: np.ndarray, content: Tensor | JPQEmbedding) -> None:
    spaced = next((raw for raw in ids if not raw or raw.split() != [raw]), None)
    rule, hint = f"ids of {side} must be without spaces for word2vec", "Take parquet."
    require(spaced is None, rule, repr(spaced), hint)
    values = _array(content)
    with open(folder / f"{side}.txt", "w", encoding="utf-8", newline="\n") as file:
        file.write(f"{values.shape[0]} {values.shape[1]}\n")
        for start in range(0, len(values), BLOCK_ROWS):
            block = io.StringIO()
            np.savetxt(block, values[start : start + BLOCK_ROWS], fmt="%.9g")  # exact for float32
            named = zip(ids[start:], block.getvalue().splitlines(), strict=False)
            file.writelines(f"{raw} {line}\n" for raw, line in named)


FORMATS: dict[str, Callable[[Path, str, np.ndarray, Tensor | JPQEmbedding], None]] = {
    "safetensors": _safetensors,
    "numpy": _numpy,
    "faiss": _faiss,
    "parquet": _parquet,
    "word2vec": _word2vec,
}


def _import(module: str, extra: str):
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        message = f'{package} is needed for this format; pip install "urecjpq[{extra}]".'
        raise InputError(message) from None


def _umask() -> int:
    import os

    umask = os.umask(0)
    os.umask(umask)
    return umask
