"""What the commands of encoders do, apart from their options."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from urecjpq.data import load_card, load_catalogue
from urecjpq.data.item_pictures import fetch_item_pictures
from urecjpq.data.loading import data_folder
from urecjpq.encoding import (
    Encoded,
    Work,
    encode_catalogue,
    encode_items,
    list_encoders,
    load_encoder,
)
from urecjpq.encoding.store import MANIFEST, MISSING, PRESENT, VALUES
from urecjpq.errors import require
from urecjpq.neighbour_page import write_neighbour_page
from urecjpq.runs import load_run


def encode_card(
    card: str,
    encoder: str,
    data: Path | None,
    weights: str | None,
    out: Path | None,
    work: Work,
) -> dict[str, str]:
    """Encode a data set's items with one encoder; returns what to tell of it.

    With ``out``, the features are copied there, under names that a card can refer to.
    """
    chosen = load_encoder(encoder, weights)
    catalogue = load_catalogue(card, data)
    encoded = encode_items(catalogue, chosen, work)
    told = _told(encoded)
    if out is not None:
        told["features"] = str(_copy(encoded, out, chosen.modality))
    return told


def _told(encoded: Encoded) -> dict[str, str]:
    present = int(encoded.features.present.sum())
    missing = "; ".join(f"{count:,} {reason}" for reason, count in encoded.missing.items())
    rate = encoded.encoded / max(encoded.seconds, 1e-9)
    told = {
        "items": f"{len(encoded.features.present):,}",
        "with features": f"{present:,}, {encoded.features.values.shape[1]} numbers each",
        "missing": missing or "none",
        "encoded now": f"{encoded.encoded:,} in {encoded.seconds:.1f} s, {rate:.1f} per second",
        "peak memory": f"{peak_bytes() / 2**20:,.0f} MB",
        "features": str(encoded.folder / VALUES),
    }
    manifest = encoded.folder / MANIFEST
    if manifest.is_file():
        known = json.loads(manifest.read_text(encoding="utf-8"))
        told |= {"weights": known["weights"]["source"], "sha256": known["values_sha256"]}
    return told


def peak_bytes() -> int:
    """Return the most memory that this process has held; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource  # not on every system

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _copy(encoded: Encoded, out: Path, modality: str) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    names = {
        VALUES: f"{modality}.npy",
        PRESENT: f"{modality}-present.npy",
        MISSING: f"{modality}-missing.tsv",
        MANIFEST: f"{modality}-manifest.json",
    }
    for name, copy in names.items():
        if (encoded.folder / name).is_file():
            shutil.copyfile(encoded.folder / name, out / copy)
    return out / names[VALUES]


def describe_encoders() -> list[str]:
    """Return a line for each encoder card."""
    return [
        f"{card.name:<16}{card.modality:<7}{card.dimension:>5}  {card.library:<14}{card.title}"
        for card in list_encoders()
    ]


def fetch_card_pictures(card_name: str, data: Path | None) -> dict[str, int]:
    """Fetch the pictures of a data set's items; returns how many there are, and why not more."""
    card = load_card(card_name)
    require(card.files.items is not None, f"{card.name} must have a table of items", "none")
    items = data_folder(card, data) / str(card.files.items)
    return fetch_item_pictures(items, card.columns.item_id)


def show_neighbours(
    card: str,
    out: Path,
    data: Path | None,
    encoders: Sequence[str],
    run: Path | None,
    items: Sequence[str],
    num_items: int,
    k: int,
    seed: int,
) -> Path:
    """Write the page of items and their neighbours; returns its path."""
    catalogue = encode_catalogue(load_catalogue(card, data), encoders)
    loaded = None if run is None else load_run(run)
    return write_neighbour_page(catalogue, out, loaded, items, num_items, k, seed)
