"""Titles, texts and pictures of items, from a table with one line per item."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from urecjpq.data.catalogue import Catalogue
from urecjpq.data.columns import Column, Table
from urecjpq.data.delimited import read_delimited
from urecjpq.data.frames import separator_of
from urecjpq.errors import require

TITLES = ("title", "movie_title", "name")


def with_items(
    catalogue: Catalogue,
    path: Path | str,
    item_id: str = "item_id",
    title: str | None = None,
    image: str | None = None,
    text: str | None = None,
) -> Catalogue:
    """Return the catalogue with the titles, texts and pictures that a file has for its items.

    Items of the catalogue that the file lacks get the title and text ``""`` and no picture; lines
    about other items are passed over.

    Args:
        catalogue: Where the items come from.
        path: RecBole ``.item``, or comma- or tab-separated with a header; plain or gzip.
        item_id: Column of raw ids. In all three names a type (``:token``) may be left out.
        title: Column of titles; None for the first of ``title``, ``movie_title``, ``name``.
        image: Column of paths relative to the file's folder, empty where there is no picture; None
            for no pictures.
        text: Column of what text encoders read; None for the titles.

    Raises:
        InputError: A column is not there, an item has two lines, or a picture is not a file.
    """
    path = Path(path)
    table = _untyped(read_delimited(path, separator_of(path)))
    ids = table.column(item_id)
    ids.refuse(ids.values.duplicated().to_numpy(bool), "be on one line only")
    lines = pd.Index(ids.values).get_indexer(pd.Index(catalogue.item_ids, dtype=object))
    require(
        bool((lines >= 0).any()),
        f"{path} must know at least one item of {catalogue.name}",
        f"{item_id} such as {ids.values.iloc[0]!r}",
    )
    title = title or next((name for name in TITLES if name in table.frame), None)
    titles = None if title is None else _by_line(table.column(title), lines)
    images = None if image is None else _images(table.column(image), lines, path.parent)
    texts = None if text is None else _by_line(table.column(text), lines)
    return replace(catalogue, titles=titles, images=images, texts=texts)


def _untyped(table: Table) -> Table:
    names = [name.split(":")[0] for name in table.frame.columns]
    return replace(table, frame=table.frame.set_axis(names, axis="columns"))


def _by_line(column: Column, lines: np.ndarray) -> np.ndarray:
    # Line -1, an item the file lacks, meets the empty text at the end.
    return np.append(column.values.to_numpy(object), "")[lines]


def _images(column: Column, lines: np.ndarray, folder: Path) -> list[Path | None]:
    names = _by_line(column, lines)
    outside = [name != "" and not _is_file_in(folder, name) for name in names]
    if any(outside):
        line = int(lines[outside.index(True)])
        require(
            False,
            f"{column.where(line)}: {column.name} must be a file in {folder}",
            repr(column.values.iloc[line]),
            "Leave it empty for an item without a picture.",
        )
    return [folder / name if name else None for name in names]


def _is_file_in(folder: Path, name: str) -> bool:
    relative = Path(name)
    inside = not relative.is_absolute() and ".." not in relative.parts
    return inside and (folder / relative).is_file()
