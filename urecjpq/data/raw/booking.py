"""Booking.com trips (WSDM 2021 challenge): a trip is a user, a city an item.

Train and test tables have different orders of columns, and both begin with a header; the test table
hides the last city of each trip behind 0, which is no city.
"""

import csv
from datetime import UTC, datetime
from pathlib import Path

from urecjpq.data.raw.events import Collector, Events
from urecjpq.data.raw.lines import BadLines, read_lines

TRIP, CITY, CHECK_IN = "utrip_id", "city_id", "checkin"
HIDDEN = "0"


def read_trips(files: dict[str, Path], bad: BadLines) -> Events:
    """Return the interactions of ``train`` and ``test``, by trip, in the order of the files."""
    collector = Collector(has_ratings=False)
    for role in sorted(files, reverse=True):
        _read(files[role], bad, collector)
    return collector.events(" and ".join(str(path) for path in files.values()))


def _read(path: Path, bad: BadLines, collector: Collector) -> None:
    places = None
    for number, line in read_lines(path):
        try:
            row = next(csv.reader([line.decode("utf-8-sig")], strict=True), [])
            if places is None:
                places = [row.index(name) for name in (TRIP, CITY, CHECK_IN)], len(row)
                continue
            if len(row) != places[1]:
                raise ValueError("another number of columns")
            trip, city, day = (row[place] for place in places[0])
            if city != HIDDEN:
                time = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
                collector.add(trip, city, int(time.timestamp()))
        except (ValueError, csv.Error):
            rule = f"have {TRIP}, {CITY} and {CHECK_IN} (year-month-day)"
            bad.found(path, number, rule, line[:200].decode("utf-8", "replace"))
