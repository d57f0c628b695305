"""What a report measures itself, beside the numbers that runs keep: usage, latency, neighbours."""

from dataclasses import dataclass, field
from typing import Any

from urecjpq.comparison import Comparison
from urecjpq.data.catalogue import Catalogue
from urecjpq.environment import processor
from urecjpq.line import Line
from urecjpq.reporting.latency import Latency, instructions, measure_latency
from urecjpq.reporting.sheet import neighbour_sheet, quantised_pairs
from urecjpq.reporting.usage import CodeUsage, code_usage
from urecjpq.runs import Run, load_run


@dataclass(frozen=True)
class Measurements:
    """Sections of a page beyond the table and its plots; empty ones are left out.

    Args:
        usage: Of every quantised table, first seeds.
        latency: By run and method.
        machine: Where latency was measured.
        sheets: Items and their neighbours, one sheet per backbone, see `neighbour_sheet`.
    """

    usage: tuple[CodeUsage, ...] = ()
    latency: tuple[Latency, ...] = ()
    machine: str = ""
    sheets: tuple[dict[str, Any], ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as JSON values; items and pictures stay in the page."""
        return {
            "code_usage": [usage.to_json() for usage in self.usage],
            "latency": {"machine": self.machine, "methods": [vars(x) for x in self.latency]},
            "neighbours": [pair for sheet in self.sheets for pair in sheet["agreement"]],
        }


def measure(
    comparison: Comparison, catalogue: Catalogue | None = None, queries: int = 50
) -> Measurements:
    """Return code usage of all lines, and latency and neighbours of a pair for each backbone.

    A pair is full tables and the best quantised ones, see `quantised_pairs`; where there is none,
    the first line alone has its latency measured.

    Args:
        comparison: Its lines must know their run folders.
        catalogue: Gives pictures of items; titles come from the runs otherwise.
        queries: Of each method and run; 0 measures no latency.
    """
    usage = [
        x for line in comparison.lines if line.folder for x in code_usage(line.name, line.folder)
    ]
    pairs = quantised_pairs(comparison)
    shown = [line for pair in pairs for line in pair] or list(comparison.lines[:1])
    runs = {line.name: load_run(line.folder) for line in shown if line.folder}
    timed = runs if queries else {}
    latency = [x for name, run in timed.items() for x in measure_latency(name, run, queries)]
    return Measurements(
        usage=tuple(usage),
        latency=tuple(latency),
        machine=f"{processor()}, kernels for {instructions()}" if queries else "",
        sheets=tuple(neighbour_sheet(_named(pair, runs), catalogue) for pair in pairs),
    )


def _named(pair: tuple[Line, Line], runs: dict[str, Run]) -> list[tuple[str, Run]]:
    return [(line.name, runs[line.name]) for line in pair]
