"""The rows of the report's table: numbers, stars, and what a pointer that rests on them shows."""

from collections.abc import Sequence
from typing import Any

from urecjpq.columns import change
from urecjpq.comparison import Comparison
from urecjpq.line import Line
from urecjpq.significance import stars

SIZES = {
    "params": ("trainable_parameters", ""),
    "users": ("user_table_bytes", " bytes"),
    "items": ("item_table_bytes", " bytes"),
    "file": ("checkpoint_bytes", " bytes"),
}
PEAKS = {"peak_resident_bytes": "resident", "peak_allocated_bytes": "allocated on the GPU"}


def table_groups(comparison: Comparison) -> list[list[dict[str, Any]]]:
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
    if title == "RAM":
        return _memory_hint(line)
    if title not in SIZES:
        return ""
    name, unit = SIZES[title]
    size, before = line.sizes[name], comparison.baseline_of(line).sizes[name]
    against = f", {change(size, before)} against {line.baseline}" if line.baseline else ""
    return f"{size:,}{unit}{against}"


def _memory_hint(line: Line) -> str:
    known = {text: line.training.get(key) for key, text in PEAKS.items()}
    return ", ".join(
        f"{text}: {'not recorded' if count is None else f'{count:,.0f} bytes'}"
        for text, count in known.items()
    )
