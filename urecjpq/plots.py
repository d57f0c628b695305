"""Plots of a comparison as inline SVG: equal comparisons give equal bytes."""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from urecjpq.comparison import Line, format_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

# Okabe and Ito's colours, told apart by colour-blind readers too; yellow is left out on white.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#333333")
DASHES = ("-", "--", ":")
POINT = 0.75  # points per CSS pixel: a figure is drawn as wide as it is shown
MARGIN = 44.0  # points for tick labels
STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "svg.fonttype": "path",
}


def plot_sizes(lines: Sequence[Line], metric: str, width: int) -> str:
    """Return a metric against checkpoint bytes (log scale), one labelled point per line.

    Args:
        lines: At least one.
        metric: Vertical axis, e.g. ``ndcg@20``.
        width: In CSS pixels, at least 300.
    """
    with _figure("sizes", width, max(450, width * 2 // 5)) as (figure, out):
        axes = _axes(figure, 1, 0, top=34)
        colours = _assigned([line.backbone for line in lines], COLOURS)
        points = [(line.sizes["checkpoint_bytes"], line.metrics[metric]) for line in lines]
        for line, (x, y) in zip(lines, points, strict=True):
            style: dict[str, Any] = {"color": colours[line.backbone], "edgecolors": "white"}
            marker, area = ("*", 190) if line.is_full else ("o", 46)
            axes.scatter([x], [y], s=area, marker=marker, zorder=3, linewidths=0.6, **style)
            if line.is_full:
                axes.axhline(y, color=colours[line.backbone], lw=0.8, ls="--", alpha=0.5)
        _limits(axes, points)
        axes.set_xlabel("checkpoint bytes (log scale)")
        axes.set_ylabel(metric)
        _legend(figure, {name: (colour, "-") for name, colour in colours.items()}, len(colours))
        _place_labels(axes, points, [x.label for x in lines], [colours[x.backbone] for x in lines])
    return out[0]


def plot_tables(lines: Sequence[Line], width: int) -> str:
    """Return bars of the bytes of the user and the item table of each line, width in CSS pixels."""
    with _figure("tables", width, 70 + 22 * len(lines)) as (figure, out):
        names = [_shortened(line.name, 0.45 * figure.bbox.width) for line in lines]
        axes = _axes(figure, 1, 0, left=max(_text_width(name) for name in names) + 8)
        users, items = (
            [line.sizes[f"{side}_table_bytes"] for line in lines] for side in ("user", "item")
        )
        totals = [a + b for a, b in zip(users, items, strict=True)]
        places = range(len(lines))
        axes.barh(places, users, height=0.65, color=COLOURS[0], label="user table")
        axes.barh(places, items, left=users, height=0.65, color=COLOURS[5], label="item table")
        for place, total in zip(places, totals, strict=True):
            axes.annotate(
                format_bytes(total), (total, place), (4, 0), textcoords="offset points", va="center"
            )
        room = 1 - (_text_width("000 MB") + 8) / (axes.bbox.width)
        axes.set(xlim=(0, max(totals) / room), ylim=(len(lines) - 0.4, -0.6), yticks=places)
        axes.set_yticklabels(names)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(_ticker().MaxNLocator(min(6, int(axes.bbox.width / 45))))
        axes.xaxis.set_major_formatter(_ticker().FuncFormatter(lambda x, _: _short_bytes(x)))
        figure.legend(loc="upper right", ncols=2, frameon=False)
    return out[0]


def plot_training(lines: Sequence[Line], metric: str, width: int) -> str:
    """Return the validation metric by epoch, one panel per backbone, a dot at the best epoch.

    Args:
        lines: Those whose history holds the metric.
        metric: E.g. ``recall@20``.
        width: In CSS pixels; below 700 the panels stand below each other.
    """
    backbones = list(dict.fromkeys(line.backbone for line in lines))
    labels = list(dict.fromkeys(line.label for line in lines))
    columns = 1 if width < 700 else min(2, len(backbones))
    rows = math.ceil(len(backbones) / columns)
    legend_columns = min(len(labels), width // 150)
    legend = 20 * math.ceil(len(labels) / legend_columns) + 8
    with _figure("training", width, 250 * rows + legend) as (figure, out):
        styles = _assigned(labels, [(c, d) for d in DASHES for c in COLOURS])
        for place, backbone in enumerate(backbones):
            axes = _axes(figure, columns, place, rows=rows, top=legend * POINT + 18)
            chosen = [line for line in lines if line.backbone == backbone]
            for line in chosen:
                values = [record["valid"][metric] for record in line.history]
                colour, dash = styles[line.label]
                axes.plot(range(1, len(values) + 1), values, color=colour, ls=dash, lw=1.3)
                best = max(range(len(values)), key=values.__getitem__)
                axes.plot([best + 1], [values[best]], "o", color=colour, ms=4)
            axes.set_title(backbone, fontsize=9, loc="left", fontweight="bold")
            axes.set(xlabel="epoch", ylabel=f"validation {metric}")
            axes.xaxis.set_major_locator(_ticker().MaxNLocator(6, integer=True))
        _legend(figure, styles, legend_columns)
    return out[0]


@contextmanager
def _figure(prefix: str, width: int, height: int) -> Iterator[tuple["Figure", list[str]]]:
    """Give an empty figure and a list that holds its SVG once the block is left."""
    import matplotlib
    from matplotlib.figure import Figure

    prefix = f"{prefix}{width}"
    out: list[str] = []
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": prefix}):
        # At 72 dots per inch a dot is a point, so measured sizes are those of the SVG.
        figure = Figure(figsize=(width * POINT / 72, height * POINT / 72), dpi=72)
        yield figure, out
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Ids are per document, and a page holds several plots.
    out.append(re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg))


def _axes(
    figure: "Figure", columns: int, place: int, rows: int = 1, left: float = MARGIN, top: float = 22
) -> "Axes":
    """Return axes at a place of a grid, with margins in points."""
    width, height = figure.bbox.width, figure.bbox.height
    cell = width / columns, (height - top + 18) / rows
    column, row = place % columns, place // columns
    x, y = column * cell[0] + left, (rows - 1 - row) * cell[1] + 34
    box = (x / width, y / height, (cell[0] - left - 10) / width, (cell[1] - 34 - 18) / height)
    return figure.add_axes(box)


def _limits(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    xs, ys = ([point[i] for point in points] for i in (0, 1))
    axes.set_xscale("log")
    low, high = min(xs), max(xs)
    pad = (high / low) ** 0.12 if high > low else 2.0
    axes.set_xlim(low / pad, high * pad)
    height = (max(ys) - min(ys)) or 0.1 * max(ys) or 1.0
    axes.set_ylim(min(ys) - 0.15 * height, max(ys) + 0.15 * height)
    shown = _decades(low / pad, high * pad, room=int(axes.bbox.width / 42))
    axes.set_xticks(shown, [_short_bytes(tick) for tick in shown])
    axes.xaxis.set_minor_locator(_ticker().NullLocator())


def _decades(low: float, high: float, room: int) -> list[float]:
    """Return round numbers from low to high, as dense as ``room`` labels allow."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) <= room:
            break
    return shown


def _place_labels(
    axes: "Axes", points: Sequence[tuple[float, float]], texts: Sequence[str], colours: list[str]
) -> None:
    """Write each text near its point where it covers neither a point nor another text."""
    from matplotlib.transforms import Bbox

    places = [axes.transData.transform(point) for point in points]
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]
    widths = [_text_width(text) for text in texts]
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


@cache
def _text_width(text: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=STYLE["font.size"])
    return text_to_path.get_text_width_height_descent(text, font, False)[0]


def _shortened(text: str, room: float) -> str:
    kept = len(text)
    while kept > 3 and _text_width(text) > room:
        kept -= 1
        text = text[: kept // 2] + "…" + text[len(text) - (kept - kept // 2) + 1 :]
    return text


def _legend(figure: "Figure", styles: dict[str, tuple[str, str]], columns: int) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, ls=dash, lw=2) for colour, dash in styles.values()]
    figure.legend(handles, list(styles), loc="upper left", ncols=columns, frameon=False)


def _assigned(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return {n: values[i % len(values)] for i, n in enumerate(dict.fromkeys(names))}


def _short_bytes(count: float) -> str:
    number, unit = format_bytes(count).split()
    return f"{float(number):g} {unit}"


def _ticker() -> Any:
    from matplotlib import ticker

    return ticker
