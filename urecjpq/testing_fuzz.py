"""Any bytes through every reader and the card loader: for fuzzing.

    pip install atheris
    python -m urecjpq.testing_fuzz -max_total_time=600 -rss_limit_mb=2048

runs atheris, guided by coverage and begun with a good file of each format; hypothesis does a
shorter run in the tests.
"""

import gzip
import io
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import numpy as np

from urecjpq.data import features, frames, mmrec, recbole
from urecjpq.data.build import read_id_map
from urecjpq.data.cards import load_card
from urecjpq.data.items import with_items
from urecjpq.data.raw import EVENTS, ITEMS, BadLines
from urecjpq.errors import InputError
from urecjpq.testing import tiny_catalogue

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
RAW = {
    "amazon-reviews": '{"reviewerID": "U", "asin": "B", "overall": 5.0, "unixReviewTime": 12528}',
    "amazon-reviews-2023": '{"user_id": "U", "parent_asin": "B", "rating": 5, "timestamp": 125280}',
    "amazon-ratings": "U,B,5.0,1252800000",
    "amazon-ratings-2018": "B,U,5.0,1252800000",
    "movielens-tabs": "1\t2\t5\t1252800000",
    "movielens-colons": "1::2::5::978300760",
    "movielens-csv": "userId,movieId,rating,timestamp\n1,2,3.5,1112486027",
    "gowalla": "0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22847",
    "booking": "utrip_id,city_id,checkin\n1_1,5,2016-01-01",
    "yelp": '{"user_id": "U", "business_id": "B", "stars": 5, "date": "2009-09-13 00:00:00"}',
    "lastfm": "userID\tartistID\tweight\n2\t51\t13883",
}
"""A good file of each reader of interactions."""
METADATA = {
    "amazon-2014": "{'asin': 'B', 'title': 'T', 'categories': [['a', 'b']], 'imUrl': 'http://x'}",
    "amazon-2018": '{"asin": "B", "title": "T", "category": ["a"], "imageURL": ["http://x"]}',
    "amazon-2023": '{"parent_asin": "B", "images": [{"variant": "MAIN", "large": "http://x"}]}',
    "movielens-bars": "1|Toy Story (1995)|01-Jan-1995",
    "movielens-colons": "1::Toy Story (1995)::Animation|Comedy",
    "movielens-csv": 'movieId,title,genres\n1,"President, The",Comedy|Drama',
    "yelp": '{"business_id": "B", "name": "Bar", "categories": "Pubs, Food"}',
}
"""A good file of each reader of metadata."""


class Target(NamedTuple):
    """A reader, as a function of one file, and a good file for it."""

    read: Callable[[Path], object]
    good: bytes
    suffix: str = ""


class Everything:
    """A set of wanted items that holds every id."""

    def __contains__(self, item: object) -> bool:
        hash(item)  # as a set would
        return True


def _events(name: str, skip: bool) -> Callable[[Path], object]:
    roles = ("train", "test") if name == "booking" else ("reviews", "ratings", "check_ins", "plays")
    return lambda path: EVENTS[name](dict.fromkeys(roles, path), BadLines(skip))


def _items(name: str, skip: bool) -> Callable[[Path], object]:
    roles, fields = ("metadata", "items", "businesses"), ["title", "categories"]
    return lambda path: ITEMS[name](
        dict.fromkeys(roles, path), Everything(), fields, BadLines(skip)
    )


def _array(save: Callable[..., None], *values: np.ndarray, **named: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, *values, **named)
    return file.getvalue()


def _zipped(name: str, text: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"ml/{name}", text)
    return file.getvalue()


def targets() -> dict[str, Target]:
    """Return every reader, by a name of its own; raw ones strictly and leniently."""
    tiny = tiny_catalogue()
    values = np.ones((2, 3), dtype=np.float32)
    neighbours = {"idx": np.array([[1], [0]]), "cos": np.ones((2, 1))}
    inter = b"userID\titemID\trating\tx_label\n0\t0\t5\t0\n0\t1\t3\t2"
    found = {
        "mmrec": Target(mmrec.read_mmrec, inter, ".inter"),
        "mmrec gzip": Target(mmrec.read_mmrec, gzip.compress(inter), ".inter.gz"),
        "id map": Target(lambda path: read_id_map(path, "asin", "itemID"), b"asin\titemID\nB\t0"),
        "recbole": Target(
            recbole.read_recbole, b"user_id:token\titem_id:token\trating:float\nu\ti\t1", ".inter"
        ),
        "table": Target(
            lambda path: frames.read_table(path, timestamp="time"),
            b'user,item,time\nu,"i, 1",3\nv,j,4',
            ".csv",
        ),
        "items": Target(
            lambda path: with_items(tiny, path, image="image", text="text"),
            f'item_id,title,text,image\n{tiny.item_ids[0]},"A ""b""",c,'.encode(),
            ".csv",
        ),
        "features": Target(
            lambda path: features.read_features(path, 2), _array(np.save, values), ".npy"
        ),
        "features npz": Target(
            lambda path: features.read_features(path, 2), _array(np.savez, values=values), ".npz"
        ),
        "neighbours": Target(
            lambda path: features.read_neighbours(path, 2),
            _array(np.savez_compressed, **neighbours),
            ".npz",
        ),
        "card": Target(load_card, CARD.encode(), ".toml"),
        "raw zip": Target(
            _events("movielens-colons", False), _zipped("ratings.dat", RAW["movielens-colons"])
        ),
        "raw gzip": Target(_events("gowalla", False), gzip.compress(RAW["gowalla"].encode())),
    }
    for skip in (False, True):
        how = ", lenient" if skip else ""
        found |= {name + how: Target(_events(name, skip), RAW[name].encode()) for name in EVENTS}
        found |= {
            f"items of {name}{how}": Target(_items(name, skip), METADATA[name].encode())
            for name in ITEMS
        }
    return found


def read_anything(target: Target, data: bytes, folder: Path) -> bool:
    """Give ``data`` to a reader; returns whether it made sense of it. Other errors go through."""
    path = folder / f"file{target.suffix}"
    path.write_bytes(data)
    try:
        target.read(path)
    except InputError:
        return False
    return True


def _functions() -> Iterator[FunctionType]:
    """Give the functions and methods of the data room."""
    for name, module in list(sys.modules.items()):
        if name.startswith("urecjpq.data"):
            inside = [vars(module)]
            inside += [vars(value) for value in vars(module).values() if isinstance(value, type)]
            for value in (value for names in inside for value in names.values()):
                if isinstance(value, FunctionType) and value.__module__ == name:
                    yield value


def _main(arguments: Sequence[str]) -> None:
    import atheris  # pyright: ignore[reportMissingImports]

    known = list(targets().values())
    # Not instrument_all: torch and pandas have a hundred times as much code as we.
    for function in _functions():
        atheris.instrument_func(function)  # pyright: ignore[reportAttributeAccessIssue]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as corpus:

        def one_input(data: bytes) -> None:
            if data:
                read_anything(known[data[0] % len(known)], data[1:], Path(folder))

        for number, target in enumerate(known):
            (Path(corpus) / str(number)).write_bytes(bytes([number]) + target.good)
        atheris.Setup([*arguments, corpus], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    _main(sys.argv)
