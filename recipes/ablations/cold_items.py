"""Cold items: codes from features after training, for items that nobody touched.

    python recipes/ablations/cold_items.py --data FOLDER

FOLDER holds the files of TikTok, which have dense image and audio features; --card toy-shop needs
none. A tenth of the items is held out, BPR-MF is trained without them (a minute or two), and users
rank the cold items alone, then all items. docs/ablations/cold-items.md says what to expect.
"""

import numpy as np
import torch

from urecjpq import describe, load_catalogue, load_run, run_experiment
from urecjpq.assignment.features import encode_with, vectors_from_features
from urecjpq.config import TrainingConfig
from urecjpq.data.cold import ColdItems, hold_out_items
from urecjpq.encoding import encode_catalogue
from urecjpq.evaluation import rank_items
from urecjpq.metrics import user_metrics
from urecjpq.recipe import read_options
from urecjpq.table_config import TABLES

SHARE = 0.1
BACKBONE = {"name": "bprmf"}
K = 20


def main(options) -> None:
    """Train what is not there yet and print Recall@20 of the cold items, way by way."""
    catalogue = load_catalogue(options.card, options.data)
    catalogue = encode_catalogue(catalogue, () if catalogue.features else ("tfidf", "colour"))
    for seed in options.seeds:
        cold = hold_out_items(catalogue, SHARE, seed)
        config = describe(
            cold.catalogue,
            name="bprmf-jpq-kmeans-cold",
            seed=seed,
            backbone=BACKBONE,
            tables=TABLES["jpq-kmeans"],
            training=TrainingConfig(learning_rate=1e-3, max_epochs=options.epochs),
        )
        folder = options.out / options.card / f"{config.name}-{seed}"
        run = load_run(run_experiment(cold.catalogue, config, folder, resume=True))
        print(f"{options.card}, seed {seed}: {len(cold.items)} cold items")
        print(f"{'':<28}{'cold items alone':>18}{'all items':>12}")
        for name, (users, items) in ways(run, cold, seed).items():
            alone, among = recall(users, items, cold, True), recall(users, items, cold, False)
            print(f"{name:<28}{alone:>18.4f}{among:>12.4f}")


def ways(run, cold: ColdItems, seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return user and item vectors of each way to score cold items."""
    users, items = run.vectors
    features = joined(cold.catalogue)
    rng = np.random.default_rng(seed)
    popularity = np.bincount(run.interactions.indices, minlength=len(items)).astype(np.float32)
    # Ties in any order but that of the rows, which many data sets number by first touch.
    popularity = (popularity + rng.uniform(0, 0.5, len(items)).astype(np.float32))[:, None]
    guessed = vectors_from_features(features, popularity, cold.items)
    means = vectors_from_features(features, items.numpy(), cold.items)
    centroids = run.backbone.item_table.centroids.detach().numpy()
    codes = encode_with(means, centroids)
    decoded = centroids[np.arange(codes.shape[1]), codes].reshape(means.shape)
    drawn = rng.normal(size=means.shape).astype(np.float32)
    ones = torch.ones(len(users), 1)
    return {
        "random": (users, filled(items, cold, drawn * means.std())),
        "popularity": (ones, torch.from_numpy(popularity)),
        "popularity of neighbours": (ones, filled(torch.from_numpy(popularity), cold, guessed)),
        "vector of neighbours": (users, filled(items, cold, means)),
        "codes from features": (users, filled(items, cold, decoded)),
    }


def joined(catalogue) -> np.ndarray:
    """Return all modalities side by side, each of unit length, zero where there is none."""
    parts = []
    for features in catalogue.features.values():
        values = np.where(features.present[:, None], features.rows(slice(None)), 0)
        values = values.astype(np.float32)
        parts.append(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))
    return np.concatenate(parts, axis=1)


def filled(items: torch.Tensor, cold: ColdItems, values: np.ndarray) -> torch.Tensor:
    """Return item vectors with others in the rows of cold items."""
    items = items.clone()
    items[torch.from_numpy(cold.items)] = torch.from_numpy(values)
    return items


def recall(users: torch.Tensor, items: torch.Tensor, cold: ColdItems, alone: bool) -> float:
    """Return Recall@20 of cold items, ranked alone or among all that the user has not touched."""
    asked = np.flatnonzero(np.diff(cold.touched.indptr))
    relevant = cold.touched[asked]
    if alone:
        lists = rank_items(users, items[torch.from_numpy(cold.items)], asked, None, K)
        relevant = relevant[:, cold.items]
    else:
        lists = rank_items(users, items, asked, cold.catalogue.matrix("train"), K)
    return float(user_metrics(lists.numpy(), relevant, (K,), ["recall"])[f"recall@{K}"].mean())


if __name__ == "__main__":
    main(read_options("Cold items by their features", "tiktok", "runs/ablations/cold"))
