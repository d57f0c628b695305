"""Any table of interactions: a DataFrame, CSV, TSV or Parquet."""

from pathlib import Path

import pandas as pd

from urecjpq.data.build import build_interactions
from urecjpq.data.catalogue import Catalogue
from urecjpq.data.columns import Table, check_columns
from urecjpq.data.delimited import read_delimited
from urecjpq.errors import InputError, require

SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t", ".item": "\t"}


def catalogue_from_frame(
    frame: pd.DataFrame,
    user: str = "user",
    item: str = "item",
    timestamp: str | None = None,
    rating: str | None = None,
    partition: str | None = None,
    name: str = "frame",
) -> Catalogue:
    """Return the catalogue of a DataFrame with one interaction per row.

    Users and items are numbered by first appearance. Columns that are not named are passed over.

    Args:
        frame: Index and order of columns do not matter.
        user: Column of raw user ids, strings or integers.
        item: Column of raw item ids, strings or integers.
        timestamp: Column of whole seconds since 1970, or of dates (naive ones are UTC).
        rating: Column of finite numbers.
        partition: Column of ``train``, ``valid``, ``test``, or 0, 1, 2.
        name: Name of the catalogue.

    Raises:
        InputError: A column is not there, a value is missing or wrong, or a pair comes twice.
    """
    require(
        isinstance(frame, pd.DataFrame),
        "frame must be a pandas DataFrame",
        type(frame).__name__,
        "Other data frames have a to_pandas().",
    )
    require(len(frame) > 0, "frame must have at least one row", "none")
    table = Table("frame", frame, lambda row: f"frame row {row}")
    return _catalogue(table, user, item, timestamp, rating, partition, name)


def read_table(
    path: Path | str,
    user: str = "user",
    item: str = "item",
    timestamp: str | None = None,
    rating: str | None = None,
    partition: str | None = None,
    separator: str | None = None,
    name: str | None = None,
) -> Catalogue:
    r"""Return the catalogue of a CSV, TSV or Parquet file with one interaction per row.

    Only the named columns are read; the rules are those of `catalogue_from_frame`.

    Args:
        path: The suffix tells the format: ``.csv``, ``.tsv``, ``.inter`` (plain or ``.gz``) or
            ``.parquet``.
        user: Column of raw user ids.
        item: Column of raw item ids.
        timestamp: Column of whole seconds since 1970 (in Parquet, dates too).
        rating: Column of finite numbers.
        partition: Column of ``train``, ``valid``, ``test``, or 0, 1, 2.
        separator: What separates the columns of a text file with another suffix.
        name: Name of the catalogue; None for the file's name up to its first dot.

    Raises:
        InputError: The file breaks a rule; the message names file and line.
    """
    path = Path(path)
    columns = [c for c in (user, item, timestamp, rating, partition) if c is not None]
    if path.suffix == ".parquet":
        table = _read_parquet(path, columns)
    else:
        table = read_delimited(path, separator or separator_of(path), columns)
    name = name or path.name.split(".")[0]
    return _catalogue(table, user, item, timestamp, rating, partition, name)


def separator_of(path: Path) -> str:
    """Return what separates the columns of a file, by its suffix (``.gz`` apart)."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    require(
        suffix in SEPARATORS,
        f"path must end in .parquet, {', '.join(SEPARATORS)} (or in one of these and .gz)",
        path,
        "Or name the separator.",
    )
    return SEPARATORS[suffix]


def _catalogue(
    table: Table,
    user: str,
    item: str,
    timestamp: str | None,
    rating: str | None,
    partition: str | None,
    name: str,
) -> Catalogue:
    users, user_ids = table.column(user).ids()
    items, item_ids = table.column(item).ids()
    interactions = build_interactions(table, users, items, timestamp, rating, partition)
    return Catalogue(name, user_ids, item_ids, interactions)


def _read_parquet(path: Path, columns: list[str]) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise InputError(f'pyarrow is needed for {path}; pip install "urecjpq[parquet]".') from None
    require(path.is_file(), "path must be a file", path)
    try:
        check_columns(str(path), columns, parquet.read_schema(path).names)
        frame = parquet.read_table(path, columns=columns).to_pandas()
    except ArrowException as error:
        raise InputError(f"{path} must be a Parquet file; got {error}.") from None
    require(len(frame) > 0, f"{path} must have at least one row", "none")
    return Table(str(path), frame, lambda row: f"{path} row {row}")
