"""Items and what is near to them before and after quantisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from urecjpq.comparison import Comparison
from urecjpq.data.catalogue import Catalogue, Features
from urecjpq.errors import require
from urecjpq.line import Line
from urecjpq.reporting.views import Shelf, View, agreement, nearest_items
from urecjpq.runs import Run


def quantised_pairs(comparison: Comparison) -> list[tuple[Line, Line]]:
    """Return for each backbone its full line and, of its quantised lines, the best on test.

    The full line is the one that the quantised line is tested against, or else the backbone's
    plain one. Backbones without either are left out.
    """
    pairs = []
    for backbone in dict.fromkeys(line.backbone for line in comparison.lines):
        lines = [line for line in comparison.lines if line.backbone == backbone]
        full = [line for line in lines if line.tables["kind"] == "full"]
        coded = [line for line in lines if line.tables["kind"] == "jpq"]
        if full and coded:
            best = max(coded, key=lambda line: line.metrics[comparison.metrics[-1]])
            against = comparison.baseline_of(best)
            pairs.append((against if against in full else full[0], best))
    return pairs


def neighbour_sheet(
    runs: Sequence[tuple[str, Run]],
    catalogue: Catalogue | None = None,
    num_items: int = 6,
    k: int = 6,
    seed: int = 0,
) -> dict[str, Any]:
    """Return items and their nearest by the final item vectors of each run.

    Args:
        runs: Names and runs on the same items, e.g. full and quantised.
        catalogue: Gives pictures and titles; without one, titles are those kept in the run.
        num_items: How many to draw, those with a picture first.
        k: Neighbours of each; fewer if there are fewer items.
        seed: Of the draw.

    Raises:
        InputError: The catalogue is not the one that the runs were trained on.
    """
    first = runs[0][1]
    shelf = Shelf(first.item_ids, first.titles)
    if catalogue is not None:
        same = first.config.catalogue.digest == catalogue.digest
        rule = "catalogue must be the one that the runs were trained on"
        require(same, rule, catalogue.name, "Leave it out, or give the same data.")
        shelf = Shelf(catalogue.item_ids, catalogue.titles, catalogue.images)
    k = min(k, len(shelf.item_ids) - 1)
    views = [View(name, nearest_items(_vectors(run), k)) for name, run in runs]
    return {
        "views": [view.name for view in views],
        "k": k,
        "agreement": agreement(views),
        "items": [shelf.show_with(views, row) for row in shelf.draw(num_items, seed)],
    }


def _vectors(run: Run) -> Features:
    vectors = run.vectors[1].numpy()[: len(run.item_ids)]
    return Features(np.ascontiguousarray(vectors), np.ones(len(vectors), dtype=bool))
