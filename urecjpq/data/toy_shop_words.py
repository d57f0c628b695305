"""Titles of the generated shop: words that go with what a toy is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from urecjpq.data.toy_shop_items import Items

# Category: names of the thing, then what is said of it.
_CATEGORY_WORDS = {
    "ball": (("Beach Ball", "Bouncy Ball"), ("for garden games", "soft grip", "easy to inflate")),
    "kite": (("Diamond Kite", "Stunt Kite"), ("for windy days", "with long tail", "flies high")),
    "teddy": (("Teddy Bear", "Plush Bear"), ("extra cuddly", "soft fur", "with bean paws")),
    "car": (("Racing Car", "Toy Car"), ("with rubber tyres", "pull-back motor", "fast wheels")),
    "rocket": (("Space Rocket", "Moon Rocket"), ("ready for launch", "with astronaut", "to orbit")),
    "robot": (("Walking Robot", "Robot"), ("wind-up", "with bright eyes", "beeps and turns")),
    "blocks": (
        ("Building Blocks", "Stacking Blocks"),
        ("set of 30", "solid beech", "rounded edges"),
    ),
    "drum": (
        ("Tin Drum", "Marching Drum"),
        ("with two sticks", "real skin sound", "shoulder strap"),
    ),
    "boat": (("Sailing Boat", "Pond Boat"), ("floats upright", "with cotton sail", "for the bath")),
    "top": (("Spinning Top", "Humming Top"), ("spins for minutes", "with plunger", "sings softly")),
    "castle": (
        ("Knight's Castle", "Play Castle"),
        ("with drawbridge", "four towers", "royal guard"),
    ),
    "balloon": (
        ("Giant Balloon", "Party Balloon"),
        ("with ribbon", "holds helium", "for birthdays"),
    ),
    "duck": (("Rubber Duck", "Bath Duck"), ("squeaks", "splash proof", "keeps afloat")),
    "plane": (("Glider Plane", "Propeller Plane"), ("with pilot", "loops the loop", "light wings")),
    "xylophone": (("Xylophone", "Metallophone"), ("six notes", "with mallets", "tuned in C")),
    "puzzle": (("Jigsaw Puzzle", "Floor Puzzle"), ("48 pieces", "sturdy card", "with poster")),
}
_COLOUR_WORDS = {
    "red": ("Red", "Cherry Red", "Scarlet"),
    "orange": ("Orange", "Tangerine", "Apricot Orange"),
    "yellow": ("Yellow", "Lemon Yellow", "Sunny"),
    "green": ("Green", "Leaf Green", "Meadow"),
    "teal": ("Teal", "Turquoise", "Lagoon Teal"),
    "blue": ("Blue", "Royal Blue", "Sapphire"),
    "purple": ("Purple", "Violet", "Plum Purple"),
    "pink": ("Pink", "Rose Pink", "Candy Pink"),
}
_PATTERN_WORDS = {
    "plain": ("", "Plain"),
    "striped": ("Striped", "Stripy"),
    "dotted": ("Dotted", "Polka-Dot"),
    "checked": ("Checked", "Chequered"),
}
# Names say nothing of the toy: the noise that every real title has.
_MAKERS = ("Pip & Pine", "Larkspur", "Old Mill", "Tumbledown", "Little Fern", "Bramble", "Hobnob")

CATEGORIES = tuple(_CATEGORY_WORDS)
COLOURS = tuple(_COLOUR_WORDS)
PATTERNS = tuple(_PATTERN_WORDS)


def write_titles(items: "Items", rng: np.random.Generator) -> np.ndarray:
    """Return titles such as ``Larkspur Lemon Yellow Dotted Rubber Duck, squeaks``.

    Every title names category, colour and pattern, each in one of several wordings.

    Args:
        items: What the toys are, ``num_items`` of them.
        rng: Draws wordings and makers.

    Returns:
        Titles as str, shape ``(num_items,)``, dtype object.
    """
    things = [names for names, _ in _CATEGORY_WORDS.values()]
    remarks = [said for _, said in _CATEGORY_WORDS.values()]
    columns = (
        _pick([_MAKERS], np.zeros_like(items.category), rng),
        _pick(list(_COLOUR_WORDS.values()), items.colour, rng),
        _pick(list(_PATTERN_WORDS.values()), items.pattern, rng),
        _pick(things, items.category, rng),
    )
    heads = (" ".join(filter(None, words)) for words in zip(*columns, strict=True))
    tails = _pick(remarks, items.category, rng)
    titles = [f"{head}, {tail}" for head, tail in zip(heads, tails, strict=True)]
    return np.array(titles, dtype=object)


def _pick(
    wordings: Sequence[tuple[str, ...]], trait: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    table = np.array(wordings, dtype=object)
    return table[trait, rng.integers(table.shape[1], size=len(trait))]
