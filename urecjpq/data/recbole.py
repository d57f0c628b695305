"""The dialect of RecBole: atomic files whose header is ``name:type``."""

from pathlib import Path

from urecjpq.data.build import build_interactions
from urecjpq.data.catalogue import Catalogue
from urecjpq.data.columns import Table
from urecjpq.data.delimited import read_delimited
from urecjpq.data.items import with_items
from urecjpq.errors import require

REQUIRED = ("user_id:token", "item_id:token")
OPTIONAL = ("rating:float", "timestamp:float")


def read_recbole(
    path: Path | str,
    items: Path | str | None = None,
    title: str | None = None,
    name: str | None = None,
) -> Catalogue:
    """Return the catalogue of a RecBole ``.inter`` file, without partitions.

    Rows are numbered by first appearance in the file. Items that only ``items`` knows are left out.

    Args:
        path: Tab-separated, plain or gzip, columns ``user_id:token item_id:token [rating:float]
            [timestamp:float]`` in any order.
        items: ``.item`` file with titles.
        title: Its column of titles, with or without type; None for the first of ``title``,
            ``movie_title`` and ``name`` that is there.
        name: Name of the catalogue; None for the file's name up to its first dot.

    Raises:
        InputError: The file breaks a rule; the message names file and line.
    """
    path = Path(path)
    table = read_delimited(path, "\t")
    _check_header(table)
    users, user_ids = table.column("user_id:token").ids()
    rows, item_ids = table.column("item_id:token").ids()
    rating, timestamp = (column if column in table.frame else None for column in OPTIONAL)
    interactions = build_interactions(table, users, rows, timestamp, rating)
    catalogue = Catalogue(name or path.name.split(".")[0], user_ids, item_ids, interactions)
    return catalogue if items is None else with_items(catalogue, items, title=title)


def _check_header(table: Table) -> None:
    names = list(table.frame.columns)
    unknown = [name for name in names if name not in REQUIRED + OPTIONAL]
    hint = "Use read_mmrec." if "userID" in names else "read_table reads the columns you name."
    require(
        not unknown,
        f"{table.source}:1 must have no columns but {', '.join(REQUIRED + OPTIONAL)}",
        ", ".join(unknown),
        hint,
    )
