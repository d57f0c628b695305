"""Titles and texts of items, cleaned."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

TAG = re.compile(
    r"<(?:script|style)\b.*?</(?:script|style)\s*>|<!--.*?-->|</?[a-zA-Z][^<>]*>", re.S | re.I
)
SPACE = re.compile(r"[\s\x00-\x1f\x7f\ufffd]+")
MAX_TEXT = 10_000
"""Characters of an item's text that are kept; encoders read a few hundred words."""


@dataclass
class ItemContent:
    """What the publisher says of each item, by raw id.

    Args:
        titles: One line, cleaned; ``""`` where there is none.
        texts: The fields that the card chose, cleaned and joined.
        pictures: Address of a picture.
    """

    titles: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)

    def add(self, item: str, title: object, fields: Iterable[object], picture: object = "") -> None:
        """Add one item; the first line about an item counts."""
        if item in self.titles:
            return
        self.titles[item] = clean(title)
        parts = (clean(part) for part in fields)
        self.texts[item] = " ".join(part for part in parts if part)[:MAX_TEXT]
        if isinstance(picture, str) and picture.startswith(("http://", "https://")):
            self.pictures[item] = picture


def clean(value: object) -> str:
    """Return text without entities, tags and runs of white space; lists are joined.

    Entities are decoded twice, since shops store ``&amp;quot;``; the language is left as it is.
    """
    if value is None:
        return ""
    if isinstance(value, dict):
        return clean(list(value.values()))
    if isinstance(value, list | tuple):
        return " ".join(part for part in map(clean, value) if part)
    text = str(value)[: 4 * MAX_TEXT]
    if "&" in text:
        text = html.unescape(html.unescape(text))
    if "<" in text:
        text = TAG.sub(" ", text)
    # Lone surrogates from broken \u escapes could not be written as UTF-8.
    text = text.encode("utf-8", "ignore").decode()
    return SPACE.sub(" ", text).strip()
