"""A page to look at: items, and the nearest to each by every modality and by a trained table."""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from urecjpq.data.catalogue import Catalogue, Features
from urecjpq.errors import require
from urecjpq.files import write_text
from urecjpq.reporting.templates import render_template
from urecjpq.reporting.views import Shelf, View, agreement, nearest_items, without_itself
from urecjpq.runs import Run

TABLE, VECTORS = "trained table", "trained vectors"


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
    shelf = Shelf(catalogue.item_ids, catalogue.titles, catalogue.images)
    rows = _rows(catalogue.name, shelf, item_ids, num_items, seed)
    page = render_template(
        "neighbours.html",
        title=f"{catalogue.name}: what is near to what",
        views=[view.name for view in views],
        run_name=None if run is None else run.config.name,
        agreement=agreement(views),
        items=[shelf.show_with(views, row) for row in rows],
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
    found = {name: nearest_items(features, k) for name, features in catalogue.features.items()}
    given = {
        name: without_itself(neighbours, k)
        for name, neighbours in catalogue.neighbours.items()
        if name not in found
    }
    if run is not None:
        same = run.config.catalogue.digest == catalogue.digest
        rule = "run must be one trained on this catalogue"
        require(same, rule, f"{run.config.name} on {run.config.catalogue.name}")
        name, vectors = _trained(run)
        present = np.ones(catalogue.num_items, dtype=bool)
        found[name] = nearest_items(Features(vectors[: catalogue.num_items], present), k)
    views = [View(name, neighbours) for name, neighbours in {**given, **found}.items()]
    hint = "Name an encoder, or a run."
    require(bool(views), "catalogue must have features or neighbours", "none", hint)
    return views


def _trained(run: Run) -> tuple[str, np.ndarray]:
    table = getattr(run.backbone, "item_table", None)
    if table is None:
        return VECTORS, run.vectors[1].detach().numpy()
    return TABLE, table.weight.detach().numpy()


def _rows(
    name: str, shelf: Shelf, item_ids: Sequence[str] | None, num_items: int, seed: int
) -> list[int]:
    if item_ids:
        known = {item: row for row, item in enumerate(shelf.item_ids)}
        for item in item_ids:
            require(item in known, f"items must be those of {name}", repr(item))
        return [known[item] for item in item_ids]
    require(num_items >= 1, "num_items must be at least 1", num_items)
    return shelf.draw(num_items, seed)
