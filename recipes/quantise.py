"""Quantise trained models: codes of their full tables, centroids trained a little further.

    python recipes/quantise.py runs/tiktok/mgcn-full-0.001-? --card tiktok --data FOLDER

Every run given must be finished, with full tables, and of the data that --card names. Each is
quantised with every code length, which takes ten to forty epochs of its model, and set beside what
it was made of. Numbers to reach on TikTok (Recall@20, mean of three seeds): MGCN 0.099 with full
tables and 0.096 with 8 sub-ids. Finished runs are kept: the same command goes on where it was
stopped.
"""

import argparse
from pathlib import Path

from urecjpq import compare_runs, load_catalogue
from urecjpq.files import read_json
from urecjpq.graphs.neighbours import with_neighbours
from urecjpq.recipe import quantised


def main(given: argparse.Namespace) -> None:
    """Quantise what is not there yet, and print a table for every model."""
    catalogue = with_neighbours(load_catalogue(given.card, given.data))
    groups: dict[str, list[Path]] = {}
    for run in given.runs:
        choices = {"codebook_size": given.codebook_size, "weight_power": given.weight_power}
        made = [quantised(run, catalogue, given.out, m, **choices) for m in given.code_lengths]
        groups.setdefault(read_json(run / "config.json")["name"], []).extend([run, *made])
    for name, folders in groups.items():
        print(compare_runs(folders, baseline=name).to_text(), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Quantise trained models")
    parser.add_argument("runs", type=Path, nargs="+", help="finished runs with full tables")
    parser.add_argument("--card", default="tiktok", help="their data set; %(default)s")
    parser.add_argument("--data", type=Path, help="folder with the files that the card names")
    parser.add_argument("--out", type=Path, default=Path("runs/quantised"), help="for the runs")
    parser.add_argument("--code-lengths", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--codebook-size", type=int, default=256)
    parser.add_argument("--weight-power", type=float, default=1.0, help="0: all items alike")
    main(parser.parse_args())
