"""Encoded rows on disk, by the hash of what was encoded: whatever is here is never done again.

A shard is a safetensors file, ``keys`` (n · 32 characters) and ``values`` (n, d) float32; its
metadata say which contents could not be read, and with which versions of the libraries the rows
were made. It is written whole, and named by the hash of all that is in it: damage is noticed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from urecjpq.data.cache import cache_folder
from urecjpq.errors import require
from urecjpq.files import digest_of, read_tensors, write_tensors

KEY = np.dtype("S32")
"""Half a sha256, in hexadecimal: 128 bits tell more contents apart than there are."""


NOTHING, NO_FILE = b"!nothing to encode", b"!no such file"
"""In the place of a key, which never begins like this: why an item has none."""


def key_of(content: str | Path | None) -> bytes:
    """Return the key of a text, or of the bytes of a file."""
    if content is None or (isinstance(content, str) and not content.strip()):
        return NOTHING
    try:
        known = content.encode() if isinstance(content, str) else content.read_bytes()
    except FileNotFoundError:
        return NO_FILE
    return hashlib.sha256(known).hexdigest()[:32].encode()


class RowStore:
    """The rows of one encoder.

    Args:
        digest: Of all that decides a row but its content.

    Attributes:
        keys: Of the rows that are there, shape ``(n,)``.
        unreadable: Reason by key, for contents that gave no row.
        versions: Versions of the libraries that rows were made with, each set once.
    """

    def __init__(self, digest: str) -> None:
        self.folder = cache_folder() / "encoded" / digest
        self.folder.mkdir(parents=True, exist_ok=True)
        self.refresh()

    def refresh(self) -> None:
        """Look again: other processes add shards too."""
        self.unreadable: dict[bytes, str] = {}
        self.versions: list[dict[str, str]] = []
        keys = [np.empty(0, KEY)]
        for shard_keys, _ in self._shards():
            keys.append(shard_keys)
        self.keys = np.unique(np.concatenate(keys))

    def lacks(self, keys: np.ndarray) -> np.ndarray:
        """Return which contents have neither a row nor a reason why not, shape ``(n,)``."""
        return ~np.isin(keys, self.keys) & ~self.without_row(keys)

    def without_row(self, keys: np.ndarray) -> np.ndarray:
        """Return which keys can have no row: no content, or none that can be read; shape (n,)."""
        return np.isin(keys, np.array([NOTHING, NO_FILE, *self.unreadable], KEY))

    def reason(self, key: bytes) -> str:
        """Return why a key has no row."""
        return key[1:].decode() if key.startswith(b"!") else self.unreadable[key]

    def add(
        self,
        keys: np.ndarray,
        values: np.ndarray,
        unreadable: Mapping[bytes, str],
        versions: Mapping[str, str],
    ) -> None:
        """Write a shard.

        Args:
            keys: One per row, shape ``(n,)``.
            values: Shape ``(n, d)``.
            unreadable: Reason by key.
            versions: Of the libraries.
        """
        reasons = {key.decode(): reason for key, reason in sorted(unreadable.items())}
        metadata = {"unreadable": json.dumps(reasons), "versions": json.dumps(dict(versions))}
        tensors = {
            "keys": torch.from_numpy(keys.astype(KEY).view(np.uint8)),
            "values": torch.from_numpy(values.astype(np.float32)),
        }
        name = digest_of(tensors, metadata["unreadable"], metadata["versions"])
        write_tensors(self.folder / f"{name[:32]}.safetensors", tensors, metadata)

    def fill(self, keys: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write the rows of ``keys`` into ``out``; rows of keys that have none stay as they are.

        Args:
            keys: Shape ``(n,)``.
            out: Shape ``(n, d)``, of any float type.

        Returns:
            Which rows were there, shape ``(n,)``.
        """
        filled = np.zeros(len(keys), dtype=bool)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        for shard_keys, values in self._shards():
            first = np.searchsorted(ordered, shard_keys, "left")
            last = np.searchsorted(ordered, shard_keys, "right")
            # The same content may belong to several items.
            times = last - first
            source = np.repeat(np.arange(len(times)), times)
            target = np.arange(len(source)) + np.repeat(last - np.cumsum(times), times)
            out[order[target]] = values[source].astype(out.dtype)
            filled[order[target]] = True
        return filled

    def _shards(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for path in sorted(self.folder.glob("[0-9a-f]*.safetensors")):
            tensors, metadata = read_tensors(path)
            found = digest_of(tensors, metadata["unreadable"], metadata["versions"])
            rule = f"{path} must hold what its name says"
            hint = "Delete it: its rows are encoded again."
            require(found[:32] == path.stem, rule, f"other bytes ({found[:32]})", hint)
            reasons = json.loads(metadata["unreadable"])
            self.unreadable |= {key.encode(): reason for key, reason in reasons.items()}
            versions = json.loads(metadata["versions"])
            if versions not in self.versions:
                self.versions.append(versions)
            yield tensors["keys"].numpy().view(KEY), tensors["values"].numpy()
