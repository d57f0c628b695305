"""Amazon Reviews 2014, 2018 and 2023.

Facts of the three editions, and their traps: metadata of 2014 are Python literals, not JSON;
ratings tables hold ``user,item,rating,time`` in 2014 and ``item,user,rating,time`` in 2018; the key
of 2023 is ``parent_asin`` and its times are milliseconds.
"""

import ast
import json
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

from urecjpq.data.raw.events import Collector, Events
from urecjpq.data.raw.lines import BadLines, read_lines
from urecjpq.data.raw.text import ItemContent

MAX_LITERAL = 2**20
"""Longest Python literal read, in bytes: parsing needs a hundred times as much memory."""
Record = dict[str, Any]
Files = dict[str, Path]


def read_reviews(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``reviews``: JSON lines of the editions 2014 and 2018.

    ``reviewerID``, ``asin``, ``overall`` and ``unixReviewTime`` (seconds) are read.
    """
    return _reviews(files["reviews"], bad, "reviewerID", "asin", "overall", "unixReviewTime", 1)


def read_reviews_2023(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``reviews``: ``user_id``, ``parent_asin``, ``timestamp`` in ms."""
    return _reviews(files["reviews"], bad, "user_id", "parent_asin", "rating", "timestamp", 1000)


def _reviews(
    path: Path, bad: BadLines, user: str, item: str, rating: str, time: str, per_second: int
) -> Events:
    collector = Collector()
    for number, line in read_lines(path):
        try:
            record = json.loads(line.decode())
            seconds = int(record[time]) // per_second
            collector.add(record[user], record[item], seconds, float(record[rating]))
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            bad.found(path, number, f"be JSON with {user}, {item}, {rating}, {time}", _shown(line))
    return collector.events(path)


def read_ratings(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``ratings``: lines ``user,item,rating,seconds``, no header."""
    return _ratings(files["ratings"], bad, (0, 1, 2, 3))


def read_ratings_2018(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``ratings``: lines ``item,user,rating,seconds``, no header."""
    return _ratings(files["ratings"], bad, (1, 0, 2, 3))


def _ratings(path: Path, bad: BadLines, order: Sequence[int]) -> Events:
    collector = Collector()
    for number, line in read_lines(path):
        try:
            values = line.decode().split(",")
            user, item, rating, seconds = (values[place] for place in order)
            if len(values) != len(order):
                raise ValueError("another number of columns")
            collector.add(user, item, int(seconds), float(rating))
        except (ValueError, IndexError):
            bad.found(path, number, "have two ids, a rating and seconds", _shown(line))
    return collector.events(path)


def read_metadata_2014(
    files: Files, wanted: Container[str], fields: Sequence[str], bad: BadLines
) -> ItemContent:
    """Return the content of items from ``metadata``: Python literals, read without running them."""
    return _metadata(files["metadata"], wanted, fields, bad, _literal, "asin", _picture_2014)


def read_metadata_2018(
    files: Files, wanted: Container[str], fields: Sequence[str], bad: BadLines
) -> ItemContent:
    """Return the content of items from ``metadata``: JSON lines."""
    return _metadata(files["metadata"], wanted, fields, bad, _json, "asin", _picture_2018)


def read_metadata_2023(
    files: Files, wanted: Container[str], fields: Sequence[str], bad: BadLines
) -> ItemContent:
    """Return the content of items from ``metadata``: JSON lines by ``parent_asin``."""
    path = files["metadata"]
    return _metadata(path, wanted, fields, bad, _json, "parent_asin", _picture_2023)


def _metadata(
    path: Path,
    wanted: Container[str],
    fields: Sequence[str],
    bad: BadLines,
    parse: Callable[[bytes], Record],
    key: str,
    picture: Callable[[Record], object],
) -> ItemContent:
    content = ItemContent()
    for number, line in read_lines(path):
        try:
            record = parse(line)
            item = record[key]
            if item in wanted:
                content.add(item, record.get("title"), map(record.get, fields), picture(record))
        except (ValueError, SyntaxError, KeyError, TypeError, AttributeError):
            bad.found(path, number, f"describe an item with {key}", _shown(line))
        except (RecursionError, MemoryError):
            bad.found(path, number, "be nested less deeply", _shown(line))
    return content


def _json(line: bytes) -> Record:
    return json.loads(line.decode())  # bytes would be searched for their encoding first


def _literal(line: bytes) -> Record:
    if len(line) > MAX_LITERAL:
        raise ValueError("too long")
    return ast.literal_eval(line.decode())


def _picture_2014(record: Record) -> object:
    return record.get("imUrl")


def _picture_2018(record: Record) -> object:
    found = record.get("imageURLHighRes") or record.get("imageURL") or record.get("image")
    return found[0] if isinstance(found, list) and found else found


def _picture_2023(record: Record) -> object:
    images = record.get("images") or []
    if isinstance(images, dict):  # the hub's column-wise form
        images = [
            dict(zip(images, values, strict=False))
            for values in zip(*images.values(), strict=False)
        ]
    main = [image for image in images if image.get("variant") == "MAIN"] or images
    return (main[0].get("large") or main[0].get("hi_res")) if main else None


def _shown(line: bytes) -> str:
    return line[:200].decode("utf-8", "replace")
