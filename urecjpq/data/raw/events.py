"""Who touched what and when, collected from a stream of lines."""

from array import array
from typing import NamedTuple

import numpy as np

from urecjpq.errors import require

LATEST = 2**53  # seconds; also keeps milliseconds mistaken for seconds readable


class Events(NamedTuple):
    """Interactions as the source has them, repeats included, in its order.

    Args:
        user_ids: Raw ids by row, in order of first appearance, dtype object (str).
        item_ids: The same of items.
        users: User rows, int32. Shape ``(n,)``.
        items: Item rows, int32. Shape ``(n,)``.
        timestamps: Seconds since 1970, int64, or None. Shape ``(n,)``.
        ratings: float32, or None. Shape ``(n,)``.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    users: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray | None
    ratings: np.ndarray | None


class Collector:
    """Grows columns of numbers, sixteen to twenty bytes per interaction, and the id maps."""

    def __init__(self, has_times: bool = True, has_ratings: bool = True) -> None:
        self._users: dict[str, int] = {}
        self._items: dict[str, int] = {}
        self._columns = array("i"), array("i"), array("q"), array("f")
        self._kept = has_times, has_ratings

    def add(self, user: str, item: str, seconds: int = 0, rating: float = 0.0) -> None:
        """Add one interaction.

        Raises:
            ValueError: An id is not text, is empty or holds a tab or line break, or a number is out
                of range.
        """
        if not (_is_id(user) and _is_id(item)):
            raise ValueError(f"ids must be text without tabs; got {user!r} and {item!r}")
        if not -LATEST < seconds < LATEST:
            raise ValueError(f"time must be below 2**53 seconds; got {seconds}")
        if not -1e30 < rating < 1e30:
            raise ValueError(f"rating must be a finite number; got {rating}")
        users, items, times, ratings = self._columns
        users.append(self._users.setdefault(user, len(self._users)))
        items.append(self._items.setdefault(item, len(self._items)))
        times.append(int(seconds))
        ratings.append(rating)

    def events(self, source: object) -> Events:
        """Return what was collected; nothing at all is refused."""
        users, items, times, ratings = (
            np.frombuffer(column, dtype=column.typecode) if column else np.empty(0)
            for column in self._columns
        )
        require(len(users) > 0, f"{source} must have at least one interaction", "none")
        has_times, has_ratings = self._kept
        return Events(
            np.array(list(self._users), dtype=object),
            np.array(list(self._items), dtype=object),
            users.astype(np.int32),
            items.astype(np.int32),
            times.astype(np.int64) if has_times else None,
            ratings.astype(np.float32) if has_ratings else None,
        )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != "" and not ("\t" in value or "\n" in value)
