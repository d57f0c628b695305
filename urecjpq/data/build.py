"""What every reader does once it has its columns: interactions without duplicates, and id maps."""

from pathlib import Path

import numpy as np
import pandas as pd

from urecjpq.data.catalogue import Interactions
from urecjpq.data.columns import Table
from urecjpq.data.delimited import read_delimited
from urecjpq.errors import InputError, require


def build_interactions(
    table: Table,
    users: np.ndarray,
    items: np.ndarray,
    timestamp: str | None = None,
    rating: str | None = None,
    partition: str | None = None,
    repeats: bool = False,
) -> Interactions:
    """Return the interactions of a table whose users and items already have rows.

    Args:
        table: Source of the other columns.
        users: User rows, shape ``(n,)``.
        items: Item rows, shape ``(n,)``.
        timestamp: Column of seconds or dates, if there is one.
        rating: Column of ratings, if there is one.
        partition: Column of partition labels, if there is one.
        repeats: Whether a pair may occur twice.

    Raises:
        InputError: A value breaks its column's rule, or a pair occurs twice and must not.
    """
    times, ratings, labels = map(table.optional, (timestamp, rating, partition))
    if not repeats:
        refuse_duplicates(table, users, items)
    return Interactions(
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        partitions=None if labels is None else labels.partitions(),
        timestamps=None if times is None else times.seconds(),
        ratings=None if ratings is None else ratings.numbers().astype(np.float32),
    )


def refuse_duplicates(table: Table, users: np.ndarray, items: np.ndarray) -> None:
    """Raise an InputError about the first pair that was there before, if there is one."""
    pairs = pd.Series(users.astype(np.int64) << 32 | items.astype(np.int64))
    repeated = pairs.duplicated().to_numpy()
    if repeated.any():
        second = int(repeated.argmax())
        first = int((pairs == pairs[second]).to_numpy().argmax())
        raise InputError(
            f"{table.where(second)} must not repeat an interaction; got the pair of "
            f"{table.where(first)} again ({repeated.sum()} repeated in all). "
            "Keep one row per user and item."
        )


def read_id_map(path: Path, raw: str, row: str) -> np.ndarray:
    """Return the raw ids of an MMRec id map, in the order of their rows.

    Args:
        path: Tab-separated in spite of its usual suffix ``.csv``; plain or gzip.
        raw: Name of the column with the raw id, e.g. ``asin``.
        row: Name of the column with the row, e.g. ``itemID``.

    Returns:
        Strings, dtype object. Shape ``(n,)``.

    Raises:
        InputError: The rows are not 0 … n−1, each once, or a raw id comes twice.
    """
    table = read_delimited(path, "\t", [raw, row])
    raw_column, row_column = table.column(raw), table.column(row)
    first, ids = raw_column.ids()
    require(
        len(ids) == len(table),
        f"{path} must have each {raw} once",
        f"{len(table) - len(ids)} repeated",
    )
    rows = row_column.row_numbers()
    row_column.refuse(rows >= len(table), f"be below the number of ids {len(table)}")
    row_column.refuse(pd.Series(rows).duplicated().to_numpy(), "be different on every line")
    by_row = np.empty(len(table), dtype=object)
    by_row[rows] = ids[first]
    return by_row
