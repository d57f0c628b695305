"""What recipes have in common: their options, and what they leave at the end."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from urecjpq.compare import compare_runs
from urecjpq.files import write_text
from urecjpq.report import write_report


def read_options(description: str, card: str, out: str) -> argparse.Namespace:
    """Return ``card``, ``data``, ``out``, ``seeds``, ``workers`` and ``epochs`` as given.

    Args:
        description: First line of ``--help``.
        card: Data set, unless another is asked for.
        out: Folder for the runs, unless another is asked for.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--card", default=card, help="data set; %(default)s")
    parser.add_argument("--data", type=Path, help="folder with the files that the card names")
    parser.add_argument("--out", type=Path, default=Path(out), help="for the runs; %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="%(default)s")
    parser.add_argument("--workers", type=int, default=1, help="runs side by side; %(default)s")
    parser.add_argument("--epochs", type=int, default=1000, help="at most; %(default)s")
    return parser.parse_args()


def conclude(folders: Sequence[Path], out: Path, name: str, baseline: str | None = None) -> None:
    """Print the runs side by side; write ``<name>.md``, ``.html`` and ``.json`` into ``out``."""
    comparison = compare_runs(folders, baseline)
    write_text(out / f"{name}.md", comparison.to_markdown())
    print(comparison.to_text())
    print("Report:", write_report(comparison, out / f"{name}.html"))
