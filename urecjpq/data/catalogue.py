"""Users, items and what is known of them, as arrays over contiguous rows."""

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.errors import InputError, require

PARTITIONS = ("train", "valid", "test")


@dataclass(frozen=True)
class Features:
    """What a frozen encoder said of every item, and for which items it had nothing to say.

    Args:
        values: Memory-mapped or plain float array, shape ``(num_items, f)``; finite where present.
        present: True where the item had content to encode, shape ``(num_items,)``.
    """

    values: np.ndarray
    present: np.ndarray

    @property
    def width(self) -> int:
        """``f``, length of a feature vector."""
        return self.values.shape[1]

    @property
    def num_bytes(self) -> int:
        """Bytes of all arrays, in the types they have."""
        return sum(array.nbytes for array in vars(self).values())

    def rows(self, items: np.ndarray | slice) -> np.ndarray:
        """Return the feature vectors of some items. Shape ``(n, f)``."""
        return self.values[items]


@dataclass(frozen=True)
class QuantisedFeatures(Features):
    """Features as product-quantised codes: a vector is decoded when it is asked for.

    Args:
        values: Sub-ids, whole numbers in ``[0, b)``, shape ``(num_items, m)``.
        present: As in `Features`.
        centroids: Floats, shape ``(m, b, f/m)``.
    """

    centroids: np.ndarray

    @property
    def width(self) -> int:
        """``f``, length of a decoded vector."""
        return self.centroids.shape[0] * self.centroids.shape[2]

    def rows(self, items: np.ndarray | slice) -> np.ndarray:
        """Return the decoded vectors of some items, float32. Shape ``(n, f)``."""
        sub_ids = self.values[items]
        parts = self.centroids[np.arange(sub_ids.shape[1]), sub_ids]
        return parts.reshape(len(sub_ids), self.width).astype(np.float32, copy=False)


@dataclass(frozen=True)
class Neighbours:
    """The ``k`` items nearest to each item, best first, usually the item itself included.

    A filter that drops items leaves some with fewer than ``k``: their rows end in −1.

    Args:
        item_ids: Rows of the neighbours, int32, shape ``(num_items, k)``; −1 where there is none.
        similarities: Cosine similarities, float32, shape ``(num_items, k)``; 0 where there is none.
    """

    item_ids: np.ndarray
    similarities: np.ndarray


@dataclass(frozen=True)
class Interactions:
    """Who touched what, one row per pair, in the order of the source.

    Args:
        users: User rows, int32, shape ``(n,)``.
        items: Item rows, int32, shape ``(n,)``.
        partitions: Positions in `PARTITIONS`, int8, shape ``(n,)``; None before they are drawn.
        timestamps: Seconds since 1970, int64, shape ``(n,)``, or None.
        ratings: As in the source, float32, shape ``(n,)``, or None.
    """

    users: np.ndarray
    items: np.ndarray
    partitions: np.ndarray | None = None
    timestamps: np.ndarray | None = None
    ratings: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.users)

    def select(self, rows: np.ndarray) -> "Interactions":
        """Return the interactions at ``rows`` (positions or a mask)."""
        given = {name: column for name, column in vars(self).items() if column is not None}
        return Interactions(**{name: column[rows] for name, column in given.items()})


@dataclass(frozen=True)
class Catalogue:
    """A data set, ready for every room that follows.

    Raw ids are strings (``NA`` is an id); position in `user_ids` and `item_ids` is the row.

    Args:
        name: Short name, used in run folders and tables.
        user_ids: Raw ids, shape ``(num_users,)``, dtype object (str).
        item_ids: Raw ids, shape ``(num_items,)``, dtype object (str).
        interactions: Pairs of rows.
        features: Encoder output by modality, e.g. ``{"image": …, "text": …}``.
        neighbours: Given item–item graphs by modality.
        titles: Item titles, ``""`` where unknown, shape ``(num_items,)``; None if there are none.
        images: Path of each item's picture or None, one per item; None if there are none.
        texts: What text encoders read of each item, shape ``(num_items,)``; None for the titles.
    """

    name: str
    user_ids: np.ndarray
    item_ids: np.ndarray
    interactions: Interactions
    features: dict[str, Features] = field(default_factory=dict)
    neighbours: dict[str, Neighbours] = field(default_factory=dict)
    titles: np.ndarray | None = None
    images: list[Path | None] | None = None
    texts: np.ndarray | None = None

    @property
    def num_users(self) -> int:
        return len(self.user_ids)

    @property
    def num_items(self) -> int:
        return len(self.item_ids)

    def matrix(self, partition: str) -> csr_matrix:
        """Return a partition as a 0/1 matrix.

        Args:
            partition: ``train``, ``valid`` or ``test``.

        Returns:
            float32 matrix with sorted columns. Shape ``(num_users, num_items)``.

        Raises:
            InputError: The interactions have no partitions yet, or the name is none of the three.
        """
        chosen = self.partition(partition)
        ones = np.ones(len(chosen), dtype=np.float32)
        shape = (self.num_users, self.num_items)
        matrix = csr_matrix((ones, (chosen.users, chosen.items)), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def partition(self, partition: str) -> Interactions:
        """Return the interactions of one partition, in the order of the source."""
        return self.interactions.select(self._labels(partition) == PARTITIONS.index(partition))

    def before(self, partition: str) -> Interactions:
        """Return what is known when the items of ``partition`` are asked for.

        That is nothing before train, train before valid, train and valid before test.
        """
        return self.interactions.select(self._labels(partition) < PARTITIONS.index(partition))

    def _labels(self, partition: str) -> np.ndarray:
        require(partition in PARTITIONS, f"partition must be one of {PARTITIONS}", repr(partition))
        labels = self.interactions.partitions
        if labels is None:
            raise InputError(
                "interactions must be partitioned into train, valid and test; got no partitions. "
                "Call urecjpq.data.partition_* first."
            )
        return labels

    def counts(self) -> dict[str, int]:
        """Return users, items, interactions and, where partitioned, the size of each partition."""
        counts = {
            "users": self.num_users,
            "items": self.num_items,
            "interactions": len(self.interactions),
        }
        if self.interactions.partitions is not None:
            sizes = np.bincount(self.interactions.partitions, minlength=len(PARTITIONS))
            counts |= {name: int(size) for name, size in zip(PARTITIONS, sizes, strict=True)}
        return counts

    @cached_property
    def digest(self) -> str:
        """Sha256 of ids, pairs and partitions: equal digests mean comparable results."""
        sha = hashlib.sha256()
        for ids in (self.user_ids, self.item_ids):
            sha.update("\n".join(ids).encode() + b"\0")
        for column in (
            self.interactions.users,
            self.interactions.items,
            self.interactions.partitions,
        ):
            sha.update(b"-" if column is None else np.ascontiguousarray(column).tobytes())
        return sha.hexdigest()

    @cached_property
    def content_digests(self) -> dict[str, str]:
        """Sha256 of each modality's features and neighbours, by ``features.image`` and the like."""
        given = {f"features.{name}": value for name, value in self.features.items()}
        given |= {f"neighbours.{name}": value for name, value in self.neighbours.items()}
        return {name: _digest(vars(value)) for name, value in sorted(given.items())}

    def with_interactions(self, interactions: Interactions) -> "Catalogue":
        """Return the same catalogue with other interactions (a new partition, say)."""
        return replace(self, interactions=interactions)

    def with_partitions(self, labels: np.ndarray) -> "Catalogue":
        """Return the same catalogue with these positions in `PARTITIONS`, one per interaction."""
        partitions = labels.astype(np.int8)
        return self.with_interactions(replace(self.interactions, partitions=partitions))


def _digest(arrays: dict[str, np.ndarray]) -> str:
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name} {array.dtype.str} {array.shape}\0".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
