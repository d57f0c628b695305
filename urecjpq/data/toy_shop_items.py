"""What the toys of the generated shop are: four traits and a popularity each."""

from typing import NamedTuple

import numpy as np

from urecjpq.data.toy_shop_words import CATEGORIES, COLOURS, PATTERNS

NUM_CROWDS = 6
# Popularity falls as 1 / (rank + HEAD) ** FALL, the law of Zipf with a rounded head (Mandelbrot).
HEAD, FALL = 10, 0.8


class Items(NamedTuple):
    """Traits of every item, each an int array of shape ``(num_items,)``, and its popularity.

    Args:
        category: Position in `CATEGORIES`.
        colour: Position in `COLOURS`.
        pattern: Position in `PATTERNS`.
        crowd: Hidden trait in ``[0, NUM_CROWDS)``: in no title and no picture.
        popularity: Share of all visits if tastes are off, float32, sums to 1.
    """

    category: np.ndarray
    colour: np.ndarray
    pattern: np.ndarray
    crowd: np.ndarray
    popularity: np.ndarray


def draw_items(num_items: int, rng: np.random.Generator) -> Items:
    """Return items whose traits are independent of each other and of popularity."""
    # Categories differ in size by one at most; a plain draw could leave one out of a tiny shop.
    category = rng.permutation(np.arange(num_items) % len(CATEGORIES))
    colour, pattern, crowd = (
        rng.integers(kinds, size=num_items) for kinds in (len(COLOURS), len(PATTERNS), NUM_CROWDS)
    )
    popularity = (rng.permutation(num_items) + 1.0 + HEAD) ** -FALL
    popularity /= popularity.sum()
    return Items(category, colour, pattern, crowd, popularity.astype(np.float32))
