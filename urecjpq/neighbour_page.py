"""A page to look at: items, and the nearest to each by every modality and by a trained table."""

import base64
import importlib.metadata
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from urecjpq.data.catalogue import Catalogue, Features, Neighbours
from urecjpq.data.pictures import PictureError, read_picture
from urecjpq.errors import require
from urecjpq.files import write_text
from urecjpq.graphs.neighbours import cosine_neighbours
from urecjpq.report import render_template
from urecjpq.runs import Run

THUMBNAIL = (144, 144)
TABLE, VECTORS = "trained table", "trained vectors"


@dataclass(frozen=True)
class View:
    """What is near to what, seen in one way.

    Args:
        name: A modality, `TABLE`, or `VECTORS` where a run kept its final vectors alone.
        neighbours: Of every item, itself left out.
    """

    name: str
    neighbours: Neighbours

    def of(self, row: int) -> list[tuple[int, float]]:
        """Return an item's neighbours and their cosines, best first."""
        ids, cosines = self.neighbours.item_ids[row], self.neighbours.similarities[row]
        return [(int(i), float(c)) for i, c in zip(ids, cosines, strict=True) if i >= 0]


def write_neighbour_page(
    catalogue: Catalogue,
    path: Path | str,
    run: Run | None = None,
    item_ids: Sequence[str] | None = None,
    num_items: int = 12,
    k: int = 8,
    seed: int = 0,
) -> Path:
    """Write one HTML page that needs no other file; equal input gives equal bytes.

    Args:
        catalogue: With features or neighbours of at least one modality, or with a run.
        path: Ends in ``.html``; its folder is made if absent.
        run: Its item table is one more view; it must have been trained on this catalogue.
        item_ids: Raw ids of the items to show; None draws some of those with a picture, or of all
            where there are no pictures.
        num_items: How many to draw, at least 1; fewer if there are fewer.
        k: Neighbours of each, at least 1 and below the number of items.
        seed: Of the draw.

    Returns:
        The path of the page.

    Raises:
        InputError: Nothing says what is near, an item is unknown, or the run has other items.
    """
    path = Path(path)
    require(path.suffix == ".html", "path must end in .html", path.name)
    most = catalogue.num_items - 1
    require(1 <= k <= most, f"k must lie in [1, {most}], the number of other items", k)
    views = make_views(catalogue, run, k)
    rows = _rows(catalogue, item_ids, num_items, seed)
    page = render_template(
        "neighbours.html",
        title=f"{catalogue.name}: what is near to what",
        views=[view.name for view in views],
        run_name=None if run is None else run.config.name,
        agreement=_agreement(views),
        items=[_item(catalogue, views, row) for row in rows],
        k=k,
        num_items=catalogue.num_items,
        version=importlib.metadata.version("urecjpq"),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page)
    return path


def make_views(catalogue: Catalogue, run: Run | None, k: int) -> list[View]:
    """Return the neighbours by each modality, and by the item table of a run.

    Raises:
        InputError: There are none, or the run was trained on another catalogue.
    """
    found = {name: _nearest(features, k) for name, features in catalogue.features.items()}
    given = {
        name: _without_itself(neighbours, k)
        for name, neighbours in catalogue.neighbours.items()
        if name not in found
    }
    if run is not None:
        same = run.config.catalogue.digest == catalogue.digest
        rule = "run must be one trained on this catalogue"
        require(same, rule, f"{run.config.name} on {run.config.catalogue.name}")
        name, vectors = _trained(run)
        present = np.ones(catalogue.num_items, dtype=bool)
        found[name] = _nearest(Features(vectors[: catalogue.num_items], present), k)
    views = [View(name, neighbours) for name, neighbours in {**given, **found}.items()]
    hint = "Name an encoder, or a run."
    require(bool(views), "catalogue must have features or neighbours", "none", hint)
    return views


def _trained(run: Run) -> tuple[str, np.ndarray]:
    table = getattr(run.backbone, "item_table", None)
    if table is None:
        return VECTORS, run.vectors[1].detach().numpy()
    return TABLE, table.weight.detach().numpy()


def _nearest(features: Features, k: int) -> Neighbours:
    return _without_itself(cosine_neighbours(features, k + 1), k)


def _without_itself(neighbours: Neighbours, k: int) -> Neighbours:
    """Return the k best others; rows that are short of them end in −1."""
    ids, cosines = neighbours.item_ids, neighbours.similarities
    other = (ids != np.arange(len(ids))[:, None]) & (ids >= 0)
    order = np.argsort(~other, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(other, order, 1)
    return Neighbours(
        np.where(kept, np.take_along_axis(ids, order, 1), -1),
        np.where(kept, np.take_along_axis(cosines, order, 1), 0),
    )


def _agreement(views: Sequence[View]) -> list[dict[str, Any]]:
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


def _rows(
    catalogue: Catalogue, item_ids: Sequence[str] | None, num_items: int, seed: int
) -> list[int]:
    if item_ids:
        known = {item: row for row, item in enumerate(catalogue.item_ids)}
        for item in item_ids:
            require(item in known, f"items must be those of {catalogue.name}", repr(item))
        return [known[item] for item in item_ids]
    require(num_items >= 1, "num_items must be at least 1", num_items)
    images = catalogue.images or []
    shown = np.flatnonzero([image is not None for image in images])
    rows = shown if len(shown) else np.arange(catalogue.num_items)
    chosen = np.random.default_rng(seed).permutation(rows)[:num_items]
    return sorted(chosen.tolist())


def _item(catalogue: Catalogue, views: Sequence[View], row: int) -> dict[str, Any]:
    lists = {view.name: view.of(row) for view in views}
    times: dict[int, int] = {}
    for neighbours in lists.values():
        for other, _ in neighbours:
            times[other] = times.get(other, 0) + 1
    return _shown(catalogue, row) | {
        "lists": {
            name: [
                _shown(catalogue, other) | {"cosine": f"{cosine:.3f}", "shared": times[other] > 1}
                for other, cosine in neighbours
            ]
            for name, neighbours in lists.items()
        }
    }


def _shown(catalogue: Catalogue, row: int) -> dict[str, Any]:
    title = "" if catalogue.titles is None else str(catalogue.titles[row])
    image = None if catalogue.images is None else catalogue.images[row]
    item_id = str(catalogue.item_ids[row])
    return {"id": item_id, "title": title or item_id, "picture": image and _thumbnail(image)}


def _thumbnail(path: Path) -> str | None:
    try:
        picture = read_picture(path)
    except PictureError:
        return None
    picture.thumbnail(THUMBNAIL)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
