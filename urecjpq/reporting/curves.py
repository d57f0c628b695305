"""Points and curves of a comparison: a metric against bytes, and by epoch."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from urecjpq.line import Line
from urecjpq.reporting.drawing import (
    COLOURS,
    DASHES,
    POINT,
    add_axes,
    add_legend,
    assigned,
    figure_of,
    short_bytes,
    ticker_module,
)
from urecjpq.reporting.labels import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_sizes(lines: Sequence[Line], metric: str, size: str, width: int) -> str:
    """Return a metric against bytes (log scale), one labelled point per line.

    Args:
        lines: At least one, none of zero bytes.
        metric: Vertical axis, e.g. ``ndcg@20``.
        size: One of the sizes of a line, e.g. ``user_table_bytes``.
        width: In CSS pixels, at least 300.
    """
    with figure_of(size, width, max(450, width * 2 // 5)) as (figure, out):
        axes = add_axes(figure, 1, 0, top=34)
        colours = assigned([line.backbone for line in lines], COLOURS)
        points = [(line.sizes[size], line.metrics[metric]) for line in lines]
        for line, (x, y) in zip(lines, points, strict=True):
            style: dict[str, Any] = {"color": colours[line.backbone], "edgecolors": "white"}
            marker, area = ("*", 190) if line.is_full else ("o", 46)
            axes.scatter([x], [y], s=area, marker=marker, zorder=3, linewidths=0.6, **style)
            if line.is_full:
                axes.axhline(y, color=colours[line.backbone], lw=0.8, ls="--", alpha=0.5)
        _limits(axes, points)
        axes.set_xlabel(f"{size.replace('_', ' ')} (log scale)")
        axes.set_ylabel(metric)
        add_legend(figure, {name: (colour, "-") for name, colour in colours.items()}, len(colours))
        place_labels(axes, points, [x.label for x in lines], [colours[x.backbone] for x in lines])
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
    with figure_of("training", width, 250 * rows + legend) as (figure, out):
        styles = assigned(labels, [(c, d) for d in DASHES for c in COLOURS])
        for place, backbone in enumerate(backbones):
            axes = add_axes(figure, columns, place, rows=rows, top=legend * POINT + 18)
            chosen = [line for line in lines if line.backbone == backbone]
            for line in chosen:
                values = [record["valid"][metric] for record in line.history]
                colour, dash = styles[line.label]
                axes.plot(range(1, len(values) + 1), values, color=colour, ls=dash, lw=1.3)
                best = max(range(len(values)), key=values.__getitem__)
                axes.plot([best + 1], [values[best]], "o", color=colour, ms=4)
            axes.set_title(backbone, fontsize=9, loc="left", fontweight="bold")
            axes.set(xlabel="epoch", ylabel=f"validation {metric}")
            axes.xaxis.set_major_locator(ticker_module().MaxNLocator(6, integer=True))
        add_legend(figure, styles, legend_columns)
    return out[0]


def _limits(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    xs, ys = ([point[i] for point in points] for i in (0, 1))
    axes.set_xscale("log")
    low, high = min(xs), max(xs)
    pad = (high / low) ** 0.12 if high > low else 2.0
    axes.set_xlim(low / pad, high * pad)
    height = (max(ys) - min(ys)) or 0.1 * max(ys) or 1.0
    axes.set_ylim(min(ys) - 0.15 * height, max(ys) + 0.15 * height)
    shown = _decades(low / pad, high * pad, room=int(axes.bbox.width / 42))
    axes.set_xticks(shown, [short_bytes(tick) for tick in shown])
    axes.xaxis.set_minor_locator(ticker_module().NullLocator())


def _decades(low: float, high: float, room: int) -> list[float]:
    """Return round numbers from low to high, as dense as ``room`` labels allow."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        shown = [tick for tick in ticks if low <= tick <= high]
        if len(shown) <= room:
            break
    return shown
