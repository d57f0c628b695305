"""Data set cards: a TOML file that says where a data set comes from and how it is read."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from urecjpq.data.sections import (
    Category,
    Columns,
    DataFile,
    Expected,
    Files,
    Filter,
    Generator,
    Partition,
    Raw,
    Section,
    Sha256,
)
from urecjpq.errors import InputError, require

PACKAGE = Path(__file__).parents[1]
# Beside the package in a checkout, inside it in the wheel.
CARD_FOLDERS = (PACKAGE.parent / "datasets", PACKAGE / "cards" / "datasets")
PREPARED_FILES = {
    "interactions": "interactions.inter.gz",
    "user_map": "u_id_mapping.csv",
    "item_map": "i_id_mapping.csv",
    "items": "items.csv",
}
PREPARED_COLUMNS = {"item_id": "item_id", "title": "title", "text": "text", "image": "image"}


class Card(Section):
    """A data set card.

    Args:
        name: Name of the catalogue, and of the card's file.
        title: What people call the data set.
        reader: ``mmrec``, ``recbole``, ``table``; ``toy-shop`` for the generated shop; ``raw`` for
            files that `urecjpq.data.preparation` makes from those of ``[raw]``.
        files: Paths relative to the data folder.
        columns: Names of columns.
        features: Feature file by modality.
        present: Mask of the items that have content (see `read_features`), by modality.
        neighbours: Neighbour file by modality.
        filter: k-core.
        partition: Rule of the partition.
        expected: Counts to check.
        licence: What may be done with the data.
        citation: What to cite.
        source: Where the data come from.
        sha256: Sum by file, checked on load.
        generator: Arguments of the toy shop.
        raw: The publisher's files.
        categories: Parts of the data set by short name; a card with categories is loaded as
            ``<name>-<category>``.
        path: The card's own file.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    reader: Literal["mmrec", "recbole", "table", "toy-shop", "raw"]
    files: Files
    columns: Columns = Columns()
    features: dict[str, DataFile] = {}
    present: dict[str, DataFile] = {}
    neighbours: dict[str, DataFile] = {}
    filter: Filter = Filter()
    partition: Partition
    expected: Expected = Expected()
    licence: str
    citation: str
    source: str
    sha256: dict[str, Sha256] = {}
    generator: Generator | None = None
    raw: Raw | None = None
    categories: dict[str, Category] = {}
    path: Path

    @property
    def data_files(self) -> list[str]:
        """Every file the card reads, relative to the data folder."""
        named = [file for file in self.files.model_dump().values() if file is not None]
        groups = (self.features, self.present, self.neighbours)
        return named + [file for group in groups for file in group.values()]

    @model_validator(mode="before")
    @classmethod
    def _name_prepared_files(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("reader") != "raw":
            return given
        if named := {"files", "columns"} & given.keys():
            raise ValueError(f"the raw reader names its files itself; got {sorted(named)}")
        raw = given.get("raw")
        files = dict(PREPARED_FILES)
        if not isinstance(raw, dict) or raw.get("items") is None:
            files.pop("items")
        return given | {"files": files, "columns": PREPARED_COLUMNS}

    @model_validator(mode="after")
    def _agrees(self) -> "Card":
        if (self.raw is not None) != (self.reader == "raw"):
            raise ValueError("[raw] must be there for the raw reader, and only there")
        if self.categories and self.raw is None:
            raise ValueError("[categories] must come with [raw]")
        if self.raw is not None and self.partition.method == "given":
            raise ValueError("partition.method must not be given: raw files have no partitions")
        if (self.generator is not None) != (self.reader == "toy-shop"):
            raise ValueError("[generator] must be there for the toy-shop reader, and only there")
        if unread := set(self.sha256) - set(self.data_files):
            raise ValueError(f"[sha256] must name files that the card reads; got {sorted(unread)}")
        if unknown := set(self.present) - set(self.features):
            raise ValueError(f"[present] must name modalities of [features]; got {sorted(unknown)}")
        if self.reader in ("mmrec", "toy-shop", "raw"):
            return self
        if self.files.user_map or self.files.item_map:
            raise ValueError(f"files.user_map and item_map are not for the {self.reader} reader")
        return self


def load_card(name_or_path: str | Path) -> Card:
    """Return a card by the name of a known one, or by the path of a ``.toml`` file.

    Args:
        name_or_path: E.g. ``amazon-baby``, ``amazon-2014-toys`` (a category of ``amazon-2014``) or
            ``my/shop.toml``.

    Raises:
        InputError: No such card (the message lists those there are), or the card breaks a rule.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        require(path.is_file(), "dataset must be a card that exists", path)
        return _read_card(path)
    name, known = str(name_or_path), known_cards()
    # The longest name that fits: amazon-2014-full-baby is a category of amazon-2014-full.
    for card in sorted(known, key=len, reverse=True):
        if name == card:
            return _read_card(known[card])
        if name.startswith(f"{card}-") and (whole := _read_card(known[card])).categories:
            return of_category(whole, name.removeprefix(f"{card}-"))
    raise InputError(
        f"dataset must be one of {', '.join(known)}, or the path of a .toml card; got {name!r}."
    )


def of_category(card: Card, category: str) -> Card:
    """Return the card of one category of a card that has some.

    Raises:
        InputError: No such category; the message lists those there are.
    """
    names = ", ".join(card.categories)
    require(
        category in card.categories, f"category of {card.name} must be one of {names}", category
    )
    part = card.categories[category]
    changes: dict[str, Any] = {
        "name": f"{card.name}-{category}",
        "title": f"{card.title}, {part.name}",
        "expected": Expected(users=part.users, items=part.items, interactions=part.interactions),
        "categories": {},
    }
    if card.raw is not None:
        files = {
            role: file.model_copy(update={"url": file.url.replace("{category}", part.name)})
            for role, file in card.raw.files.items()
        }
        changes["raw"] = card.raw.model_copy(update={"files": files})
    return card.model_copy(update=changes)


def list_cards() -> list[Card]:
    """Return the cards that come with the package, by name."""
    return [_read_card(path) for path in known_cards().values()]


def known_cards() -> dict[str, Path]:
    """Return the path of each card that comes with the package, by name."""
    paths = next((found for folder in CARD_FOLDERS if (found := sorted(folder.glob("*.toml")))), [])
    return {path.stem: path for path in paths}


def _read_card(path: Path) -> Card:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} must be TOML; got {error}.") from None
    require("path" not in content, f"{path} must not have the key path", content.get("path"))
    try:
        return Card(**content, path=path)
    except ValidationError as error:
        raise InputError(f"{path} must be a data set card; got {_wrong(error)}.") from None


def _wrong(error: ValidationError) -> str:
    found = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
    return "; ".join(f"{where}: {message}" if where else message for where, message in found)
