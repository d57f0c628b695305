"""From a card and a folder of files to a checked catalogue."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from urecjpq.data.cache import cache_folder
from urecjpq.data.cards import CARD_FOLDERS, Card, load_card
from urecjpq.data.catalogue import Catalogue
from urecjpq.data.features import read_features, read_neighbours
from urecjpq.data.filters import drop_untrained_users, filter_k_core
from urecjpq.data.frames import read_table
from urecjpq.data.item_pictures import with_fetched_pictures
from urecjpq.data.items import with_items
from urecjpq.data.mmrec import read_mmrec
from urecjpq.data.partitions import (
    partition_by_time,
    partition_leave_one_out,
    partition_random_per_user,
    require_trainable,
)
from urecjpq.data.prepared import prepared_folder, require_prepared
from urecjpq.data.recbole import read_recbole
from urecjpq.data.sections import Generator
from urecjpq.errors import InputError, require


def load_catalogue(name_or_path: str | Path, data: Path | str | None = None) -> Catalogue:
    """Return the catalogue of a card: read, filtered, partitioned, and counted.

    Args:
        name_or_path: A card, as for `load_card`.
        data: Folder with the card's files. None for the folder of a card given by path, for
            ``<cache>/datasets/<name>`` of a known card or one with raw files, and for a generated
            data set a folder in the cache, filled on first use.

    Raises:
        InputError: A file is missing, has another sha256 or breaks a rule of its reader, the
            partitions are not trainable, or the counts are not those the card expects.
    """
    card = load_card(name_or_path)
    require_category(card)
    folder = data_folder(card, None if data is None else Path(data))
    _check_files(card, folder)
    catalogue = replace(READERS[card.reader](card, folder), name=card.name)
    if card.files.items is not None:
        columns = card.columns
        items = folder / card.files.items
        named = columns.item_id, columns.title, columns.image, columns.text
        catalogue = with_fetched_pictures(with_items(catalogue, items, *named), items.parent)
    catalogue = _with_features(catalogue, card, folder)
    catalogue = filter_k_core(catalogue, card.filter.k_users, card.filter.k_items)
    catalogue = _partition(catalogue, card)
    check_counts(catalogue, card)
    return catalogue


def require_category(card: Card) -> None:
    """Refuse a card that stands for many data sets."""
    hint = f"Name one of {', '.join(f'{card.name}-{part}' for part in card.categories)}."
    require(not card.categories, f"{card.name} must be used by category", "none", hint)


def _read_mmrec(card: Card, folder: Path) -> Catalogue:
    files = card.files
    user_map, item_map = (file and folder / file for file in (files.user_map, files.item_map))
    repeats = card.raw is not None and card.raw.repeats == "keep"
    return read_mmrec(folder / files.interactions, user_map, item_map, repeats=repeats)


def _read_recbole(card: Card, folder: Path) -> Catalogue:
    return read_recbole(folder / card.files.interactions)


def _read_table(card: Card, folder: Path) -> Catalogue:
    c = card.columns
    path = folder / card.files.interactions
    return read_table(path, c.user, c.item, c.timestamp, c.rating, c.partition)


READERS: dict[str, Callable[[Card, Path], Catalogue]] = {
    "mmrec": _read_mmrec,
    "recbole": _read_recbole,
    "table": _read_table,
    "toy-shop": _read_mmrec,
    "raw": _read_mmrec,
}


def data_folder(card: Card, data: Path | None) -> Path:
    if card.generator is not None:
        return _generated(card.name, card.generator, data)
    if data is not None:
        return data
    shipped = card.path.parent in CARD_FOLDERS
    return prepared_folder(card.name) if shipped or card.raw is not None else card.path.parent


def _generated(name: str, generator: Generator, data: Path | None) -> Path:
    """Return the folder of a generated data set, made on first use: whole, or not at all."""
    from urecjpq.data import toy_shop

    if data is None:
        # The generator's code is part of the key, or a changed one would meet old files.
        code = sorted(Path(toy_shop.__file__).parent.glob("toy_shop*.py"))
        key = [generator.model_dump_json().encode(), *(file.read_bytes() for file in code)]
        digest = hashlib.sha256(b"\0".join(key)).hexdigest()
        data = cache_folder() / "generated" / f"{name}-{digest[:16]}"
    if data.exists():
        return data
    data.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{data.name}-", dir=data.parent))
    try:
        toy_shop.generate_toy_shop(unfinished, **generator.model_dump())
        unfinished.rename(data)
    except OSError:
        # Another process was faster: its folder is as good as ours.
        if not data.exists():
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return data


def _check_files(card: Card, folder: Path) -> None:
    if card.raw is not None:
        require_prepared(card, folder)
    for file in card.data_files:
        path = folder / file
        require(
            path.is_file(),
            f"the data set {card.name} must have its files in one folder",
            f"no {path}",
            f"Get them from {card.source} and name the folder: --data FOLDER.",
        )
        if file in card.sha256:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            require(
                found == card.sha256[file],
                f"{path} must have the sha256 {card.sha256[file]} of {card.path.name}",
                found,
                "Get the file again, or correct the card if it is meant to differ.",
            )


def _with_features(catalogue: Catalogue, card: Card, folder: Path) -> Catalogue:
    masks = {modality: folder / file for modality, file in card.present.items()}
    items = catalogue.num_items
    return replace(
        catalogue,
        features={
            modality: read_features(folder / file, items, modality, masks.get(modality))
            for modality, file in card.features.items()
        },
        neighbours={
            modality: read_neighbours(folder / file, items, modality)
            for modality, file in card.neighbours.items()
        },
    )


def _partition(catalogue: Catalogue, card: Card) -> Catalogue:
    rule = card.partition
    if rule.method == "leave_one_out":
        return partition_leave_one_out(catalogue, rule.validation_users, rule.seed)
    if rule.method == "random_per_user":
        return partition_random_per_user(catalogue, rule.valid, rule.test, rule.seed)
    if rule.method == "by_time":
        return partition_by_time(catalogue, rule.valid, rule.test, rule.drop_untrained)
    require(
        catalogue.interactions.partitions is not None,
        f"{card.path} must name a partition method other than given",
        "interactions without partitions",
    )
    given = drop_untrained_users(catalogue) if rule.drop_untrained else catalogue
    require_trainable(given)
    return given


def check_counts(catalogue: Catalogue, card: Card) -> None:
    """Refuse a catalogue with other counts than its card expects; those it has not are left out."""
    found = catalogue.counts()
    expected = card.expected.model_dump(exclude_none=True)
    wrong = [
        f"{found[name]} {name} instead of {number}"
        for name, number in expected.items()
        if name in found and found[name] != number
    ]
    if wrong:
        raise InputError(
            f"{card.name} must have the counts that {card.path} expects; got {', '.join(wrong)}. "
            "Compare the files with the card's source, or correct [expected]."
        )
