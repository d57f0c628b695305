"""A quantised table as a folder that other programs load without running anything from it.

    config.json         kind, sizes and number type
    model.safetensors   codes (unless they follow from the row number), centroids, special rows
    ids.json            raw ids by row, if the table has them
    manifest.json       size and sha256 of every file above, written last
    README.md           the card, for people; it may be edited

Nothing else in the folder is opened.
"""

from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from urecjpq.config import SCHEMA, refuse_field
from urecjpq.errors import InputError, require
from urecjpq.files import (
    read_json,
    read_tensors,
    write_json,
    write_tensors,
    write_text,
)
from urecjpq.manifest import MANIFEST, verify_manifest, write_manifest
from urecjpq.quotient_remainder import QuotientRemainderEmbedding
from urecjpq.settings import Settings
from urecjpq.tables import JPQEmbedding

CONFIG, VALUES, IDS, CARD = "config.json", "model.safetensors", "ids.json", "README.md"
READ = (CONFIG, VALUES, IDS, MANIFEST)
"""The only names that loading opens."""
NO_PICKLES = "Only what save_pretrained wrote is loaded, never pickles."
REMEDY = "Copy the folder again, or save the table again."


class TableFolderConfig(Settings):
    """What ``config.json`` says of a table.

    Args:
        version: Of the package that wrote it.
        kind: ``jpq`` or ``quotient_remainder``.
        num_rows: Rows with codes.
        embedding_dim: ``d``.
        code_length: ``m``.
        codebook_size: ``b``.
        special_tokens: Rows of their own after those with codes.
        padding_idx: The row that is zero, if there is one.
        scramble: See `QuotientRemainderEmbedding`.
        dtype: Of centroids and special rows.
    """

    schema_version: Literal[1] = Field(SCHEMA, alias="schema")
    version: str
    kind: Literal["jpq", "quotient_remainder"]
    num_rows: int = Field(ge=1)
    embedding_dim: int = Field(ge=1)
    code_length: int = Field(ge=1)
    codebook_size: int = Field(ge=1)
    special_tokens: int = Field(default=0, ge=0)
    padding_idx: int | None = None
    scramble: bool = False
    dtype: Literal["float64", "float32", "float16", "bfloat16"] = "float32"


def save_table(table: JPQEmbedding, folder: Path) -> None:
    """Write a table; one that the folder holds already is overwritten, its card is kept.

    Raises:
        InputError: A value is not finite, hashed codes were replaced, or the folder holds files of
            these names that are no table's.
    """
    _require_free(folder)
    tensors, config = _tensors(table), _describe(table)
    for name, values in tensors.items():
        _require_finite(name, values)
    folder.mkdir(parents=True, exist_ok=True)
    # Until the manifest is written last, the one of a table before fits no mixture of the two.
    write_text(folder / CONFIG, config.model_dump_json(indent=2, by_alias=True) + "\n")
    write_tensors(folder / VALUES, tensors)
    names = [CONFIG, VALUES]
    if table.raw_ids is not None:
        write_json(folder / IDS, table.raw_ids.tolist())
        names.append(IDS)
    else:
        (folder / IDS).unlink(missing_ok=True)
    if not (folder / CARD).exists():
        write_text(folder / CARD, _card(config, folder))
    write_manifest(folder, names)


def _require_free(folder: Path) -> None:
    present = ", ".join(name for name in READ if (folder / name).exists())
    if not present:
        return
    try:
        TableFolderConfig.model_validate(read_json(folder / CONFIG))
    except (InputError, ValidationError):
        rule = f"{folder} must hold nothing but a table to be written over"
        raise InputError(f"{rule}; got other {present}. Choose another folder.") from None


def load_table(folder: Path) -> JPQEmbedding:
    """Return the table in a folder, every byte checked.

    Raises:
        InputError: A file is missing, cut or changed, or does not fit the others.
    """
    names = _verify(folder)
    path = folder / CONFIG
    try:
        config = TableFolderConfig.model_validate(read_json(path))
    except ValidationError as error:
        raise refuse_field(error, str(path)) from None
    tensors, _ = read_tensors(folder / VALUES)
    with torch.random.fork_rng(devices=[]):  # the values that a new table draws are overwritten
        table = _empty(config, tensors, folder / VALUES)
    with torch.no_grad():
        for name, parameter in table.named_parameters():
            _require_finite(f"{folder / VALUES}: {name}", tensors[name])
            parameter.copy_(tensors[name])
    if IDS in names:
        table.set_ids(read_json(folder / IDS))
    return table


def _empty(config: TableFolderConfig, tensors: dict[str, Tensor], path: Path) -> JPQEmbedding:
    """Return a table of the configured sizes, after the file was seen to hold these sizes."""
    m, b, d = config.code_length, config.codebook_size, config.embedding_dim
    require(d % m == 0, f"embedding_dim in {path.parent / CONFIG} must be a multiple of {m}", d)
    expected = {"centroids": (m, b, d // m)}
    expected |= {"special": (config.special_tokens, d)} if config.special_tokens else {}
    expected |= {"codes": (config.num_rows, m)} if config.kind == "jpq" else {}
    found = {name: tuple(values.shape) for name, values in tensors.items()}
    require(found == expected, f"{path} must hold {expected}", found, REMEDY)
    dtype = getattr(torch, config.dtype)
    types = {str(values.dtype) for name, values in tensors.items() if name != "codes"}
    require(types == {str(dtype)}, f"{path} must hold numbers of {dtype}", sorted(types), REMEDY)
    if config.kind == "jpq":
        codes = tensors["codes"]
        whole = not codes.is_floating_point()
        require(whole, f"codes in {path} must be whole numbers", codes.dtype, REMEDY)
        special_tokens, padding_idx = config.special_tokens, config.padding_idx
        return JPQEmbedding(codes, d, b, None, special_tokens, padding_idx).to(dtype)
    fits = m == 2 and not config.special_tokens and (b - 1) ** 2 < config.num_rows <= b**2
    require(fits, f"{path.parent / CONFIG} must be of a quotient-remainder table", config)
    return QuotientRemainderEmbedding(config.num_rows, d, config.scramble).to(dtype)


def _describe(table: JPQEmbedding) -> TableFolderConfig:
    import importlib.metadata

    hashed = isinstance(table, QuotientRemainderEmbedding)
    if hashed:
        fresh = QuotientRemainderEmbedding(len(table.codes), table.embedding_dim, table.scramble)
        same = torch.equal(fresh.codes, table.codes.cpu())
        hint = "A JPQEmbedding can be made of them."
        require(same, "codes must be those that follow from the row numbers", "others", hint)
    return TableFolderConfig(
        version=importlib.metadata.version("urecjpq"),
        kind="quotient_remainder" if hashed else "jpq",
        num_rows=len(table.codes),
        embedding_dim=table.embedding_dim,
        code_length=table.code_length,
        codebook_size=table.codebook_size,
        special_tokens=table.special_tokens,
        padding_idx=table.padding_idx,
        scramble=hashed and table.scramble,
        dtype=str(table.centroids.dtype).removeprefix("torch."),  # type: ignore[arg-type]
    )


def _tensors(table: JPQEmbedding) -> dict[str, Tensor]:
    """Return what is stored; not the state_dict: a sibling's has no codes."""
    hashed = isinstance(table, QuotientRemainderEmbedding)
    parameters = {name: value.detach().cpu() for name, value in table.named_parameters()}
    return parameters | ({} if hashed else {"codes": table.codes.cpu()})


def _require_finite(name: str, values: Tensor) -> None:
    finite = not values.is_floating_point() or bool(values.isfinite().all())
    require(finite, f"{name} must be finite", "NaN or infinity", "Was the training diverging?")


def _verify(folder: Path) -> set[str]:
    """Hold every file to the manifest, and return their names."""
    require(folder.is_dir(), f"{folder} must be a folder", "no such folder")
    has_manifest = (folder / MANIFEST).is_file()
    require(has_manifest, f"{folder} must hold a table", f"no {MANIFEST}", NO_PICKLES)
    return verify_manifest(folder, {CONFIG, VALUES}, {IDS}, REMEDY)


def _card(config: TableFolderConfig, folder: Path) -> str:
    name = "QuotientRemainderEmbedding" if config.kind == "quotient_remainder" else "JPQEmbedding"
    return f"""---
library_name: urecjpq
tags: [recommendation, embedding, product-quantisation]
---
# {folder.name}

{config.num_rows:,} embeddings of {config.embedding_dim} numbers as codes of {config.code_length}
sub-ids over {config.codebook_size:,} shared centroids per split.

    from urecjpq import {name}
    table = {name}.from_pretrained("this folder or this repository")
"""
