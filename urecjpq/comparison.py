"""Finished runs side by side: lines, the data they share, and the forms of their table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from urecjpq.columns import Column, table_columns
from urecjpq.line import Line
from urecjpq.table_forms import as_latex, as_markdown, as_text

CANDIDATES = {
    "train": "all items minus the user's training items",
    "train+valid": "all items minus the user's training and validation items",
    "none": "all items, also those that the user has seen",
}


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
        return table_columns(self.metrics, self.num_tests > 0, self.baseline_of)

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
        """Return the table for a terminal."""
        return as_text(self._titles, self.rows(), self.notes())

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        return as_markdown(self._titles, self.rows(), self.notes())

    def to_latex(self) -> str:
        """Return the table in LaTeX."""
        return as_latex(self._titles, self.rows(), self.notes())

    @property
    def _titles(self) -> list[str]:
        return [column.title for column in self.columns]

    def to_json(self) -> dict[str, Any]:
        """Return every number as JSON values; histories and per-user vectors stay in the runs."""
        left_out = ("per_user", "history", "folder")
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
