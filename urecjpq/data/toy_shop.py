"""A generated shop whose answer is known: with tastes a model can learn them, without it cannot."""

from pathlib import Path

import numpy as np
import pandas as pd

from urecjpq.data.toy_shop_items import Items, draw_items
from urecjpq.data.toy_shop_pictures import write_pictures
from urecjpq.data.toy_shop_visits import MIN_HISTORY, draw_visits
from urecjpq.data.toy_shop_words import CATEGORIES, write_titles
from urecjpq.errors import require

# One stream of random numbers per part, so that a change of tastes leaves goods and pictures alone.
STREAMS = {"items": 0, "titles": 1, "pictures": 2, "visits": 3}
WITHOUT_PICTURE = 0.02


def generate_toy_shop(
    folder: Path,
    *,
    num_users: int = 2000,
    num_items: int = 1000,
    num_interactions: int = 30000,
    taste_strength: float = 1.0,
    seed: int = 0,
) -> None:
    """Write a shop that sells toys: interactions, id maps, titles and product pictures.

    A toy has a category, a colour, a pattern (all three in its title and its picture) and a crowd
    that only behaviour shows; a user favours two of each. Known answer, test Recall@20 of the
    default shop: popularity 0.10, a truncated SVD of 32 factors 0.31 (three times as much), someone
    who knows every taste 0.65. With tastes off: popularity 0.16, the SVD 0.07.

    Files: ``toy-shop.inter``, ``u_id_mapping.csv``, ``i_id_mapping.csv`` (tab-separated, as MMRec
    has them), ``items.csv`` and ``images/*.png``. The newest tenth of each history, at least one
    pair, is test; as much before it is valid. Two toys in a hundred have no picture.

    Args:
        folder: Where the files go; made if missing, files of the same name are overwritten.
        num_users: At least 1; every user has five interactions or more.
        num_items: At least 10; every item is in train if there are enough interactions.
        num_interactions: In ``[5 · num_users, num_users · (num_items // 2)]``, met exactly.
        taste_strength: In ``[0, 5]``; 0 leaves only popularity, and no model can beat it.
        seed: Same seed, same bytes, on any number of threads.

    Raises:
        InputError: An argument is out of its range.
    """
    _require_sizes(num_users, num_items, num_interactions, taste_strength)
    rng = {name: np.random.default_rng([seed, key]) for name, key in STREAMS.items()}
    items = draw_items(num_items, rng["items"])
    pictured = np.ones(num_items, dtype=bool)
    without = rng["pictures"].choice(num_items, round(WITHOUT_PICTURE * num_items), replace=False)
    pictured[without] = False
    names = raw_ids("P", num_items)
    folder.mkdir(parents=True, exist_ok=True)
    _write_items(folder, items, names, pictured, rng["titles"])
    write_pictures(folder / "images", items, names, pictured, rng["pictures"])
    _write_id_map(folder / "u_id_mapping.csv", ("user_id", "userID"), raw_ids("U", num_users))
    _write_id_map(folder / "i_id_mapping.csv", ("asin", "itemID"), names)
    visits = draw_visits(items, num_users, num_interactions, taste_strength, rng["visits"])
    # Last of all: where this file is, the shop is complete.
    _write_table(folder / "toy-shop.inter", pd.DataFrame(visits._asdict()), separator="\t")


def raw_ids(letter: str, count: int) -> np.ndarray:
    """Return ids such as ``P0123``: rows in at least four digits, shape ``(count,)``."""
    width = max(4, len(str(count - 1)))
    return np.array([f"{letter}{row:0{width}d}" for row in range(count)], dtype=object)


def _require_sizes(
    num_users: int, num_items: int, num_interactions: int, taste_strength: float
) -> None:
    require(num_users >= 1, "num_users must be at least 1", num_users)
    require(num_items >= 2 * MIN_HISTORY, "num_items must be at least 10", num_items)
    fewest, most = MIN_HISTORY * num_users, num_users * (num_items // 2)
    require(
        fewest <= num_interactions <= most,
        f"num_interactions must lie in [{fewest}, {most}] for {num_users} users and "
        f"{num_items} items",
        num_interactions,
        "Every user has at least five interactions and touches at most half of the items.",
    )
    require(0 <= taste_strength <= 5, "taste_strength must lie in [0, 5]", taste_strength)


def _write_items(
    folder: Path, items: Items, names: np.ndarray, pictured: np.ndarray, rng: np.random.Generator
) -> None:
    columns = {
        "item_id": names,
        "title": write_titles(items, rng),
        "category": np.array(CATEGORIES)[items.category],
        "image": np.where(pictured, "images/" + names + ".png", ""),
    }
    _write_table(folder / "items.csv", pd.DataFrame(columns), separator=",")


def _write_id_map(path: Path, header: tuple[str, str], names: np.ndarray) -> None:
    columns = {header[0]: names, header[1]: np.arange(len(names))}
    _write_table(path, pd.DataFrame(columns), separator="\t")


def _write_table(path: Path, table: pd.DataFrame, separator: str) -> None:
    table.to_csv(path, sep=separator, index=False, lineterminator="\n", encoding="utf-8")
