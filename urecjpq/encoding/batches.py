"""Contents through an encoder, in batches whose results do not depend on how they were made up.

A batch has always the same number of rows, and rows of one shape: what a row becomes is then a
matter of its own content, not of its neighbours, of the order, or of where an earlier attempt was
killed. (Measured for the networks here, on processors: other batch sizes from 8 up give the same
bits too. Batches of fewer rows do not, so the last ones are filled up.)
"""

import importlib.metadata
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np
from tqdm import tqdm

from urecjpq.encoding.cards import EncoderCard
from urecjpq.encoding.encoder import Content, FrozenEncoder
from urecjpq.encoding.rows import KEY, RowStore
from urecjpq.encoding.work import Work
from urecjpq.errors import Unreadable, require
from urecjpq.threads import map_ahead

READERS = 4
LEAST_COSINE = 0.999
"""bfloat16 is refused where a vector of the first batch is farther from the float32 one."""


class Batches:
    """Encodes contents and puts the rows into a store as it goes.

    Args:
        encoder: Does the work.
        card: Its dimension is checked.
        store: Where rows go.
        versions: Of the libraries, noted beside the rows.
        work: Batch size, precision, and how often rows are saved.
    """

    def __init__(
        self,
        encoder: FrozenEncoder,
        card: EncoderCard,
        store: RowStore,
        versions: dict[str, str],
        work: Work,
    ) -> None:
        self.encoder, self.card, self.store = encoder, card, store
        self.versions, self.work = versions, work
        self.unproven = work.precision != "float32"
        self.saved_at = time.monotonic()
        self._forget()

    def run(self, keys: np.ndarray, contents: Sequence[Content]) -> None:
        """Encode contents that the store lacks.

        Args:
            keys: Of the contents, each once, shape ``(n,)``.
            contents: ``n`` of them.
        """
        waiting: dict[tuple[int, ...], list[tuple[bytes, np.ndarray]]] = defaultdict(list)
        read = partial(_read, self.encoder)
        inputs = map_ahead(read, contents, READERS, 2 * self.work.batch_size)
        bar = tqdm(total=len(keys), desc=self.card.name, unit=self.card.modality, disable=None)
        try:
            with bar:
                for key, found in zip(keys, inputs, strict=True):
                    bar.update()
                    if isinstance(found, str):
                        self.unreadable[key] = found
                        continue
                    batch = waiting[found.shape]
                    batch.append((key, found))
                    if len(batch) == self.work.batch_size:
                        self._encode(waiting.pop(found.shape))
                for batch in waiting.values():
                    self._encode(batch)
        finally:
            inputs.close()
            self._save()

    def _encode(self, batch: list[tuple[bytes, np.ndarray]]) -> None:
        filled = [found for _, found in batch]
        filled += [filled[-1]] * (self.work.batch_size - len(filled))
        inputs = np.stack(filled)
        values = self.encoder.encode(inputs, self.work.precision)
        self._check(inputs, values)
        self.keys += [key for key, _ in batch]
        self.values.append(values[: len(batch)])
        if time.monotonic() - self.saved_at > self.work.save_every:
            self._save()

    def _check(self, inputs: np.ndarray, values: np.ndarray) -> None:
        width = values.shape[1]
        rule = f"dimension of {self.card.name} must be {width}, what its network gives"
        require(width == self.card.dimension, rule, self.card.dimension, "Correct the card.")
        finite = bool(np.isfinite(values).all())
        require(finite, f"features of {self.card.name} must be finite", "NaN or infinity")
        if self.unproven:
            exact = self.encoder.encode(inputs, "float32")
            lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(values, axis=1)
            least = float(((exact * values).sum(1) / np.maximum(lengths, 1e-12)).min())
            rule = f"{self.work.precision} must give cosines to float32 of at least {LEAST_COSINE}"
            hint = f"Encode with {self.card.name} in float32."
            require(least >= LEAST_COSINE, rule, f"{least:.5f}", hint)
            self.unproven = False

    def _save(self) -> None:
        if self.keys or self.unreadable:
            values = np.concatenate([np.empty((0, self.card.dimension), np.float32), *self.values])
            self.store.add(np.array(self.keys, KEY), values, self.unreadable, self.versions)
        self._forget()
        self.saved_at = time.monotonic()

    def _forget(self) -> None:
        self.keys: list[bytes] = []
        self.values: list[np.ndarray] = []
        self.unreadable: dict[bytes, str] = {}


def _read(encoder: FrozenEncoder, content: Content) -> np.ndarray | str:
    try:
        return encoder.read(content)
    except Unreadable as error:
        return error.reason


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of packages that are installed."""
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
