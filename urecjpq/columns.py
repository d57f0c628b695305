"""The columns of a comparison's table: what each counts, and how it is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from urecjpq.line import Line
from urecjpq.significance import stars

MEANINGS = {
    "recall": "Hits in the first {k} places / relevant items of the user, mean over users.",
    "ndcg": "Hits in the first {k} places discounted by log2 of the place, by the best possible.",
    "hr": "Share of users with at least one hit in the first {k} places.",
    "mrr": "1 / place of the first hit in the first {k} places, 0 without one, mean over users.",
    "map": "Average precision of the first {k} places, by min({k}, relevant items), mean.",
    "precision": "Hits in the first {k} places / {k}, mean over users.",
    "coverage": "Share of all items that are in the first {k} places of any user.",
    "gini": "How unequally the first {k} places are given to items: 0 equal, near 1 few items.",
    "novelty": "Mean of -log2 of a listed item's share of the training interactions, in bits.",
}
NOT_RECORDED = "–"


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        title: Heading.
        meaning: What the column counts, one sentence.
        cell: Line → text.
    """

    title: str
    meaning: str
    cell: Callable[[Line], str]


def table_columns(
    metrics: Sequence[str], tested: bool, baseline_of: Callable[[Line], Line]
) -> tuple[Column, ...]:
    """Return what a table shows, left to right.

    Args:
        metrics: Shown, best known last: its p-value has a column.
        tested: Whether any line is tested, and so may have stars.
        baseline_of: The line that a line is tested against; a baseline is its own.
    """

    def p_cell(line: Line) -> str:
        p_value = line.p_values.get(metrics[-1])
        return "" if p_value is None else f"{p_value:.2g}"

    def file_cell(line: Line) -> str:
        size = line.sizes["checkpoint_bytes"]
        before = baseline_of(line).sizes["checkpoint_bytes"]
        return format_bytes(size) + (f" {change(size, before)}" if line.baseline else "")

    p_meaning = f"p-value of the difference in {metrics[-1]}, corrected; all are in the JSON."
    return (
        Column("model", "Name shared by runs that differ in the seed alone.", lambda x: x.name),
        Column("n", "Seeds: trained runs averaged.", lambda x: str(len(x.seeds))),
        *(Column(name, metric_meaning(name), _metric_cell(name, 3 * tested)) for name in metrics),
        Column("p", p_meaning, p_cell),
        Column("params", "Trainable numbers.", _parameter_cell),
        Column("users", "Bytes of the user table.", _size_cell("user_table_bytes")),
        Column("items", "Bytes of the item table.", _size_cell("item_table_bytes")),
        Column("file", "Bytes of the checkpoint on disk.", file_cell),
        Column(
            "RAM",
            "Most bytes resident in an epoch of training: the whole process, data included. "
            f"{NOT_RECORDED}: not recorded.",
            _memory_cell,
        ),
        Column("epoch", "Epoch of the best validation result.", _cell("best_epoch", "")),
        Column("time", "Seconds to that epoch.", _cell("seconds_to_best", " s")),
    )


def metric_meaning(name: str) -> str:
    """Return one sentence on a metric such as ``recall@20``; the name itself if unknown."""
    kind, _, k = name.partition("@")
    return MEANINGS.get(kind, name).format(k=k)


def format_bytes(count: float) -> str:
    """Return e.g. ``4.98 MB``: three digits, powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5 or unit == "GB":
            break
        count /= 1000
    digits = 0 if unit == "B" or count >= 99.95 else 1 if count >= 9.995 else 2
    return f"{count:.{digits}f} {unit}"


def change(value: float, before: float) -> str:
    """Return e.g. ``-97.9%``; ``±0%`` for no change, nothing if there was nothing before."""
    if not before:
        return ""
    percent = 100 * (value / before - 1)
    return f"{percent:+.1f}%" if abs(percent) >= 0.05 else "±0%"


def _metric_cell(name: str, room: int) -> Callable[[Line], str]:
    def cell(line: Line) -> str:
        spread = f"±{line.spread[name]:.4f}".replace("±0.", "±.") if line.spread else ""
        mark = stars(line.p_values[name]) if name in line.p_values else ""
        return f"{line.metrics[name]:.4f}{spread}{mark.ljust(room)}"

    return cell


def _size_cell(name: str) -> Callable[[Line], str]:
    return lambda line: format_bytes(line.sizes[name])


def _parameter_cell(line: Line) -> str:
    return f"{line.sizes['trainable_parameters']:,}"


def _cell(name: str, unit: str) -> Callable[[Line], str]:
    return lambda line: f"{line.training[name]:.0f}{unit}"


def _memory_cell(line: Line) -> str:
    peak = line.training.get("peak_resident_bytes")
    return NOT_RECORDED if peak is None else format_bytes(peak)
