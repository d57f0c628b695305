"""Features on disk: one folder per content hash, complete or not there at all.

    values.npy       one row per item, zero where there is none
    present.npy      which items have one

and for encoders that work item by item also

    missing.tsv      the items without features, and why
    manifest.json    encoder, revision, hash of the weights, versions, dimension, counts
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from urecjpq.data.cache import cache_folder
from urecjpq.data.catalogue import Features
from urecjpq.encoding.rows import RowStore
from urecjpq.errors import InputError
from urecjpq.files import sha256_of, write_json, write_text

VALUES, PRESENT = "values.npy", "present.npy"
MISSING, MANIFEST = "missing.tsv", "manifest.json"


def features_folder(digest: str) -> Path:
    """Return where the features of a content hash lie, or would lie."""
    return cache_folder() / "features" / digest


def read_features(digest: str) -> Features | None:
    """Return memory-mapped features, or None if they were never made.

    Raises:
        InputError: The stored files are damaged.
    """
    folder = features_folder(digest)
    if not folder.is_dir():
        return None
    try:
        values = np.load(folder / VALUES, mmap_mode="r", allow_pickle=False)
        return Features(values, np.load(folder / PRESENT, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"stored features must be readable; got {folder}: {error}. Delete that folder."
        ) from None


def write_features(digest: str, features: Features) -> Features:
    """Store features under a content hash and return them memory-mapped."""
    with new_folder(digest) as folder:
        np.save(folder / VALUES, features.values, allow_pickle=False)
        np.save(folder / PRESENT, features.present, allow_pickle=False)
    return read_features(digest) or features


@contextmanager
def new_folder(digest: str) -> Iterator[Path]:
    """Give a folder to fill; on success it becomes that of the content hash, else it is removed."""
    folder = features_folder(digest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{digest[:16]}-", dir=folder.parent))
    try:
        yield unfinished
        unfinished.rename(folder)
    except OSError:
        # Another process was faster: its features are as good as ours.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_rows(
    digest: str,
    store: RowStore,
    keys: np.ndarray,
    item_ids: Sequence[str],
    output: str,
    described: dict[str, Any],
) -> None:
    """Write the features of items from encoded rows, with a list of the missing and a manifest.

    Args:
        digest: Content hash.
        store: Has the rows.
        keys: Of the items' contents, shape ``(num_items,)``.
        item_ids: Raw ids.
        output: Type of the values, ``float32`` or ``float16``.
        described: What the manifest says of the encoder.
    """
    shape = (len(keys), int(described["encoder"]["dimension"]))
    missing = missing_items(store, keys)
    with new_folder(digest) as folder:
        values = np.lib.format.open_memmap(folder / VALUES, "w+", np.dtype(output), shape)
        present = store.fill(keys, values)
        values.flush()
        del values
        np.save(folder / PRESENT, present, allow_pickle=False)
        lines = sorted((row, reason) for reason, rows in missing.items() for row in rows)
        content = "".join(f"{row}\t{item_ids[row]}\t{reason}\n" for row, reason in lines)
        write_text(folder / MISSING, "row\titem_id\treason\n" + content)
        counts = {reason: len(rows) for reason, rows in missing.items()}
        made = {
            "items": len(keys),
            "present": int(present.sum()),
            "missing": counts,
            "dimension": shape[1],
            "output": output,
            "versions": store.versions,
            "values_sha256": sha256_of(folder / VALUES),
        }
        write_json(folder / MANIFEST, described | made)


def missing_items(store: RowStore, keys: np.ndarray) -> dict[str, list[int]]:
    """Return the rows of items without features, by reason."""
    missing: dict[str, list[int]] = {}
    for row in np.flatnonzero(store.without_row(keys)).tolist():
        missing.setdefault(store.reason(bytes(keys[row])), []).append(row)
    return missing
