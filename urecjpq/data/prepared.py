"""Folders that `prepare` fills: what lies in them, and whether it is what a card asks for now."""

from pathlib import Path

from urecjpq.data.cache import cache_folder
from urecjpq.data.cards import CARD_FOLDERS, Card
from urecjpq.errors import InputError, require
from urecjpq.files import read_json, sha256_of

MANIFEST = "prepared.json"
BAD_LINES = "bad-lines.txt"


def prepared_folder(name: str) -> Path:
    """Return where the catalogue of a card is made and looked for by default."""
    return cache_folder() / "datasets" / name


def settings_of(card: Card) -> dict:
    """Return what of a card decides what `prepare` writes; partitions are drawn on loading."""
    return card.model_dump(mode="json", include={"name", "raw", "filter", "files", "columns"})


def is_prepared(card: Card, folder: Path) -> bool:
    """Return whether a folder holds what this card prepares: same settings, unchanged files."""
    try:
        manifest = read_json(folder / MANIFEST)
        files = dict(manifest["files"])
        unchanged = all(sha256_of(folder / name) == digest for name, digest in files.items())
    except (InputError, KeyError, TypeError, ValueError, OSError):
        return False
    return unchanged and manifest.get("card") == settings_of(card)


def require_prepared(card: Card, folder: Path) -> None:
    """Refuse a folder that is not finished, or that another state of the card has made."""
    hint = f"Make it: {prepare_command(card)}, or name its folder: --data FOLDER."
    path = folder / MANIFEST
    require(path.is_file(), f"the data set {card.name} must be prepared", f"no {path}", hint)
    manifest = read_json(path)
    same = isinstance(manifest, dict) and manifest.get("card") == settings_of(card)
    rule = f"{folder} must be prepared by {card.path.name} as it is now"
    require(same, rule, "another state of the card", f"Make it again: {prepare_command(card)}.")


def prepare_command(card: Card) -> str:
    """Return the command that prepares a card."""
    shipped = card.path.parent in CARD_FOLDERS
    return f"urecjpq prepare {card.name if shipped else card.path}"
