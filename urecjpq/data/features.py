"""Frozen features and neighbour graphs on disk."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.data.limits import unpacked_limit
from urecjpq.errors import InputError, require

BLOCK_BYTES = 2**26
# Cosines computed in float32 exceed 1 by a few units in the last place.
COSINE_SLACK = 1e-5
# What numpy, its parser of headers, zipfile and zlib say to files that are not theirs.
NOT_ARRAYS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_features(
    path: Path | str,
    num_items: int,
    name: str = "features",
    present: np.ndarray | Path | str | None = None,
) -> Features:
    """Return the features of all items, memory-mapped from ``.npy``, in the type they have on disk.

    Zero vectors are not taken for missing ones: which items had content is told by ``present``.

    Args:
        path: ``.npy``, or ``.npz`` with ``values`` (or one array) and perhaps ``present``. Row i
            belongs to item i. Shape ``(num_items, f)``, float16, float32 or float64.
        num_items: Rows that must be there.
        name: The modality, for messages.
        present: Which items had content, bool, shape ``(num_items,)``, or a ``.npy`` file of it;
            None for the file's own mask, or for all.

    Raises:
        InputError: The file is no such array, has another number of rows, or a present row holds
            NaN or infinity.
    """
    path = Path(path)
    arrays = _load(path)
    own = arrays.pop("present", None)
    key = "values" if "values" in arrays or len(arrays) != 1 else next(iter(arrays))
    values = _pick(path, arrays, key)
    if isinstance(present, Path | str):
        present = _pick(Path(present), _load(Path(present)), "values")
    mask = present if present is not None else own
    _check_array(f"{name} features ({path})", values, num_items)
    mask = np.ones(num_items, dtype=bool) if mask is None else np.asarray(mask)
    require(
        mask.dtype == bool and mask.shape == (num_items,),
        f"present of the {name} features must be bool with shape ({num_items},)",
        f"{mask.dtype} with shape {mask.shape}",
    )
    _check_finite(f"{name} features ({path})", values, mask)
    return Features(values, mask)


def read_neighbours(path: Path | str, num_items: int, name: str = "neighbours") -> Neighbours:
    """Return a neighbour graph from ``.npz`` with ``idx`` and ``cos``.

    Args:
        path: ``idx`` integers in [0, num_items), ``cos`` cosines in [−1, 1], best first. Shapes
            ``(num_items, k)``.
        num_items: Rows that must be there.
        name: The modality, for messages.

    Raises:
        InputError: An array is not there, or breaks these rules.
    """
    path = Path(path)
    arrays = _load(path)
    item_ids, cosines = _pick(path, arrays, "idx"), _pick(path, arrays, "cos")
    source = f"{name} neighbours ({path})"
    _check_array(source, cosines, num_items)
    require(
        item_ids.dtype.kind in "iu" and item_ids.shape == cosines.shape,
        f"idx of {source} must be integers with shape {cosines.shape}",
        f"{item_ids.dtype} with shape {item_ids.shape}",
    )
    low, high = int(item_ids.min(initial=0)), int(item_ids.max(initial=0))
    require(
        low >= 0 and high < num_items,
        f"idx of {source} must lie in [0, {num_items})",
        low if low < 0 else high,
    )
    _check_finite(source, cosines, np.ones(num_items, dtype=bool))
    steps = np.diff(cosines, axis=1)
    require(bool((steps <= 0).all()), f"cos of {source} must fall, best first", "a rise")
    highest = float(np.abs(cosines).max(initial=0))
    require(highest <= 1 + COSINE_SLACK, f"cos of {source} must lie in [-1, 1]", highest)
    return Neighbours(item_ids.astype(np.int32), cosines.astype(np.float32))


def _load(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name; that of an ``.npy`` is called ``values``."""
    require(path.is_file(), "path must be a file", path)
    require(path.suffix in (".npy", ".npz"), "path must end in .npy or .npz", path)
    try:
        if path.suffix == ".npy":
            return {"values": np.load(path, mmap_mode="r", allow_pickle=False)}
        _check_size(path)
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except InputError:
        raise
    except NOT_ARRAYS as error:
        raise InputError(f"{path} must hold plain numpy arrays; got {error}.") from None


def _check_size(path: Path) -> None:
    limit = unpacked_limit(path)
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    require(size <= limit, f"{path} must unpack to at most {limit:,} bytes", f"{size:,}")


def _pick(path: Path, arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    require(key in arrays, f"{path} must have the array {key!r}", sorted(arrays))
    return arrays[key]


def _check_array(source: str, values: np.ndarray, num_items: int) -> None:
    require(
        values.ndim == 2 and values.shape[0] == num_items and values.shape[1] > 0,
        f"{source} must have shape ({num_items}, f), one row per item",
        values.shape,
    )
    require(values.dtype.kind == "f", f"{source} must be floats", values.dtype)


def _check_finite(source: str, values: np.ndarray, present: np.ndarray) -> None:
    # Block by block: a memory-mapped file may be larger than memory.
    rows = max(1, BLOCK_BYTES // (values.itemsize * values.shape[1]))
    for start in range(0, len(values), rows):
        block = slice(start, start + rows)
        bad = ~np.isfinite(values[block]).all(axis=1) & present[block]
        if bad.any():
            row = start + int(bad.argmax())
            wrong = values[row][~np.isfinite(values[row])][0]
            require(False, f"{source} must be finite, row {row} too", wrong)
