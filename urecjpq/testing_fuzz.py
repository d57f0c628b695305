"""Any bytes through every reader of raw files and the card loader: for fuzzing.

    pip install atheris
    python -m urecjpq.testing_fuzz -max_total_time=600 -rss_limit_mb=2048

runs atheris, guided by coverage; hypothesis does a shorter run in the tests.
"""

import gzip
import sys
import tempfile
from pathlib import Path

from urecjpq.data.cards import load_card
from urecjpq.data.raw import EVENTS, ITEMS, BadLines
from urecjpq.errors import InputError

LINES = [
    b'{"reviewerID": "U", "asin": "B", "overall": 5.0, "unixReviewTime": 1252800000}',
    b'{"user_id": "U", "parent_asin": "B", "rating": 5.0, "timestamp": 1252800000123}',
    b'{"user_id": "U", "business_id": "B", "stars": 5, "date": "2009-09-13 00:00:00"}',
    b"{'asin': 'B', 'title': 'T', 'categories': [['a', 'b']], 'imUrl': 'http://x'}",
    b'{"parent_asin": "B", "title": "T", "images": [{"variant": "MAIN", "large": "http://x"}]}',
    b"U,B,5.0,1252800000",
    b"1\t2\t5\t1252800000",
    b"1::2::5::978300760",
    b"0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847",
    b"utrip_id,city_id,checkin\n1_1,5,2016-01-01",
    b"1::Toy Story (1995)::Animation|Comedy",
]
"""A good line of most formats, to begin with."""
CARD = """name = "tiny"
title = "Tiny"
reader = "raw"
licence = "none"
citation = "none"
source = "here"
[raw]
events = "gowalla"
text = ["title"]
[raw.files]
check_ins = { url = "http://x/y.txt", num_bytes = 3 }
[filter]
k_users = 5
[partition]
method = "random_per_user"
seed = 3
[categories]
toys = { name = "Toys", users = 3 }
"""


class Everything:
    """A set of wanted items that holds every id."""

    def __contains__(self, item: object) -> bool:
        hash(item)  # as a set would
        return True


def read_anything(data: bytes, folder: Path, packed: bool) -> int:
    """Give ``data`` to every reader, strictly and leniently; returns how many made sense of it."""
    path = folder / "file"
    path.write_bytes(gzip.compress(data) if packed else data)
    roles = ("reviews", "ratings", "check_ins", "train", "test", "plays", "metadata", "items")
    files = dict.fromkeys((*roles, "businesses"), path)
    understood = 0
    for skip in (False, True):
        for name, read in EVENTS.items():
            given = {"train": path, "test": path} if name == "booking" else files
            understood += _tried(read, given, BadLines(skip))
        for read in ITEMS.values():
            understood += _tried(read, files, Everything(), ["title", "categories"], BadLines(skip))
    return understood


def _tried(read, *arguments) -> bool:
    try:
        content = read(*arguments)
    except InputError:
        return False
    return bool(getattr(content, "titles", True))


def read_card_text(text: str, folder: Path) -> None:
    """Load ``text`` as a card; an InputError is fine."""
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_card(path)
    except InputError:
        return


def _main() -> None:
    import atheris  # pyright: ignore[reportMissingImports]

    with tempfile.TemporaryDirectory() as folder:

        def one_input(data: bytes) -> None:
            read_anything(data[1:], Path(folder), data[:1] > b"\x7f")
            read_card_text(data.decode("utf-8", "replace"), Path(folder))

        atheris.instrument_all()
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    _main()
