"""How evenly codes use their centroids: histogram, entropy and dead centroids of each split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from urecjpq.files import read_json, read_tensors

SIDES = {"users": "user_table.codes", "items": "item_table.codes"}
BINS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Where the bins of the histogram begin; the last has no end."""


@dataclass(frozen=True)
class SplitUsage:
    """How often the centroids of one split are used.

    Args:
        entropy: Of a row's sub-id, in bits; log2 of the codebook size if all are used alike.
        dead: Centroids that no row uses.
        histogram: Centroids by the number of rows that use them, see `BINS`.
    """

    entropy: float
    dead: int
    histogram: tuple[int, ...]


@dataclass(frozen=True)
class CodeUsage:
    """The codes of one table of one run.

    Args:
        name: Of the run's line.
        side: ``users`` or ``items``.
        codebook_size: Centroids per split.
        splits: One per split.
    """

    name: str
    side: str
    codebook_size: int
    splits: tuple[SplitUsage, ...]

    @property
    def mean_entropy(self) -> float:
        return float(np.mean([split.entropy for split in self.splits]))

    @property
    def most_entropy(self) -> float:
        return float(np.log2(self.codebook_size))

    @property
    def used_bins(self) -> list[int]:
        """Bins that any split has centroids in, the first (dead ones) left out."""
        counts = np.sum([split.histogram for split in self.splits], axis=0)
        return [place for place in range(1, len(BINS)) if counts[place]]

    @property
    def dead(self) -> int:
        return sum(split.dead for split in self.splits)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {
            "name": self.name,
            "side": self.side,
            "codebook_size": self.codebook_size,
            "bins": list(BINS),
            "splits": [vars(split) | {"histogram": list(split.histogram)} for split in self.splits],
        }


def code_usage(name: str, folder: Path) -> list[CodeUsage]:
    """Return the usage of each quantised table of a finished run; empty if none is."""
    path = folder / "codes.safetensors"
    codes = read_tensors(path)[0] if path.stat().st_size else {}
    size = read_json(folder / "config.json")["tables"].get("codebook_size")
    return [
        CodeUsage(name, side, size, tuple(usage_of(split, size) for split in codes[key].numpy().T))
        for side, key in SIDES.items()
        if key in codes
    ]


def usage_of(sub_ids: np.ndarray, codebook_size: int) -> SplitUsage:
    """Return the usage of one split's sub-ids. Shape ``(num_rows,)``."""
    counts = np.bincount(sub_ids, minlength=codebook_size)
    shares = counts[counts > 0] / counts.sum()
    bins = np.searchsorted(BINS, counts, side="right") - 1
    return SplitUsage(
        entropy=float(-(shares * np.log2(shares)).sum()),
        dead=int((counts == 0).sum()),
        histogram=tuple(np.bincount(bins, minlength=len(BINS)).tolist()),
    )


def bin_names() -> list[str]:
    """Return what the bins of a histogram are called: ``0``, ``1``, ``2–3``, …, ``1024+``."""
    ends = [following - 1 for following in BINS[1:]]
    named = [
        f"{low}–{high}" if high > low else str(low) for low, high in zip(BINS, ends, strict=False)
    ]
    return [*named, f"{BINS[-1]}+"]
