"""Labels near the points of a plot, where they cover neither a point nor each other."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from urecjpq.reporting.drawing import text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox


def place_labels(
    axes: "Axes", points: Sequence[tuple[float, float]], texts: Sequence[str], colours: list[str]
) -> None:
    """Write each text near its point where it covers neither a point nor another text."""
    from matplotlib.transforms import Bbox

    places = [axes.transData.transform(point) for point in points]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]
    widths = [text_width(text) for text in texts]
    frame = Bbox.from_extents(axes.bbox.x0, axes.bbox.y0, axes.bbox.x1 + 8, axes.bbox.y1 + 8)
    # The widest first: they fit in the fewest places.
    for i in sorted(range(len(texts)), key=lambda i: -widths[i]):
        boxes = [_box(places[i], offset, widths[i]) for offset in _offsets(widths[i])]
        inside = [box for box in boxes if _within(box, frame)]
        free = [box for box in inside if not box.count_overlaps(taken)]
        # A label nearer to another point would be read as that one's.
        own = (box for box in free if _gap(box, places[i]) <= min(_gap(box, p) for p in places))
        box = next(own, (free or inside or boxes)[0])
        taken.append(box)
        _write_label(axes, points[i], places[i], box, texts[i], colours[i])


def _write_label(
    axes: "Axes", point: tuple[float, float], place: Any, box: "Bbox", text: str, colour: str
) -> None:
    from matplotlib.patheffects import withStroke

    centre = (box.x0 + box.x1) / 2 - place[0], (box.y0 + box.y1) / 2 - place[1]
    near = _gap(box, place) < 12
    arrow = {"arrowstyle": "-", "color": "#999999", "lw": 0.6, "shrinkB": 4}
    axes.annotate(
        text,
        point,
        centre,
        textcoords="offset points",
        ha="center",
        va="center",
        color=colour,
        arrowprops=None if near else arrow,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
        zorder=4,
    )


def _offsets(width: float) -> list[tuple[float, float]]:
    """Return where a label's centre may lie from its point, nearest first, right before left."""
    half = width / 2
    beside = [half + 9, -half - 9, 0.0, half / 2, -half / 2]
    grid = [(dx, dy) for dy in range(0, 121, 4) for dx in beside if dy >= 12 or abs(dx) > half]
    grid += [(dx, -dy) for dx, dy in grid if dy]

    def distance(offset: tuple[float, float]) -> float:
        return math.hypot(max(0.0, abs(offset[0]) - half), 1.5 * offset[1])

    return sorted(grid, key=distance)


def _gap(box: "Bbox", place: Any) -> float:
    across = max(box.x0 - place[0], 0.0, place[0] - box.x1)
    return math.hypot(across, max(box.y0 - place[1], 0.0, place[1] - box.y1))


def _within(box: "Bbox", frame: "Bbox") -> bool:
    across = frame.x0 <= box.x0 and box.x1 <= frame.x1
    return across and frame.y0 <= box.y0 and box.y1 <= frame.y1


def _box(place: Any, offset: tuple[float, float], width: float) -> "Bbox":
    from matplotlib.transforms import Bbox

    left, bottom = place[0] + offset[0] - width / 2, place[1] + offset[1] - 5.5
    return Bbox.from_bounds(left - 1, bottom, width + 2, 11)
