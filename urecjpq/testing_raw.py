"""A generated Amazon-2014 category in the publisher's raw format: for tests and trials.

Items belong to themes, a title is made of its theme's words, and users mostly buy in one or two
themes: texts say something of who buys what.
"""

import gzip
import json
from pathlib import Path

import numpy as np

THEMES = 40
WORDS_PER_THEME, TITLE_WORDS = 30, 6
FIRST_SECOND = 1_300_000_000


def write_amazon_2014(
    folder: Path, category: str, num_users: int, num_items: int, num_reviews: int, seed: int = 0
) -> None:
    """Write ``reviews_<category>_5.json.gz`` and ``meta_<category>.json.gz``.

    Args:
        folder: Where they go.
        category: The publisher's name, e.g. ``Toys_and_Games``.
        num_users: Users; each reviews at least five different items.
        num_items: Items; those that end with fewer than five reviews fall to the 5-core.
        num_reviews: Lines of reviews, at least ``5 · num_users``.
        seed: Of numpy's default generator.
    """
    rng = np.random.default_rng(seed)
    users, items = _pairs(num_users, num_items, num_reviews, rng)
    times = FIRST_SECOND + rng.permutation(len(users))
    with gzip.open(folder / f"reviews_{category}_5.json.gz", "wt", compresslevel=1) as file:
        for user, item, time, stars in zip(
            users, items, times, rng.integers(1, 6, len(users)), strict=True
        ):
            record = {
                "reviewerID": f"A{user:013}",
                "asin": f"B{item:09}",
                "reviewText": "Just what it says.",
                "overall": float(stars),
                "unixReviewTime": int(time),
            }
            file.write(json.dumps(record) + "\n")
    with gzip.open(folder / f"meta_{category}.json.gz", "wt", compresslevel=1) as file:
        for item in range(num_items):
            file.write(repr(_metadata(item, category, rng)) + "\n")


def _pairs(
    num_users: int, num_items: int, num_reviews: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct pairs: nine of ten from the theme of the user, which is ``user % THEMES``."""
    extra = rng.integers(0, num_users, max(0, num_reviews - 5 * num_users))
    users = np.concatenate([np.repeat(np.arange(num_users), 5), extra])
    in_theme = num_items // THEMES
    # Squared draws: a few items of each theme are popular.
    place = (rng.random(len(users)) ** 2 * in_theme).astype(int)
    theme = np.where(
        rng.random(len(users)) < 0.9, users % THEMES, rng.integers(0, THEMES, len(users))
    )
    pairs = np.unique(users * num_items + place * THEMES + theme)
    return np.divmod(rng.permutation(pairs), num_items)


def _metadata(item: int, category: str, rng: np.random.Generator) -> dict[str, object]:
    words = rng.integers(0, WORDS_PER_THEME, TITLE_WORDS)
    theme = item % THEMES
    return {
        "asin": f"B{item:09}",
        "title": " ".join(f"t{theme}w{word}" for word in words) + " &amp; more",
        "brand": f"brand{item % 97}",
        "categories": [[category, f"theme{theme}"]],
        "imUrl": f"http://images.example/{item}.jpg",
    }
