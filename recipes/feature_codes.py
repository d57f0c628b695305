"""TikTok: frozen features in full against the same features as product-quantised codes.

    python recipes/feature_codes.py --data FOLDER

Of a million items, features of 512 numbers take 2 GB, and codes of 16 sub-ids 16 MB: at that size
features outweigh all tables. Three models read them in three ways: VBPR as a part of its scores,
FREEDOM in its loss, SLMRec as one of the graphs' inputs. Tables are full, so that nothing else is
quantised. Finished runs are kept: the same command goes on where it was stopped.
"""

import argparse
from pathlib import Path

from urecjpq import compare_runs, describe, load_catalogue, run_grid
from urecjpq.config import TrainingConfig
from urecjpq.feature_codes import with_quantised_features
from urecjpq.graphs.neighbours import with_neighbours

BACKBONES = ("vbpr", "freedom", "slmrec")
CODE_LENGTHS = (None, 32, 16, 8)
TRAINING = TrainingConfig(learning_rate=4e-3, batch_size=2048, patience=8)


def main(data: Path, out: Path, backbones: list[str], seeds: list[int], workers: int) -> None:
    """Train what is not there yet, and print the table."""
    full = with_neighbours(load_catalogue("tiktok", data))
    folders = []
    for length in CODE_LENGTHS:
        catalogue = full if length is None else with_quantised_features(full, length)
        configs = [
            describe(
                catalogue,
                name=f"{backbone}-features-{length or 'full'}",
                seed=seed,
                backbone={"name": backbone},
                training=TRAINING,
            )
            for backbone in backbones
            for seed in seeds
        ]
        folders += run_grid(catalogue, configs, out, workers)
    print(compare_runs(sorted(folders)).to_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Features in full and as codes")
    parser.add_argument("--data", type=Path, required=True, help="folder with the TikTok files")
    parser.add_argument("--out", type=Path, default=Path("runs/feature-codes"), help="for the runs")
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), help="%(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="%(default)s")
    parser.add_argument("--workers", type=int, default=2, help="runs side by side")
    chosen = parser.parse_args()
    main(chosen.data, chosen.out, chosen.backbones, chosen.seeds, chosen.workers)
