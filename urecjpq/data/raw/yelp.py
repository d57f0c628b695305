"""Yelp Open Dataset: JSON lines of reviews and of businesses."""

import json
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from pathlib import Path

from urecjpq.data.raw.events import Collector, Events
from urecjpq.data.raw.lines import BadLines, read_lines
from urecjpq.data.raw.text import ItemContent

Files = dict[str, Path]


def read_reviews(files: Files, bad: BadLines) -> Events:
    """Return the interactions of ``reviews``; their dates are taken as UTC."""
    path = files["reviews"]
    collector = Collector()
    for number, line in read_lines(path):
        try:
            record = json.loads(line.decode())
            time = datetime.fromisoformat(record["date"]).replace(tzinfo=UTC)
            ids = record["user_id"], record["business_id"]
            collector.add(*ids, int(time.timestamp()), float(record["stars"]))
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            rule = "be JSON with user_id, business_id, stars, date"
            bad.found(path, number, rule, line[:200].decode("utf-8", "replace"))
    return collector.events(path)


def read_businesses(
    files: Files, wanted: Container[str], fields: Sequence[str], bad: BadLines
) -> ItemContent:
    """Return the content of items from ``businesses``; ``name`` is the title."""
    path = files["businesses"]
    content = ItemContent()
    for number, line in read_lines(path):
        try:
            record = json.loads(line.decode())
            item = record["business_id"]
            if item in wanted:
                content.add(item, record.get("name"), map(record.get, fields))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            rule = "be JSON with business_id"
            bad.found(path, number, rule, line[:200].decode("utf-8", "replace"))
    return content
