"""A comparison as one HTML page that needs no other file, and its numbers beside it as JSON."""

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from urecjpq.comparison import Comparison
from urecjpq.errors import require
from urecjpq.files import write_json, write_text
from urecjpq.reporting.measurements import Measurements
from urecjpq.reporting.rows import table_groups
from urecjpq.reporting.templates import render_template
from urecjpq.reporting.usage import bin_names

WIDTHS = {"wide": 1200, "narrow": 350}  # CSS pixels; the page shows one of the two
HALF = {"wide": 592, "narrow": 350}  # two beside each other where there is room
CURVE = "recall@20"  # every validation has it
BANDS_K = 20


def write_report(
    comparison: Comparison,
    path: Path | str,
    extras: Sequence[dict[str, Any]] | None = None,
    measurements: Measurements | None = None,
) -> Path:
    """Write the page, and ``report.json`` beside ``report.html``; equal input gives equal bytes.

    Args:
        comparison: What `urecjpq.compare.compare_runs` returns.
        path: Ends in ``.html``; its folder is made if absent.
        extras: Recommendations to show, one dict per user: ``user`` (text), ``past`` and
            ``recommended``, lists of ``{"title": …, "picture": None or "data:image/…"}``.
        measurements: What `urecjpq.reporting.measure` returns: code usage, latency, neighbours.

    Returns:
        The path of the page.

    Raises:
        InputError: The suffix is another, or a picture is not a data URI.
    """
    path = Path(path)
    require(path.suffix == ".html", "path must end in .html", path.name)
    _check_pictures(extras or [])
    measured = measurements or Measurements()
    page = _render(comparison, extras or [], measured)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.with_suffix(".json"), comparison.to_json() | measured.to_json())
    write_text(path, page)
    return path


def _check_pictures(extras: Sequence[dict[str, Any]]) -> None:
    for user in extras:
        for item in [*user["past"], *user["recommended"]]:
            picture = item.get("picture")
            inline = picture is None or picture.startswith("data:image/")
            hint = "A page that fetches pictures is not self-contained."
            require(inline, "picture must be a data:image/… URI", repr(picture)[:60], hint)


def _render(
    comparison: Comparison, extras: Sequence[dict[str, Any]], measured: Measurements
) -> str:
    return render_template(
        "report.html",
        comparison=comparison,
        title=_title(comparison),
        groups=table_groups(comparison),
        plots=_plots(comparison),
        measured=measured,
        bins=bin_names(),
        extras=extras,
        version=importlib.metadata.version("urecjpq"),
    )


def _title(comparison: Comparison) -> str:
    lines = comparison.lines
    backbones = ", ".join(dict.fromkeys(line.backbone for line in lines))
    runs = sum(len(line.seeds) for line in lines)
    models = "1 model" if len(lines) == 1 else f"{len(lines)} models"
    trained = "1 run" if runs == 1 else f"{runs} runs"
    return f"{comparison.catalogue['name']}: {models} ({trained}) of {backbones}"


def _plots(comparison: Comparison) -> list[dict[str, Any]]:
    """Return heading, caption and drawings of each plot that has data."""
    from urecjpq.reporting.bars import plot_bands, plot_tables
    from urecjpq.reporting.curves import plot_sizes, plot_training

    lines = comparison.lines
    metric = "ndcg@20" if all("ndcg@20" in x.metrics for x in lines) else comparison.metrics[-1]
    sides = {
        side: [x for x in lines if x.sizes[f"{side}_table_bytes"]] for side in ("user", "item")
    }
    banded = [x for x in lines if f"recall_tail@{BANDS_K}" in x.metrics]
    kept = [x for x in lines if x.history and all(CURVE in r["valid"] for r in x.history)]
    plots = [
        _plot(
            f"{metric} against bytes of the user and of the item table",
            "Up and to the left is better. Colours tell the backbones; a star and a dashed line "
            "mark full tables from a random start.",
            *(
                lambda width, side=side: plot_sizes(
                    sides[side], metric, f"{side}_table_bytes", width
                )
                for side in sides
                if sides[side]
            ),
        ),
        _plot(
            "Bytes of the tables",
            "What the user and the item vectors take: floats, or codes and centroids.",
            lambda width: plot_tables(lines, width),
        ),
    ]
    if banded:
        plots.append(
            _plot(
                f"Recall@{BANDS_K} by popularity",
                "Only items of one band count as relevant. Head: the most popular items that hold "
                "half of the training interactions; tail: fewer than five; torso: the rest.",
                lambda width: plot_bands(banded, BANDS_K, width),
            )
        )
    if kept:
        plots.append(
            _plot(
                "Training",
                f"Validation {CURVE} after each epoch, first seed; the dot is the epoch kept.",
                lambda width: plot_training(kept, CURVE, width),
            )
        )
    return plots


def _plot(title: str, caption: str, *draw: Callable[[int], str]) -> dict[str, Any]:
    """Return one drawing per width of each of ``draw``, two of which stand beside each other."""
    from markupsafe import Markup

    widths = WIDTHS if len(draw) == 1 else HALF
    drawings = {name: [Markup(each(width)) for each in draw] for name, width in widths.items()}
    return {"title": title, "caption": caption, "drawings": drawings}
