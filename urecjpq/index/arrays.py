"""Arrays in a safetensors file that is mapped instead of read.

The format forbids gaps between arrays and the library orders them as it likes. Here the header is
filled up with spaces, so that the arrays begin at a cache line, and they follow in the order given.
"""

import json
import mmap
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from urecjpq.errors import InputError, require
from urecjpq.files import written_whole

CACHE_LINE = 64
TYPES = {
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "I32": np.int32,
    "F32": np.float32,
    "F64": np.float64,
}
NAMES = {np.dtype(type_): name for name, type_ in TYPES.items()}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays in their order, whole or not at all; equal arrays give equal bytes.

    Args:
        path: Where to.
        arrays: By name, of `TYPES`; the longest elements first, or some will not be aligned.
        metadata: Texts for the header.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        entry = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": [begin, end]}
        header[name] = entry
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % CACHE_LINE)
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def read_arrays(path: Path, memory_map: bool) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return arrays, mapped read-only or in memory, and the metadata.

    Nothing in the header is trusted: every array lies inside the file and is aligned.

    Raises:
        InputError: A header that does not describe the bytes that follow.
    """
    try:
        with open(path, "rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        data = np.frombuffer(whole, dtype=np.uint8)
        length = int.from_bytes(data[:8].tobytes(), "little")
        require(8 + length <= len(data), "header must lie in the file", f"{length} bytes")
        header = json.loads(data[8 : 8 + length].tobytes())
        metadata = header.pop("__metadata__", {})
        body = data[8 + length :]
        arrays = {name: _view(name, body, entry) for name, entry in header.items()}
        texts = all(isinstance(text, str) for text in metadata.values())
        require(texts, "metadata must be texts", "other types")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} must be a whole safetensors file; got: {error}") from None
    if not memory_map:
        arrays = {name: array.copy() for name, array in arrays.items()}
    return arrays, metadata


def _view(name: str, body: np.ndarray, entry: dict) -> np.ndarray:
    begin, end = entry["data_offsets"]
    require(0 <= begin <= end <= len(body), f"{name} must lie in the file", [begin, end])
    array = body[begin:end].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    require(array.flags.aligned, f"{name} must be aligned", begin)
    return array
