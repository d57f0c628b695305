"""Fetched pictures of a data set's items: from addresses in a table to images of a catalogue."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from urecjpq.data.catalogue import Catalogue
from urecjpq.data.delimited import read_delimited
from urecjpq.data.fetching import Politeness, count_reasons, fetch_pictures
from urecjpq.data.frames import separator_of
from urecjpq.errors import require
from urecjpq.files import written_whole

FOLDER, TABLE = "pictures", "pictures.csv"
ADDRESS = "picture_url"


def fetch_item_pictures(
    items: Path, item_id: str = "item_id", politeness: Politeness | None = None
) -> dict[str, int]:
    """Fetch the pictures that a table of items names, and note which item has which.

    They go to the folder ``pictures`` beside the table; `load_catalogue` then finds them. Called
    again, it goes on: with what was not tried, and with what may have been a bad moment.

    Args:
        items: Comma- or tab-separated, with a column ``picture_url``; empty where there is none.
        item_id: Column of raw ids.
        politeness: Limits.

    Returns:
        Number of items with a picture (``fetched``), without an address (``no address``), and
        without a picture, by reason.

    Raises:
        InputError: There is no such table or column, or the pictures cannot be reached at all.
    """
    require(items.is_file(), "table of items must be there", f"no {items}", "Prepare the data.")
    table = read_delimited(items, separator_of(items))
    ids, urls = table.column(item_id).values, table.column(ADDRESS).values
    folder = items.parent / FOLDER
    found = fetch_pictures(urls, folder, politeness)
    pictures = [found.get(url) for url in urls]
    images = ["" if picture is None else picture.file or "" for picture in pictures]
    reasons = ["no address" if picture is None else picture.reason for picture in pictures]
    frame = pd.DataFrame({"item_id": ids, "image": images, "reason": reasons})
    with written_whole(folder / TABLE) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
    counts = {"fetched": sum(map(bool, images)), "no address": reasons.count("no address")}
    return counts | count_reasons(picture for picture in pictures if picture is not None)


def with_fetched_pictures(catalogue: Catalogue, folder: Path) -> Catalogue:
    """Return the catalogue with the pictures that were fetched into its data folder, if any were.

    A picture that the table of items itself names stays.

    Args:
        catalogue: Where the items come from.
        folder: The data set's.
    """
    path = folder / FOLDER / TABLE
    if not path.is_file():
        return catalogue
    table = read_delimited(path, ",")
    files = dict(zip(table.column("item_id").values, table.column("image").values, strict=True))
    given = catalogue.images or [None] * catalogue.num_items
    fetched = [files.get(item, "") for item in catalogue.item_ids]
    images = [
        image or (path.parent / file if file else None)
        for image, file in zip(given, fetched, strict=True)
    ]
    return replace(catalogue, images=images)
