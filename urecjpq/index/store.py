"""An index on disk: `index.safetensors` and a manifest, mapped into memory by all who open it."""

from pathlib import Path

import numpy as np

from urecjpq.errors import InputError, require
from urecjpq.files import read_json, sha256_of, verify_file, write_json
from urecjpq.index.arrays import read_arrays, write_arrays
from urecjpq.index.layout import BLOCK, Layout, sub_id_type
from urecjpq.index.segment import Segment, State
from urecjpq.index.source import TableSource, VectorSource, pad_lanes

ARRAYS = "index.safetensors"
MANIFEST = "manifest.json"
SCHEMA = 1
REMEDY = "Copy the index again, or build it again."


def save(state: State, folder: Path) -> Path:
    """Write a compacted index; the manifest comes last, and an old one goes first.

    All numbers are in the arrays' file, so that the manifest's sha256 covers them. The folder of a
    run, which has a manifest of its own, is refused.
    """
    foreign = (folder / MANIFEST).exists() and not (folder / ARRAYS).exists()
    rule = f"{folder} must not hold anything but an index"
    require(not foreign, rule, f"the {MANIFEST} of something else", "Choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    numbers = {
        "num_ids": str(state.num_ids),
        "num_items": str(state.base.layout.num_items),
        "codebook_size": str(state.base.layout.codebook_size),
    }
    if isinstance(state.source, VectorSource):
        numbers["longest"] = state.source.longest.hex()
    write_arrays(folder / ARRAYS, _arrays(state), numbers)
    manifest = {
        "schema": SCHEMA,
        "bytes": (folder / ARRAYS).stat().st_size,
        "sha256": sha256_of(folder / ARRAYS),
    }
    write_json(folder / MANIFEST, manifest)
    return folder


def load(folder: Path, memory_map: bool, verify: bool) -> State:
    """Return a saved index; see `TopKIndex.load`."""
    manifest = _read_manifest(folder)
    path = folder / ARRAYS
    verify_file(path, manifest["bytes"], manifest["sha256"] if verify else None, REMEDY)
    arrays, numbers = read_arrays(path, memory_map)
    try:
        state = _state(arrays, numbers)
        _check_layout(state.base.layout)
        _check_rest(state)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{path} must hold a whole index; got: {error} {REMEDY}") from None
    return state


def _arrays(state: State) -> dict[str, np.ndarray]:
    """Return arrays in an order that keeps each aligned: lines of 64 sub-ids, then by element."""
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
    lines = {"lines": given.pop("lines")}
    return lines | dict(sorted(given.items(), key=lambda item: -item[1].itemsize))


def _state(arrays: dict[str, np.ndarray], numbers: dict[str, str]) -> State:
    names = ("lines", "first_line", "keys", "id_base", "id_first", "id_planes", "split_order")
    num_items, num_ids = int(numbers["num_items"]), int(numbers["num_ids"])
    layout = Layout(
        **{name: arrays[name] for name in names},
        num_items=num_items,
        codebook_size=int(numbers["codebook_size"]),
        num_ids=num_ids,  # pyright: ignore[reportArgumentType] - takes it for an array above
    )
    source = TableSource(arrays["centroids"])
    if "longest" in numbers:
        longest = float.fromhex(numbers["longest"])
        source = VectorSource(arrays["centroids"], arrays.get("rotation"), arrays["radii"], longest)
    segment = Segment(layout, arrays.get("vectors"))
    return State(segment, None, arrays.get("hidden"), num_ids, num_items, source)


def _check_layout(layout: Layout) -> None:
    """Refuse arrays that would send a kernel outside them; takes time by block, not by item.

    A sub-id or id that was flipped goes unnoticed, but kernels look neither up outside an array.
    """
    num_blocks, m = -(-layout.num_items // BLOCK), len(layout.split_order)
    require(layout.num_items > 0, "num_items must be positive", layout.num_items)
    sub_id = sub_id_type(layout.codebook_size)
    _check("lines", layout.lines, sub_id, (len(layout.lines), BLOCK))
    _check("keys", layout.keys, sub_id, (num_blocks, min(2, m), 2))
    _check("id_base", layout.id_base, np.uint32, (num_blocks,))
    _check("id_planes", layout.id_planes, np.uint64, (len(layout.id_planes),))
    _check("split_order", layout.split_order, np.int32, (m,))
    splits = sorted(layout.split_order.tolist())
    require(splits == list(range(m)), "split_order must name every split once", splits)
    equal = (layout.keys[:, :, 0] == layout.keys[:, :, 1]).sum(1)
    lines = _counts("first_line", layout.first_line, num_blocks, len(layout.lines))
    require(bool((lines == m - equal).all()), "first_line must count each block's lines", "others")
    planes = _counts("id_first", layout.id_first, num_blocks, len(layout.id_planes))
    fits = bool(((0 <= planes) & (planes <= 32)).all())
    require(fits, "id_first must give blocks 0 … 32 planes", "others")


def _check(name: str, array: np.ndarray, dtype: type, shape: tuple[int, ...]) -> None:
    fits = array.dtype == dtype and array.shape == shape
    rule = f"{name} must be {np.dtype(dtype)} of shape {shape}"
    require(fits, rule, f"{array.dtype} of shape {array.shape}")


def _counts(name: str, offsets: np.ndarray, num_blocks: int, end: int) -> np.ndarray:
    """Return the differences of offsets that begin at 0 and lead to ``end``."""
    _check(name, offsets, np.uint32, (num_blocks + 1,))
    ends = int(offsets[0]), int(offsets[-1])
    require(ends == (0, end), f"{name} must lead from 0 to {end}", ends)
    return np.diff(offsets.astype(np.int64))


def _check_rest(state: State) -> None:
    """Refuse ids, vectors and centroids that do not go with the layout."""
    layout, source, num_ids = state.base.layout, state.source, state.num_ids
    m, _, split_dim = source.centroids.shape
    splits = m + isinstance(source, VectorSource)
    require(len(layout.split_order) == splits, f"codes must have {splits} splits", "others")
    _check("centroids", source.centroids, np.float32, (m, layout.codebook_size, split_dim))
    finite = bool(np.isfinite(source.centroids).all())
    require(finite, "centroids must be finite", "NaN or infinity")
    require(layout.num_items <= num_ids, f"num_ids must be {layout.num_items} at least", num_ids)
    if state.hidden is None:
        require(layout.num_items == num_ids, "hidden must be there", "none")
    else:
        _check("hidden", state.hidden, np.uint64, (-(-num_ids // 64),))
    if isinstance(source, VectorSource):
        _check_vectors(state.base.vectors, source, num_ids)


def _check_vectors(vectors: np.ndarray | None, source: VectorSource, num_ids: int) -> None:
    dim = source.embedding_dim
    if vectors is None:
        raise InputError("vectors must be there; got none.")
    _check("vectors", vectors, np.float32, (num_ids, pad_lanes(np.zeros((1, dim))).shape[1]))
    _check("radii", source.radii, np.float32, (source.centroids.shape[1],))
    if source.rotation is not None:
        _check("rotation", source.rotation, np.float64, (dim, dim))
    values = (source.longest, *source.radii.tolist())
    require(bool(np.isfinite(values).all()), "radii must be finite", "NaN or infinity")


def _read_manifest(folder: Path) -> dict:
    require(folder.is_dir(), f"{folder} must be the folder of an index", "no such folder")
    path = folder / MANIFEST
    require(path.is_file(), f"{folder} must hold a whole index", f"no {MANIFEST}", REMEDY)
    manifest = read_json(path)
    kinds = {"schema": int, "bytes": int, "sha256": str}
    given = manifest if isinstance(manifest, dict) else {}
    found = {name: type(value) for name, value in given.items()}
    require(found == kinds, f"{path} must give schema, bytes and sha256", "others", REMEDY)
    schema = manifest["schema"]
    require(schema == SCHEMA, f"{path} must have the schema {SCHEMA}", schema)
    return manifest
