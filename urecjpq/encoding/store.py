"""Features on disk: one folder per content hash, complete or not there at all."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from urecjpq.data.cache import cache_folder
from urecjpq.data.catalogue import Features
from urecjpq.errors import InputError

VALUES, PRESENT = "values.npy", "present.npy"


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
    folder = features_folder(digest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{digest[:16]}-", dir=folder.parent))
    try:
        np.save(unfinished / VALUES, features.values, allow_pickle=False)
        np.save(unfinished / PRESENT, features.present, allow_pickle=False)
        unfinished.rename(folder)
    except OSError:
        # Another process was faster: its features are as good as ours.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return read_features(digest) or features
