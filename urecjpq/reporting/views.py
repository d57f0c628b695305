"""What is near to what, seen in several ways, and how items are shown."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.data.pictures import PictureError, read_picture
from urecjpq.graphs.neighbours import cosine_neighbours

THUMBNAIL = (144, 144)


@dataclass(frozen=True)
class View:
    """What is near to what, seen in one way.

    Args:
        name: E.g. a modality, or a trained table.
        neighbours: Of every item, itself left out.
    """

    name: str
    neighbours: Neighbours

    def of(self, row: int) -> list[tuple[int, float]]:
        """Return an item's neighbours and their cosines, best first."""
        ids, cosines = self.neighbours.item_ids[row], self.neighbours.similarities[row]
        return [(int(i), float(c)) for i, c in zip(ids, cosines, strict=True) if i >= 0]


@dataclass(frozen=True)
class Shelf:
    """How items are shown: picture, title, raw id.

    Args:
        item_ids: Raw ids by row.
        titles: By row, ``""`` where unknown; None if there are none.
        images: Paths by row, None where there is none; None if there are none at all.
    """

    item_ids: np.ndarray
    titles: np.ndarray | None = None
    images: list[Path | None] | None = None

    def show(self, row: int) -> dict[str, Any]:
        """Return ``id``, ``title`` and ``picture``, a data URI or None."""
        title = "" if self.titles is None else str(self.titles[row])
        image = None if self.images is None else self.images[row]
        item_id = str(self.item_ids[row])
        return {"id": item_id, "title": title or item_id, "picture": image and _thumbnail(image)}

    def show_with(self, views: Sequence[View], row: int) -> dict[str, Any]:
        """Return an item with its neighbours in every view; ``shared`` is near in two or more."""
        lists = {view.name: view.of(row) for view in views}
        times: dict[int, int] = {}
        for neighbours in lists.values():
            for other, _ in neighbours:
                times[other] = times.get(other, 0) + 1
        return self.show(row) | {
            "lists": {
                name: [
                    self.show(other) | {"cosine": f"{cosine:.3f}", "shared": times[other] > 1}
                    for other, cosine in neighbours
                ]
                for name, neighbours in lists.items()
            }
        }

    def draw(self, count: int, seed: int) -> list[int]:
        """Return rows drawn from those with a picture, or from all where there are none."""
        shown = np.flatnonzero([image is not None for image in self.images or []])
        rows = shown if len(shown) else np.arange(len(self.item_ids))
        chosen = np.random.default_rng(seed).permutation(rows)[:count]
        return sorted(chosen.tolist())


def nearest_items(features: Features, k: int) -> Neighbours:
    """Return the k nearest others of every item by cosine."""
    return without_itself(cosine_neighbours(features, k + 1), k)


def without_itself(neighbours: Neighbours, k: int) -> Neighbours:
    """Return the k best others; rows that are short of them end in −1."""
    ids, cosines = neighbours.item_ids, neighbours.similarities
    other = (ids != np.arange(len(ids))[:, None]) & (ids >= 0)
    order = np.argsort(~other, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(other, order, 1)
    return Neighbours(
        np.where(kept, np.take_along_axis(ids, order, 1), -1),
        np.where(kept, np.take_along_axis(cosines, order, 1), 0),
    )


def agreement(views: Sequence[View]) -> list[dict[str, Any]]:
    """Return for each two views how many neighbours an item has in common, on average."""
    pairs = []
    for one, two in combinations(views, 2):
        first, second = one.neighbours.item_ids, two.neighbours.item_ids
        common = (first[:, :, None] == second[:, None, :]) & (first >= 0)[:, :, None]
        both = (first >= 0).any(1) & (second >= 0).any(1)
        shared = common.any(2).sum(1)[both]
        mean = float(shared.mean()) if both.any() else 0.0
        pairs.append({"one": one.name, "two": two.name, "shared": f"{mean:.2f}"})
    return pairs


def _thumbnail(path: Path) -> str | None:
    try:
        picture = read_picture(path)
    except PictureError:
        return None
    picture.thumbnail(THUMBNAIL)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
