"""The table of a comparison: its lines, its columns, and the forms it is written in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from urecjpq.significance import stars

CANDIDATES = {
    "train": "all items minus the user's training items",
    "train+valid": "all items minus the user's training and validation items",
}
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


@dataclass(frozen=True)
class Line:
    """The runs of one name: the same model trained from different seeds.

    Args:
        name: Name of the runs.
        backbone: E.g. ``lightgcn``.
        tables: The ``tables`` part of the configuration.
        seeds: Seeds in ascending order.
        metrics: Test metrics, means over seeds.
        spread: Standard deviations over seeds (n - 1); empty for a single seed.
        sizes: Means over seeds of the counts in ``metrics.json``.
        training: Means over seeds of epochs and seconds.
        per_user: Vectors of each metric, averaged over seeds. Shape ``(num_evaluated,)``.
        history: One record per epoch of the first seed; empty if not kept.
        baseline: Name of the line this one is tested against; None for a baseline itself.
        p_values: By metric, corrected for the number of tests; empty for a baseline.
    """

    name: str
    backbone: str
    tables: dict[str, Any]
    seeds: tuple[int, ...]
    metrics: dict[str, float]
    spread: dict[str, float]
    sizes: dict[str, int]
    training: dict[str, float]
    per_user: dict[str, np.ndarray] = field(repr=False)
    history: list[dict] = field(default_factory=list, repr=False)
    baseline: str | None = None
    p_values: dict[str, float] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """Whether the tables are plain full ones, started at random."""
        return self.tables["kind"] == "full" and self.tables.get("start") in (None, "random")

    @property
    def label(self) -> str:
        """The name without the backbone in front, where plots and groups tell the backbone."""
        return self.name.removeprefix(f"{self.backbone}-")


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


@dataclass(frozen=True)
class Comparison:
    """Lines to compare, in the order the runs were given.

    Args:
        lines: One per name, at least one.
        metrics: The metrics shown, and tested where kept per user.
        catalogue: Name and digest of the data.
        protocol: How candidates were chosen.
        num_users: Users with at least one relevant item.
        num_tests: Tests the p-values are corrected for.
    """

    lines: tuple[Line, ...]
    metrics: tuple[str, ...]
    catalogue: dict[str, str]
    protocol: dict[str, str]
    num_users: int
    num_tests: int

    def baseline_of(self, line: Line) -> Line:
        """Return the line that ``line`` is tested against; a baseline is its own."""
        return next(other for other in self.lines if other.name == (line.baseline or line.name))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What the table shows, left to right."""
        return (
            Column("model", "Name shared by runs that differ in the seed alone.", lambda x: x.name),
            Column("n", "Seeds: trained runs averaged.", lambda x: str(len(x.seeds))),
            *(
                Column(name, metric_meaning(name), _metric_cell(name, 3 * (self.num_tests > 0)))
                for name in self.metrics
            ),
            Column(
                "p",
                f"p-value of the difference in {self.metrics[-1]}, corrected; all are in the JSON.",
                self._p_cell,
            ),
            Column("params", "Trainable numbers.", _parameter_cell),
            Column("users", "Bytes of the user table.", _size_cell("user_table_bytes")),
            Column("items", "Bytes of the item table.", _size_cell("item_table_bytes")),
            Column("file", "Bytes of the checkpoint on disk.", self._file_cell),
            Column("epoch", "Epoch of the best validation result.", _cell("best_epoch", "")),
            Column("time", "Seconds to that epoch.", _cell("seconds_to_best", " s")),
        )

    def _p_cell(self, line: Line) -> str:
        p_value = line.p_values.get(self.metrics[-1])
        return "" if p_value is None else f"{p_value:.2g}"

    def _file_cell(self, line: Line) -> str:
        size = line.sizes["checkpoint_bytes"]
        before = self.baseline_of(line).sizes["checkpoint_bytes"]
        return format_bytes(size) + (f" {change(size, before)}" if line.baseline else "")

    def rows(self) -> list[list[str]]:
        """Return the cells of the table, line by line."""
        return [[column.cell(line) for column in self.columns] for line in self.lines]

    def notes(self) -> list[str]:
        """Return what a reader must know beside the numbers, one sentence each."""
        rule = CANDIDATES.get(self.protocol.get("exclude", ""), str(self.protocol))
        data = f"{self.catalogue['name']} (sha256 {self.catalogue['digest'][:12]}…)"
        notes = [f"Test partition of {data}, {self.num_users:,} users. Ranked: {rule}."]
        if any(line.spread for line in self.lines):
            notes.append("± is the standard deviation over seeds.")
        names = dict.fromkeys(line.baseline for line in self.lines if line.baseline)
        if names:
            notes.append(f"Percentages are against the baseline: {', '.join(names)}.")
        if self.num_tests:
            notes.append(
                "*, **, *** mark a difference from the baseline with p < .05, .01, .001: "
                f"paired t-test over users, Bonferroni over {self.num_tests} tests."
            )
        return notes

    def to_text(self) -> str:
        """Return the table for a terminal, names to the left and numbers to the right."""
        table = [[column.title for column in self.columns], *self.rows()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
            for row in table
        ]
        return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:], "", *self.notes(), ""])

    def to_markdown(self) -> str:
        """Return the table in Markdown; stars are escaped, or they would mean bold."""
        head = [column.title for column in self.columns]
        rule = ["---", *["---:"] * (len(head) - 1)]
        rows = [[cell.rstrip().replace("|", "\\|") for cell in row] for row in self.rows()]
        lines = ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]
        notes = [f"- {note}" for note in self.notes()]
        return "\n".join([*lines, "", *notes, ""]).replace("*", "\\*")

    def to_json(self) -> dict[str, Any]:
        """Return every number as JSON values; histories and per-user vectors stay in the runs."""
        left_out = ("per_user", "history")
        lines = [{k: v for k, v in vars(x).items() if k not in left_out} for x in self.lines]
        return {
            "schema": 1,
            "catalogue": self.catalogue,
            "protocol": self.protocol,
            "users": self.num_users,
            "metrics": list(self.metrics),
            "tests": self.num_tests,
            "lines": [line | {"seeds": list(line["seeds"])} for line in lines],
        }


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
