"""One line of a comparison: what the runs of one name reached."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Line:
    """The runs of one name: the same model trained from different seeds.

    Args:
        name: Name of the runs.
        backbone: E.g. ``lightgcn``.
        settings: The ``backbone`` part of the configuration.
        tables: The ``tables`` part of the configuration.
        seeds: Seeds in ascending order.
        metrics: Test metrics, means over seeds.
        spread: Standard deviations over seeds (n - 1); empty for a single seed.
        sizes: Means over seeds of the counts in ``metrics.json``.
        training: Means over seeds of epochs and seconds.
        per_user: Vectors of each metric, averaged over seeds. Shape ``(num_evaluated,)``.
        history: One record per epoch of the first seed; empty if not kept.
        folder: Of the first seed's run, or None.
        baseline: Name of the line this one is tested against; None for a baseline itself.
        p_values: By metric, corrected for the number of tests; empty for a baseline.
    """

    name: str
    backbone: str
    settings: dict[str, Any]
    tables: dict[str, Any]
    seeds: tuple[int, ...]
    metrics: dict[str, float]
    spread: dict[str, float]
    sizes: dict[str, int]
    training: dict[str, float]
    per_user: dict[str, np.ndarray] = field(repr=False)
    history: list[dict] = field(default_factory=list, repr=False)
    folder: Path | None = None
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
