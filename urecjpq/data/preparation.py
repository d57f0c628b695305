"""From a publisher's raw files to the folder that `load_catalogue` reads."""

import csv
from collections.abc import Mapping
from pathlib import Path

import filelock
import numpy as np
import pandas as pd

from urecjpq.data.cards import Card, load_card
from urecjpq.data.catalogue import Catalogue, Interactions
from urecjpq.data.download import check_download, download
from urecjpq.data.filters import filter_k_core
from urecjpq.data.loading import check_counts, load_catalogue, require_category
from urecjpq.data.mmrec import write_mmrec
from urecjpq.data.prepared import BAD_LINES, MANIFEST, is_prepared, prepared_folder, settings_of
from urecjpq.data.raw import EVENTS, ITEMS, BadLines, Events, ItemContent
from urecjpq.data.sections import Raw
from urecjpq.errors import InputError, require
from urecjpq.files import sha256_of, write_json, written_whole

ITEM_COLUMNS = ("item_id", "title", "text", "image", "picture_url")


def prepare(
    name_or_path: str | Path,
    out: Path | None = None,
    given: Path | None = None,
    skip_bad: bool = False,
) -> Catalogue:
    """Make a catalogue from a publisher's raw files, and return it.

    Files are fetched into ``<out>/raw``, or taken from ``given``; read in one pass each; filtered
    by the card's k-core; counted; and written as MMRec's ``.inter`` with id maps and a table of
    items. The manifest is written last: a folder without it is begun again, fetched files stay. A
    second process waits for the first.

    Args:
        name_or_path: A card with ``[raw]``, e.g. ``amazon-2014-baby`` or ``my/shop.toml``.
        out: Folder to fill; None for ``<cache>/datasets/<name>``, where `load_catalogue` looks.
        given: Folder with files fetched by hand, under their names in the card's addresses.
        skip_bad: Leave malformed lines out; they are counted and listed in ``bad-lines.txt``.

    Raises:
        InputError: The card has no raw files, a file cannot be had or is damaged, a line is
            malformed, or the counts are not the card's.
    """
    card = load_card(name_or_path)
    if card.raw is None:
        raise InputError(
            f"{card.name} must be a card with raw files, [raw]; got none. "
            "Other cards need no preparation: load or train on them."
        )
    require_category(card)
    out = out or prepared_folder(card.name)
    out.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(out / ".lock"):
        if not is_prepared(card, out):
            _prepare(card, card.raw, out, given, skip_bad)
    return load_catalogue(name_or_path, out)


def _prepare(card: Card, raw: Raw, out: Path, given: Path | None, skip_bad: bool) -> None:
    (out / MANIFEST).unlink(missing_ok=True)
    files = {role: _file(raw, role, out / "raw", given) for role in raw.files}
    bad = BadLines(skip_bad, out / BAD_LINES)
    (out / BAD_LINES).unlink(missing_ok=True)
    of_events = {role: path for role, path in files.items() if role not in raw.item_roles}
    catalogue = to_catalogue(EVENTS[raw.events](of_events, bad), card.name, raw.repeats)
    catalogue = filter_k_core(catalogue, card.filter.k_users, card.filter.k_items)
    check_counts(catalogue, card)
    write_mmrec(catalogue, out / card.files.interactions)
    written = [card.files.interactions, card.files.user_map, card.files.item_map]
    content = _content(raw, files, catalogue, bad)
    if content is not None and card.files.items is not None:
        write_items(out / card.files.items, catalogue, content)
        written.append(card.files.items)
    write_json(
        out / MANIFEST,
        {
            "card": settings_of(card),
            "counts": catalogue.counts() | _described(catalogue, content),
            "bad_lines": bad.count,
            "raw": {role: sha256_of(path) for role, path in files.items()},
            "files": {name: sha256_of(out / name) for name in written if name is not None},
        },
    )


def _file(raw: Raw, role: str, folder: Path, given: Path | None) -> Path:
    file = raw.files[role]
    name = file.url.rsplit("/", 1)[-1]
    if given is None:
        return download(file.url, folder / name, file.num_bytes, file.sha256)
    found = given / name
    hint = f"Fetch {file.url}, or leave out --from."
    require(found.is_file(), f"the folder must hold {name}", f"{given} without it", hint)
    check_download(found, name, file.num_bytes, file.sha256)
    return found


def to_catalogue(events: Events, name: str, repeats: str) -> Catalogue:
    """Return events as a catalogue.

    Args:
        events: In the order of the source, which breaks ties of time.
        name: Of the catalogue.
        repeats: ``keep`` all interactions of a pair, or the ``first`` in time.
    """
    parts = Interactions(
        events.users, events.items, timestamps=events.timestamps, ratings=events.ratings
    )
    if repeats == "first":
        pairs = events.users.astype(np.int64) << 32 | events.items
        order = np.arange(len(pairs))
        if events.timestamps is not None:
            order = np.argsort(events.timestamps, kind="stable")
        _, first = np.unique(pairs[order], return_index=True)
        parts = parts.select(np.sort(order[first]))
    return Catalogue(name, events.user_ids, events.item_ids, parts)


def _content(
    raw: Raw, files: Mapping[str, Path], catalogue: Catalogue, bad: BadLines
) -> ItemContent | None:
    if raw.items is None:
        return None
    return ITEMS[raw.items](dict(files), frozenset(catalogue.item_ids), raw.text, bad)


def write_items(path: Path, catalogue: Catalogue, content: ItemContent) -> None:
    """Write the table of items: id, title, text, path of the picture (none yet), its address."""
    ids = list(catalogue.item_ids)
    columns = [
        ids,
        [content.titles.get(item, "") for item in ids],
        [content.texts.get(item, "") for item in ids],
        [""] * len(ids),
        [content.pictures.get(item, "") for item in ids],
    ]
    frame = pd.DataFrame(dict(zip(ITEM_COLUMNS, columns, strict=True)))
    with written_whole(path) as temporary:
        frame.to_csv(temporary, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")


def _described(catalogue: Catalogue, content: ItemContent | None) -> dict[str, int]:
    if content is None:
        return {}
    ids = catalogue.item_ids
    groups = {"titles": content.titles, "texts": content.texts, "pictures": content.pictures}
    return {
        f"items_with_{name}": sum(bool(known.get(item)) for item in ids)
        for name, known in groups.items()
    }
