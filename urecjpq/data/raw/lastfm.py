"""Last.fm 2K of HetRec 2011: ``userID <tab> artistID <tab> weight``, the number of plays."""

from pathlib import Path

from urecjpq.data.raw.events import Collector, Events
from urecjpq.data.raw.lines import BadLines, read_lines

HEADER = "userID\tartistID\tweight"


def read_plays(files: dict[str, Path], bad: BadLines) -> Events:
    """Return the interactions of ``plays``, ``user_artists.dat`` in a zip or by itself.

    There are no times; the number of plays stands as the rating.
    """
    path = files["plays"]
    collector = Collector(has_times=False)
    for number, line in read_lines(path, "user_artists.dat"):
        try:
            text = line.decode()
            if number == 1 and text == HEADER:
                continue
            user, artist, plays = text.split("\t")
            collector.add(user, artist, rating=float(plays))
        except ValueError:
            bad.found(
                path, number, "be userID, artistID, weight", line[:200].decode("utf-8", "replace")
            )
    return collector.events(path)
