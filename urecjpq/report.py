"""A comparison as one HTML page that needs no other file, and its numbers beside it as JSON."""

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from urecjpq.comparison import Comparison, Line, change
from urecjpq.errors import require
from urecjpq.files import write_json, write_text
from urecjpq.significance import stars

WIDTHS = {"wide": 1200, "narrow": 350}  # CSS pixels; the page shows one of the two
CURVE = "recall@20"  # the metric that ends training
SIZES = {
    "params": ("trainable_parameters", ""),
    "users": ("user_table_bytes", " bytes"),
    "items": ("item_table_bytes", " bytes"),
    "file": ("checkpoint_bytes", " bytes"),
}


def write_report(
    comparison: Comparison, path: Path | str, extras: Sequence[dict[str, Any]] | None = None
) -> Path:
    """Write the page, and ``report.json`` beside ``report.html``; equal input gives equal bytes.

    Args:
        comparison: What `urecjpq.compare.compare_runs` returns.
        path: Ends in ``.html``; its folder is made if absent.
        extras: Recommendations to show, one dict per user: ``user`` (text), ``past`` and
            ``recommended``, lists of ``{"title": …, "picture": None or "data:image/…"}``.

    Returns:
        The path of the page.

    Raises:
        InputError: The suffix is another, or a picture is not a data URI.
    """
    path = Path(path)
    require(path.suffix == ".html", "path must end in .html", path.name)
    _check_pictures(extras or [])
    page = _render(comparison, extras or [])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.with_suffix(".json"), comparison.to_json())
    write_text(path, page)
    return path


def _check_pictures(extras: Sequence[dict[str, Any]]) -> None:
    for user in extras:
        for item in [*user["past"], *user["recommended"]]:
            picture = item.get("picture")
            inline = picture is None or picture.startswith("data:image/")
            hint = "A page that fetches pictures is not self-contained."
            require(inline, "picture must be a data:image/… URI", repr(picture)[:60], hint)


def _render(comparison: Comparison, extras: Sequence[dict[str, Any]]) -> str:
    return render_template(
        "report.html",
        comparison=comparison,
        title=_title(comparison),
        groups=_groups(comparison),
        plots=_plots(comparison),
        extras=extras,
        version=importlib.metadata.version("urecjpq"),
    )


def render_template(name: str, **content: Any) -> str:
    """Return a page of ``templates/`` with its content; texts are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(content)


def _title(comparison: Comparison) -> str:
    lines = comparison.lines
    backbones = ", ".join(dict.fromkeys(line.backbone for line in lines))
    runs = sum(len(line.seeds) for line in lines)
    models = "1 model" if len(lines) == 1 else f"{len(lines)} models"
    trained = "1 run" if runs == 1 else f"{runs} runs"
    return f"{comparison.catalogue['name']}: {models} ({trained}) of {backbones}"


def _groups(comparison: Comparison) -> list[list[dict[str, Any]]]:
    """Return the rows of the table, those of one backbone together."""
    groups: dict[str, list[Line]] = {}
    for line in comparison.lines:
        groups.setdefault(line.backbone, []).append(line)
    return [[_row(comparison, line, lines) for line in lines] for lines in groups.values()]


def _row(comparison: Comparison, line: Line, group: Sequence[Line]) -> dict[str, Any]:
    cells = []
    for column in comparison.columns:
        if column.title in comparison.metrics:
            cells.append(_metric_cell(comparison, line, column.title, group))
        else:
            hint = _size_hint(comparison, line, column.title)
            cells.append({"text": column.cell(line), "hint": hint, "best": False})
    return {"name": cells[0]["text"], "cells": cells[1:], "is_baseline": line.baseline is None}


def _metric_cell(
    comparison: Comparison, line: Line, name: str, group: Sequence[Line]
) -> dict[str, Any]:
    value, hints = line.metrics[name], []
    if line.baseline:
        before = comparison.baseline_of(line).metrics[name]
        hints.append(f"{change(value, before)} against {line.baseline}")
    if name in line.p_values:
        hints.append(f"p = {line.p_values[name]:.2g} after correction")
    return {
        "text": f"{value:.4f}",
        "spread": f"±{line.spread[name]:.4f}" if line.spread else "",
        "stars": stars(line.p_values.get(name, 1.0)),
        "hint": ", ".join(hints),
        "best": len(group) > 1 and value == max(other.metrics[name] for other in group),
    }


def _size_hint(comparison: Comparison, line: Line, title: str) -> str:
    if title not in SIZES:
        return ""
    name, unit = SIZES[title]
    size, before = line.sizes[name], comparison.baseline_of(line).sizes[name]
    against = f", {change(size, before)} against {line.baseline}" if line.baseline else ""
    return f"{size:,}{unit}{against}"


def _plots(comparison: Comparison) -> list[dict[str, Any]]:
    """Return heading, caption and one drawing per width for each plot that has data."""
    from markupsafe import Markup

    from urecjpq.plots import plot_sizes, plot_tables, plot_training

    lines = comparison.lines
    metric = "ndcg@20" if all("ndcg@20" in x.metrics for x in lines) else comparison.metrics[-1]
    kept = [x for x in lines if x.history and all(CURVE in r["valid"] for r in x.history)]
    plots = [
        (
            f"{metric} against size",
            "Up and to the left is better. Colours tell the backbones; a star and a dashed line "
            "mark full tables from a random start.",
            lambda width: plot_sizes(lines, metric, width),
        ),
        (
            "Bytes of the tables",
            "What the user and the item vectors take: floats, or codes and centroids.",
            lambda width: plot_tables(lines, width),
        ),
    ]
    if kept:
        plots.append(
            (
                "Training",
                f"Validation {CURVE} after each epoch, first seed; the dot is the epoch kept.",
                lambda width: plot_training(kept, CURVE, width),
            )
        )
    return [
        {
            "title": title,
            "caption": caption,
            "drawings": {name: Markup(draw(width)) for name, width in WIDTHS.items()},
        }
        for title, caption, draw in plots
    ]
