"""Who touched what and when, collected from a stream of lines."""

from array import array
from typing import NamedTuple

import numpy as np

from urecjpq.errors import require

LATEST = 2**53  # seconds that `Interactions` can hold exactly anywhere
LARGEST = 1e30  # of a rating: float32 with room to spare


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
            ValueError: An id is not printable text or is empty, or a number is out of range.
        """
        # Ids are checked when they are new: a line costs a third less.
        user_row = self._users.get(user)
        item_row = self._items.get(item)
        if user_row is None:
            user_row = _checked(user, len(self._users))
        if item_row is None:
            item_row = _checked(item, len(self._items))
        if not (-LATEST < seconds < LATEST and -LARGEST < rating < LARGEST):
            raise ValueError(f"time and rating must be in range; got {seconds} and {rating}")
        self._users[user], self._items[item] = user_row, item_row
        users, items, times, ratings = self._columns
        users.append(user_row)
        items.append(item_row)
        times.append(seconds)
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


def _checked(raw_id: object, row: int) -> int:
    if not isinstance(raw_id, str) or not raw_id or not raw_id.isprintable():
        raise ValueError(f"ids must be printable text; got {raw_id!r}")
    return row
