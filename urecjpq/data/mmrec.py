"""The dialect of MMRec: ``.inter`` with numbered users and items, id maps beside it."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pandas as pd

from urecjpq.data.build import build_interactions, read_id_map
from urecjpq.data.catalogue import Catalogue
from urecjpq.data.columns import Column, Table
from urecjpq.data.delimited import read_delimited
from urecjpq.errors import require
from urecjpq.files import written_whole

REQUIRED = ("userID", "itemID")
OPTIONAL = ("rating", "timestamp", "x_label")
USER_MAP = ("user_id", "userID")
ITEM_MAP = ("asin", "itemID")


def read_mmrec(
    path: Path | str,
    user_map: Path | str | None = None,
    item_map: Path | str | None = None,
    name: str | None = None,
    repeats: bool = False,
) -> Catalogue:
    """Return the catalogue of an MMRec ``.inter`` file.

    The file's numbers are the rows. A map lists all rows, those without interactions too; without a
    map the raw id is the number as text, and every number up to the largest must occur.

    Args:
        path: Tab-separated, plain or gzip, columns ``userID itemID [rating] [timestamp] [x_label]``
            in any order; ``x_label`` 0, 1, 2 is train, valid, test.
        user_map: ``u_id_mapping.csv`` with ``user_id`` and ``userID``, tab-separated.
        item_map: ``i_id_mapping.csv`` with ``asin`` and ``itemID``, tab-separated.
        name: Name of the catalogue; None for the file's name up to its first dot.
        repeats: Take a user's second interaction with an item, instead of refusing it.

    Raises:
        InputError: The file breaks a rule; the message names file and line.

    Source: enoche/MMRec, ``src/utils/dataset.py``, which reads ``userID``, ``itemID`` and
    ``x_label`` only and takes n = max + 1 whether or not all numbers occur.
    """
    path = Path(path)
    table = read_delimited(path, "\t")
    _check_header(table)
    users, user_ids = _rows(table.column("userID"), user_map, USER_MAP)
    items, item_ids = _rows(table.column("itemID"), item_map, ITEM_MAP)
    timestamp, rating, partition = (
        column if column in table.frame else None for column in ("timestamp", "rating", "x_label")
    )
    interactions = build_interactions(
        table, users, items, timestamp, rating, partition, repeats=repeats
    )
    return Catalogue(name or path.name.split(".")[0], user_ids, item_ids, interactions)


def write_mmrec(catalogue: Catalogue, path: Path | str) -> None:
    """Write a catalogue's interactions to ``path`` and its id maps beside it, as MMRec reads them.

    Args:
        catalogue: Features, titles and images are not written.
        path: The ``.inter`` file; a name that ends in ``.gz`` is compressed. The maps are
            ``u_id_mapping.csv`` and ``i_id_mapping.csv`` in the same folder.
    """
    path = Path(path)
    parts = catalogue.interactions
    columns = {
        "userID": parts.users,
        "itemID": parts.items,
        "rating": parts.ratings,
        "timestamp": parts.timestamps,
        "x_label": parts.partitions,
    }
    _write(path, {name: values for name, values in columns.items() if values is not None})
    for file, (raw, row), ids in (
        ("u_id_mapping.csv", USER_MAP, catalogue.user_ids),
        ("i_id_mapping.csv", ITEM_MAP, catalogue.item_ids),
    ):
        _write(path.with_name(file), {raw: ids, row: np.arange(len(ids))})


def _check_header(table: Table) -> None:
    names = list(table.frame.columns)
    typed = any(":" in name for name in names)
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    hint = "Use read_recbole." if typed else "read_table reads the columns you name."
    require(
        not unknown,
        f"{table.source}:1 must have no columns but {', '.join(REQUIRED + OPTIONAL)}",
        ", ".join(unknown),
        hint,
    )


def _rows(
    column: Column, map_path: Path | str | None, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    rows = column.row_numbers()
    if map_path is not None:
        ids = read_id_map(Path(map_path), *names)
        column.refuse(rows >= len(ids), f"be in {map_path}, which has {len(ids)} ids")
        return rows, ids
    # Counting before allocating: one mistyped number must not cost gigabytes.
    used = np.unique(rows)
    if used[-1] >= len(used):
        gap = int((used != np.arange(len(used))).argmax())
        hint = f"{gap} does not occur. An id map may list ids without interactions."
        column.refuse(rows == used[-1], f"be below {len(used)}, the number of different ids", hint)
    return rows, np.arange(len(used)).astype(str).astype(object)


def _write(path: Path, columns: dict[str, np.ndarray]) -> None:
    # Raw ids hold no tabs and no line breaks, so nothing needs quotes.
    text = pd.DataFrame(columns).to_csv(
        sep="\t", index=False, lineterminator="\n", quoting=csv.QUOTE_NONE
    )
    data = text.encode()
    with written_whole(path) as temporary:
        temporary.write_bytes(gzip.compress(data, 6, mtime=0) if path.suffix == ".gz" else data)
