"""What all plots of a report share: figures as inline SVG, axes, colours and texts."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from urecjpq.columns import format_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


@contextmanager
def figure_of(prefix: str, width: int, height: int) -> Iterator[tuple["Figure", list[str]]]:
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


def add_axes(
    figure: "Figure", columns: int, place: int, rows: int = 1, left: float = MARGIN, top: float = 22
) -> "Axes":
    """Return axes at a place of a grid, with margins in points."""
    width, height = figure.bbox.width, figure.bbox.height
    cell = width / columns, (height - top + 18) / rows
    column, row = place % columns, place // columns
    x, y = column * cell[0] + left, (rows - 1 - row) * cell[1] + 34
    box = (x / width, y / height, (cell[0] - left - 10) / width, (cell[1] - 34 - 18) / height)
    return figure.add_axes(box)


def add_legend(figure: "Figure", styles: dict[str, tuple[str, str]], columns: int) -> None:
    """Write what colours and dashes mean into the upper left corner."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, ls=dash, lw=2) for colour, dash in styles.values()]
    figure.legend(handles, list(styles), loc="upper left", ncols=columns, frameon=False)


def assigned(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Return a value for each distinct name, in order; values repeat when they run out."""
    return {n: values[i % len(values)] for i, n in enumerate(dict.fromkeys(names))}


def short_bytes(count: float) -> str:
    """Return e.g. ``5 MB`` for a tick."""
    number, unit = format_bytes(count).split()
    return f"{float(number):g} {unit}"


@cache
def text_width(text: str) -> float:
    """Return the width of a text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=STYLE["font.size"])
    return text_to_path.get_text_width_height_descent(text, font, False)[0]


def shortened(text: str, room: float) -> str:
    """Return a text cut in the middle to a width in points."""
    kept = len(text)
    while kept > 3 and text_width(text) > room:
        kept -= 1
        text = text[: kept // 2] + "…" + text[len(text) - (kept - kept // 2) + 1 :]
    return text


def ticker_module() -> Any:
    """Return matplotlib's tickers, imported late."""
    from matplotlib import ticker

    return ticker
