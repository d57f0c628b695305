"""From contents of items to a file of features: reuse what was encoded, encode what was not."""

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from urecjpq.data.catalogue import Features
from urecjpq.encoding.batches import Batches, versions_of
from urecjpq.encoding.cards import EncoderCard
from urecjpq.encoding.encoder import Adapter, Content, FrozenEncoder
from urecjpq.encoding.networks import adapter_of, weights_of
from urecjpq.encoding.processes import Processes, joined
from urecjpq.encoding.rows import KEY, RowStore, key_of
from urecjpq.encoding.store import MANIFEST, features_folder, read_features, write_rows
from urecjpq.encoding.weights import Weights
from urecjpq.encoding.work import Work
from urecjpq.errors import InputError
from urecjpq.files import read_json

# Raised when our own code changes what an item becomes.
REVISION = 1
DECIDING = ("library", "modality", "model", "dimension", "pooling", "maximum_tokens", "normalised")


@dataclass(frozen=True)
class Encoded:
    """Features, and how they came about.

    Args:
        features: Memory-mapped and read-only.
        folder: Where ``values.npy``, ``present.npy``, ``missing.tsv`` and ``manifest.json`` lie.
        missing: Number of items without features, by reason.
        encoded: Different contents that were encoded now, in all processes; the others were there.
        seconds: That it took, loading of the network included.
    """

    features: Features
    folder: Path
    missing: dict[str, int]
    encoded: int
    seconds: float


def encode_contents(
    card: EncoderCard,
    contents: Sequence[Content | None],
    item_ids: Sequence[str] | None = None,
    work: Work | None = None,
    encoder: FrozenEncoder | None = None,
) -> Encoded:
    """Return the features of contents, encoding only what was never encoded before.

    Rows lie in the cache under the hash of encoder, weights and content, so a changed item alone is
    encoded again, and what a kill leaves is used. Under ``torchrun`` the processes share the work.

    Args:
        card: Of an encoder that works item by item.
        contents: Texts, or paths of pictures or sounds; None or a blank text where there is none.
        item_ids: Names of the items, for the list of missing ones; None for their rows.
        work: How to do it.
        encoder: One of your own instead of the card's library, see `urecjpq.encoding.encoder`. The
            card's revision stands for its weights: change it when they change.

    Raises:
        InputError: The card's library is unknown or not installed, weights cannot be had or do not
            fit the card, or a stored row is damaged.
    """
    began = time.monotonic()
    work = work or Work()
    adapter = None if encoder is not None else adapter_of(card)
    weights = Weights(f"revision {card.revision}") if adapter is None else weights_of(card, adapter)
    ids = [str(row) for row in range(len(contents))] if item_ids is None else list(item_ids)
    with joined() as processes:
        job = _Job(card, adapter, weights, work, encoder, processes)
        digest, encoded = job.run(contents, ids)
    features = read_features(digest)
    if features is None:
        raise InputError(f"processes must share one cache; got no {features_folder(digest)}.")
    missing = read_json(features_folder(digest) / MANIFEST)["missing"]
    seconds = time.monotonic() - began
    return Encoded(features, features_folder(digest), missing, encoded, seconds)


@dataclass(frozen=True)
class _Job:
    """One encoder at work, in one of the processes that share it."""

    card: EncoderCard
    adapter: Adapter | None
    weights: Weights
    work: Work
    encoder: FrozenEncoder | None
    processes: Processes

    def run(self, contents: Sequence[Content | None], ids: Sequence[str]) -> tuple[str, int]:
        """Return the digest of the features' file, and how many contents were encoded for it."""
        own = [contents[row] for row in self.processes.share(len(contents))]
        own_keys = np.array([key_of(content) for content in own], KEY)
        keys = self.processes.gather(own_keys, len(contents))
        rows = _digest_of_rows(self.card, self.weights, self.work)
        digest = _digest_of_file(rows, self.work, keys, ids)
        if self.processes.agree(read_features(digest) is not None):
            return digest, 0
        store = RowStore(rows)
        encoded = len(np.unique(keys[store.lacks(keys)]))
        self.processes.wait()  # all have seen the same rows
        self._encode(store, own_keys, own)
        self.processes.wait()
        if self.processes.rank == 0:
            store.refresh()
            described = _described(self.card, self.weights, self.work)
            write_rows(digest, store, keys, ids, self.work.output, described)
        self.processes.wait()
        return digest, encoded

    def _encode(
        self, store: RowStore, keys: np.ndarray, contents: Sequence[Content | None]
    ) -> None:
        todo = _first_of_each(keys, store)
        if len(todo):
            device = self.work.device or self.processes.device()
            encoder = self.encoder or _open(self.card, self.adapter, self.weights, device)
            batches = Batches(encoder, self.card, store, _versions(self.adapter), self.work)
            batches.run(keys[todo], [contents[row] or "" for row in todo])


def _open(
    card: EncoderCard, adapter: Adapter | None, weights: Weights, device: str
) -> FrozenEncoder:
    if adapter is None:
        raise InputError(f"{card.name} must have an encoder; got none.")
    if weights.seed is not None:
        print(
            f"urecjpq: {card.name} has RANDOM weights (seed {weights.seed}): its features say "
            "little of the items. For tests and timing only.",
            file=sys.stderr,
        )
    return adapter.open(card, weights, device)


def _versions(adapter: Adapter | None) -> dict[str, str]:
    return versions_of(("torch", "numpy") if adapter is None else adapter.packages)


def _first_of_each(keys: np.ndarray, store: RowStore) -> np.ndarray:
    """Return the first row of each different content that the store lacks, in their order."""
    _, first = np.unique(keys, return_index=True)
    first.sort()
    return first[store.lacks(keys[first])]


def _digest_of_rows(card: EncoderCard, weights: Weights, work: Work) -> str:
    known = card.model_dump(include=set(DECIDING)) | {"arguments": card.arguments}
    parts = [known, weights.sha256 or card.revision, weights.settings_sha256, work.precision]
    return hashlib.sha256(json.dumps([REVISION, *parts], sort_keys=True).encode()).hexdigest()


def _digest_of_file(rows: str, work: Work, keys: np.ndarray, ids: Sequence[str]) -> str:
    parts = [rows, work.output, keys.tobytes().hex(), *ids]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _described(card: EncoderCard, weights: Weights, work: Work) -> dict:
    return {
        "encoder": card.model_dump(mode="json", exclude={"weights"}),
        "weights": {
            "source": weights.source,
            "sha256": weights.sha256,
            "settings_sha256": weights.settings_sha256,
            "random": weights.seed is not None,
        },
        "precision": work.precision,
    }
