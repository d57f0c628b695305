"""Grids: workers do not change bits, finished runs stay, equal names are refused."""

import pytest

from urecjpq.config import TABLES, LightGCNConfig, TrainingConfig
from urecjpq.experiment import describe
from urecjpq.files import sha256_of
from urecjpq.grid import run_grid
from urecjpq.testing import tiny_catalogue


def configs(catalogue):
    return [
        describe(
            catalogue,
            name=name,
            seed=1,
            backbone=LightGCNConfig(),
            tables=TABLES[name].model_copy(update={"codebook_size": 8, "embedding_dim": 16}),
            training=TrainingConfig(max_epochs=3, batch_size=64),
        )
        for name in ("full", "jpq-kmeans")
    ]


def test_two_workers_give_the_bits_of_one(tmp_path):
    catalogue = tiny_catalogue()
    first = run_grid(catalogue, configs(catalogue), tmp_path / "one", workers=1)
    second = run_grid(catalogue, configs(catalogue), tmp_path / "two", workers=2)
    for one, two in zip(first, second, strict=True):
        for name in ("model.safetensors", "codes.safetensors", "user_metrics.safetensors"):
            assert sha256_of(one / name) == sha256_of(two / name)


def test_finished_runs_are_left_alone(tmp_path):
    catalogue = tiny_catalogue()
    folders = run_grid(catalogue, configs(catalogue), tmp_path, workers=1)
    before = [(folder / "manifest.json").stat().st_mtime_ns for folder in folders]
    run_grid(catalogue, configs(catalogue), tmp_path, workers=1)
    assert [(folder / "manifest.json").stat().st_mtime_ns for folder in folders] == before


def test_equal_names_are_refused(tmp_path):
    catalogue = tiny_catalogue()
    with pytest.raises(ValueError, match="configs must differ in name or seed"):
        run_grid(catalogue, configs(catalogue) * 2, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_workers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="workers must be at least 1; got 0"):
        run_grid(tiny_catalogue(), [], tmp_path, workers=0)
