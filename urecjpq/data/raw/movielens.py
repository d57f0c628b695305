"""MovieLens: tabs and bars (100K), double colons in latin-1 (1M), quoted CSV in a zip (20M on)."""

import csv
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from urecjpq.data.raw.events import Collector, Events
from urecjpq.data.raw.lines import BadLines, read_lines
from urecjpq.data.raw.text import ItemContent

Files = dict[str, Path]
COLUMNS = ("userId", "movieId", "rating", "timestamp")


def read_tabs(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``ratings``, ``u.data`` in a zip or by itself."""
    return _read(files["ratings"], "u.data", "\t", bad)


def read_colons(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``ratings``, ``ratings.dat`` in a zip or by itself."""
    return _read(files["ratings"], "ratings.dat", "::", bad)


def read_csv(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``ratings``, ``ratings.csv`` in a zip or by itself."""
    return _read(files["ratings"], "ratings.csv", ",", bad, header=",".join(COLUMNS))


def _read(path: Path, member: str, separator: str, bad: BadLines, header: str = "") -> Events:
    collector = Collector()
    for number, line in read_lines(path, member):
        try:
            text = line.decode()
            if number == 1 and header:
                if text.removeprefix("\ufeff") != header:
                    raise ValueError("another header")
                continue
            user, item, rating, seconds = text.split(separator)
            collector.add(user, item, int(seconds), float(rating))
        except ValueError:
            rule = f"be {separator.join(COLUMNS)}"
            bad.found(path, number, rule, line[:200].decode("utf-8", "replace"))
    return collector.events(path)


def read_items_bars(
    files: Files, wanted: Container[str], fields: Sequence[str], bad: BadLines
) -> ItemContent:
    """Return the titles of ``items``, ``u.item``: ``id|title|…`` in latin-1."""
    rows = _split(files["items"], "u.item", "|", bad)
    return _content(((row[0], row[1], "") for row in rows), wanted, fields)


def read_items_colons(
    files: Files, wanted: Container[str], fields: Sequence[str], bad: BadLines
) -> ItemContent:
    """Return titles and genres of ``items``, ``movies.dat``: ``id::title::genres`` in latin-1."""
    rows = _split(files["items"], "movies.dat", "::", bad)
    return _content(
        ((row[0], row[1], row[2] if len(row) > 2 else "") for row in rows), wanted, fields
    )


def read_items_csv(
    files: Files, wanted: Container[str], fields: Sequence[str], bad: BadLines
) -> ItemContent:
    """Return titles and genres of ``items``, ``movies.csv``: titles with commas are quoted."""
    return _content(_csv_items(files["items"], bad), wanted, fields)


def _csv_items(path: Path, bad: BadLines) -> Iterator[tuple[str, str, str]]:
    for number, line in read_lines(path, "movies.csv"):
        try:
            (row,) = csv.reader([line.decode()], strict=True)
            item, title, genres = row
        except (ValueError, csv.Error):
            bad.found(
                path, number, "be movieId,title,genres", line[:200].decode("utf-8", "replace")
            )
            continue
        if number > 1:
            yield item, title, genres


def _split(path: Path, member: str, separator: str, bad: BadLines) -> Iterator[list[str]]:
    for number, line in read_lines(path, member):
        row = line.decode("latin-1").split(separator)
        if len(row) >= 2 and row[0]:
            yield row
        elif line:
            bad.found(path, number, f"be id{separator}title…", line[:200].decode("latin-1"))


def _content(
    rows: Iterator[tuple[str, str, str]], wanted: Container[str], fields: Sequence[str]
) -> ItemContent:
    content = ItemContent()
    for item, title, genres in rows:
        if item in wanted:
            known = {"title": title, "genres": genres.replace("|", " ")}
            content.add(item, title, [known.get(field) for field in fields])
    return content
