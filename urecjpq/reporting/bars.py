"""Bars of a comparison: bytes of the tables, and recall by popularity band."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from urecjpq.columns import format_bytes
from urecjpq.line import Line
from urecjpq.reporting.drawing import (
    COLOURS,
    POINT,
    add_axes,
    assigned,
    figure_of,
    short_bytes,
    shortened,
    text_width,
    ticker_module,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDS = ("head", "torso", "tail")
ROW = 22  # CSS pixels


def plot_tables(lines: Sequence[Line], width: int) -> str:
    """Return bars of the bytes of the user and the item table of each line, width in CSS pixels."""
    with figure_of("tables", width, 70 + ROW * len(lines)) as (figure, out):
        names = _names(lines, figure)
        axes = add_axes(figure, 1, 0, left=_widest(names))
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
        room = 1 - (text_width("000 MB") + 8) / (axes.bbox.width)
        _rows(axes, names)
        axes.set_xlim(0, max(totals) / room)
        axes.xaxis.set_major_locator(ticker_module().MaxNLocator(min(6, int(axes.bbox.width / 45))))
        axes.xaxis.set_major_formatter(ticker_module().FuncFormatter(lambda x, _: short_bytes(x)))
        figure.legend(loc="upper right", ncols=2, frameon=False)
    return out[0]


def plot_bands(lines: Sequence[Line], k: int, width: int) -> str:
    """Return bars of Recall@k where only items of one popularity band count, one panel per band.

    Args:
        lines: Those with the metrics; an item no line has a number for is left out.
        k: Length of the lists.
        width: In CSS pixels; below 700 the panels stand below each other.
    """
    bands = [band for band in BANDS if any(f"recall_{band}@{k}" in x.metrics for x in lines)]
    rows, columns = (len(bands), 1) if width < 700 else (1, len(bands))
    colours = assigned([line.backbone for line in lines], COLOURS)
    with figure_of("bands", width, rows * (62 + ROW * len(lines))) as (figure, out):
        names = _names(lines, figure)
        for place, band in enumerate(bands):
            axes = _panel(figure, rows, columns, place, _widest(names))
            values = [line.metrics.get(f"recall_{band}@{k}", 0.0) for line in lines]
            found = axes.barh(
                range(len(lines)), values, height=0.65, color=[colours[x.backbone] for x in lines]
            )
            axes.bar_label(found, [f"{value:.4f}" for value in values], padding=3)
            _rows(axes, names if place % columns == 0 else [""] * len(lines))
            axes.set_xlim(0, (max(values) or 1.0) / (1 - text_width("0.0000 ") / axes.bbox.width))
            axes.xaxis.set_major_locator(ticker_module().MaxNLocator(3))
            axes.set_title(band, fontsize=9, loc="left", fontweight="bold")
    return out[0]


def _panel(figure: "Figure", rows: int, columns: int, place: int, left: float) -> "Axes":
    """Return axes of a row of panels that share the names to the left, or of a column of them."""
    width, height = figure.bbox.width, figure.bbox.height
    wide, high = (width - left - 10) / columns, height / rows
    x, y = left + (place % columns) * wide, (rows - 1 - place // columns) * high + 20
    return figure.add_axes((x / width, y / height, (wide - 14) / width, (high - 40) / height))


def _names(lines: Sequence[Line], figure: "Figure") -> list[str]:
    room = (0.45 if figure.bbox.width < 700 * POINT else 0.25) * figure.bbox.width
    return [shortened(line.name, room) for line in lines]


def _widest(names: Sequence[str]) -> float:
    return max(text_width(name) for name in names) + 8


def _rows(axes: "Axes", names: Sequence[str]) -> None:
    axes.set(ylim=(len(names) - 0.4, -0.6), yticks=range(len(names)))
    axes.set_yticklabels(names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
