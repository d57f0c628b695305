"""An index on disk: `index.safetensors` and a manifest, mapped into memory by all who open it."""

import json
import mmap
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from urecjpq.errors import InputError, require
from urecjpq.files import read_json, sha256_of, write_json, written_whole
from urecjpq.index.layout import BLOCK, Layout, sub_id_type
from urecjpq.index.segment import Segment, State
from urecjpq.index.source import TableSource, VectorSource

ARRAYS = "index.safetensors"
MANIFEST = "manifest.json"
SCHEMA = 1
DTYPES = {
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "I32": np.int32,
    "F32": np.float32,
    "F64": np.float64,
}
REMEDY = "Copy the index again, or build it again."


def save(state: State, folder: Path) -> Path:
    """Write a compacted index; the manifest comes last, and an old one goes first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    arrays = _arrays(state)
    with written_whole(folder / ARRAYS) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)
    layout = state.base.layout
    manifest = {
        "schema": SCHEMA,
        "bytes": (folder / ARRAYS).stat().st_size,
        "sha256": sha256_of(folder / ARRAYS),
        "num_ids": state.num_ids,
        "num_items": layout.num_items,
        "codebook_size": layout.codebook_size,
        "longest": state.source.longest if isinstance(state.source, VectorSource) else None,
    }
    write_json(folder / MANIFEST, manifest)
    return folder


def load(folder: Path, memory_map: bool, verify: bool) -> State:
    """Return a saved index; see `TopKIndex.load`."""
    manifest = _read_manifest(folder)
    path = folder / ARRAYS
    require(path.is_file(), f"{path} must be there", "no such file", REMEDY)
    size = path.stat().st_size
    require(
        size == manifest["bytes"], f"{path} must have {manifest['bytes']:,} bytes", size, REMEDY
    )
    if verify:
        found, expected = sha256_of(path), str(manifest["sha256"])
        rule = f"{path} must have the sha256 {expected[:12]}… of the manifest"
        require(found == expected, rule, f"{found[:12]}…", REMEDY)
    arrays = read_arrays(path, memory_map)
    try:
        state = _state(arrays, manifest)
        _check_structure(state.base.layout)
        _check_rest(state)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path} must hold a whole index; got {error}. {REMEDY}") from None
    return state


def read_arrays(path: Path, memory_map: bool) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file, mapped read-only or in memory.

    Raises:
        InputError: A header that does not describe the bytes that follow.
    """
    with open(path, "rb") as file:
        whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    data = np.frombuffer(whole, dtype=np.uint8)
    try:
        length = int(data[:8].view("<u8")[0])
        require(8 + length <= len(data), f"{path} must hold its header", f"{len(data)} bytes")
        header = json.loads(bytes(data[8 : 8 + length]))
        header.pop("__metadata__", None)
        body = data[8 + length :]
        arrays = {name: _view(body, entry) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} must be a safetensors file; got {error}. {REMEDY}") from None
    return arrays if memory_map else {name: array.copy() for name, array in arrays.items()}


def _view(body: np.ndarray, entry: dict) -> np.ndarray:
    begin, end = entry["data_offsets"]
    require(0 <= begin <= end <= len(body), "arrays must lie in the file", [begin, end])
    return body[begin:end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])


def _arrays(state: State) -> dict[str, np.ndarray]:
    source, base = state.source, state.base
    given = {**base.layout.arrays(), "centroids": source.centroids}
    if state.hidden is not None:
        given["hidden"] = state.hidden
    if base.vectors is not None:
        given["vectors"] = base.vectors
    if isinstance(source, VectorSource):
        given["radii"] = source.radii
        if source.rotation is not None:
            given["rotation"] = source.rotation
    return given


def _state(arrays: dict[str, np.ndarray], manifest: dict) -> State:
    names = ("lines", "first_line", "keys", "id_base", "id_first", "id_planes", "split_order")
    layout = Layout(
        **{name: arrays[name] for name in names},
        num_items=int(manifest["num_items"]),
        codebook_size=int(manifest["codebook_size"]),
    )
    source = TableSource(arrays["centroids"])
    if manifest["longest"] is not None:
        source = VectorSource(
            arrays["centroids"], arrays.get("rotation"), arrays["radii"], float(manifest["longest"])
        )
    segment = Segment(layout, arrays.get("vectors"))
    num_ids = int(manifest["num_ids"])
    return State(segment, None, arrays.get("hidden"), num_ids, layout.num_items, source)


def _check_structure(layout: Layout) -> None:
    """Refuse arrays that would send a kernel outside them; takes time by block, not by item."""
    num_blocks, m = layout.num_blocks, len(layout.split_order)
    num_keys = min(2, m)
    wide = sub_id_type(layout.codebook_size)
    require(layout.lines.shape[1:] == (BLOCK,), "lines must have 64 columns", layout.lines.shape)
    require(layout.lines.dtype == wide, f"lines must be {wide.__name__}", layout.lines.dtype)
    require(layout.keys.dtype == wide, f"keys must be {wide.__name__}", layout.keys.dtype)
    shape = (num_blocks, num_keys, 2)
    require(layout.keys.shape == shape, f"keys must have shape {shape}", layout.keys.shape)
    splits = sorted(layout.split_order.tolist())
    require(splits == list(range(m)), "split_order must name every split once", splits)
    blocks = -(-layout.num_items // BLOCK)
    require(num_blocks == blocks > 0, f"blocks must number {blocks}", num_blocks)
    constant = (layout.keys[:, :, 0] == layout.keys[:, :, 1]).sum(1)
    _check_offsets("first_line", layout.first_line, m - constant, len(layout.lines))
    planes = np.diff(layout.id_first.astype(np.int64))
    require(bool((planes <= 32).all()), "a block must have at most 32 planes", int(planes.max()))
    _check_offsets("id_first", layout.id_first, planes, len(layout.id_planes))


def _check_offsets(name: str, offsets: np.ndarray, counts: np.ndarray, end: int) -> None:
    rule = f"{name} must count what each block has"
    require(len(offsets) == len(counts) + 1, rule, f"{len(offsets)} offsets")
    steps = np.diff(offsets.astype(np.int64))
    fits = offsets[0] == 0 and offsets[-1] == end and bool((steps == counts).all())
    require(fits and bool((steps >= 0).all()), rule, "other counts")


def _check_rest(state: State) -> None:
    """Refuse ids, vectors and centroids that do not go with the layout."""
    layout, source = state.base.layout, state.source
    m = source.centroids.shape[0] + isinstance(source, VectorSource)
    require(len(layout.split_order) == m, f"codes must have {m} splits", len(layout.split_order))
    size = source.centroids.shape[1]
    require(size == layout.codebook_size, "centroids must be one per sub-id", size)
    count = state.num_ids if state.hidden is None else len(state.hidden) * 64
    require(layout.num_items <= count, "ids must be below num_ids", layout.num_items)
    if isinstance(source, VectorSource):
        shape = (source.embedding_dim, source.embedding_dim)
        if source.rotation is not None:
            fits = source.rotation.shape == shape
            require(fits, f"rotation must be {shape}", source.rotation.shape)
        require(len(source.radii) == size, f"radii must number {size}", len(source.radii))
        require(state.base.vectors is not None, "vectors must be there", "none")
    if state.base.vectors is not None:
        rows = len(state.base.vectors)
        require(rows == state.num_ids, "vectors must be one per id", rows)


def _read_manifest(folder: Path) -> dict:
    require(folder.is_dir(), f"{folder} must be the folder of an index", "no such folder")
    path = folder / MANIFEST
    require(path.is_file(), f"{folder} must hold a whole index", f"no {MANIFEST}", REMEDY)
    manifest = read_json(path)
    names = {"schema", "bytes", "sha256", "num_ids", "num_items", "codebook_size", "longest"}
    known = isinstance(manifest, dict) and set(manifest) == names
    require(known, f"{path} must have the keys {', '.join(sorted(names))}", "other keys", REMEDY)
    require(
        manifest["schema"] == SCHEMA, f"{path} must have the schema {SCHEMA}", manifest["schema"]
    )
    return manifest
