"""A search is fair, follows validation, and goes on where it was stopped."""

import json

import pytest

from urecjpq import search
from urecjpq.config import TrainingConfig
from urecjpq.errors import InputError
from urecjpq.experiment import describe
from urecjpq.search import AT_ONCE, Range, run_search
from urecjpq.table_config import TABLES
from urecjpq.testing import tiny_catalogue

SPACE = {
    "training.learning_rate": Range(1e-6, 3e-2),
    "backbone.num_layers": (1, 2),
}


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


def configs(catalogue):
    small = {"embedding_dim": 8, "code_length": 4, "codebook_size": 8}
    training = TrainingConfig(max_epochs=2, batch_size=256)
    return [
        describe(
            catalogue,
            name=name,
            seed=9,
            backbone={"name": "lightgcn"},
            tables=TABLES[name].model_copy(update=small),
            training=training,
        )
        for name in ("full", "jpq-kmeans")
    ]


def settings(folder):
    config = json.loads((folder / "config.json").read_text())
    return config["training"]["learning_rate"], config["backbone"]["num_layers"]


def valid(folder):
    return json.loads((folder / "metrics.json").read_text())["valid"]["recall@20"]


def test_equal_budgets_the_best_on_validation_and_a_second_call_runs_nothing(catalogue, tmp_path):
    pytest.importorskip("optuna", reason="optuna is not installed")
    trials = AT_ONCE + 1
    given = (catalogue, configs(catalogue), SPACE, trials, (0, 7), tmp_path)
    chosen = run_search(*given, workers=1)
    for name, pair in zip(("full", "jpq-kmeans"), (chosen[:2], chosen[2:]), strict=True):
        tried = [tmp_path / f"{name}-t{number}-0" for number in range(trials)]
        assert len({settings(folder)[0] for folder in tried}) == trials
        assert all(1e-6 <= settings(folder)[0] <= 3e-2 for folder in tried)
        best = max(tried, key=valid)
        assert valid(pair[0]) == valid(best)
        assert pair[1].name == pair[0].name[:-1] + "7"
    # One seed of the sampler: both groups start from the same draws.
    first = [
        [settings(tmp_path / f"{n}-t{i}-0") for i in range(AT_ONCE)]
        for n in TABLES
        if (tmp_path / f"{n}-t0-0").exists()
    ]
    assert first[0] == first[1]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/manifest.json")}
    assert len(before) == 2 * trials + 2
    assert run_search(*given, workers=1) == chosen
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/manifest.json")}


def test_refusals(catalogue, tmp_path, monkeypatch):
    given = (catalogue, configs(catalogue), SPACE)
    with pytest.raises(InputError, match="num_trials must be at least 1; got 0"):
        run_search(*given, 0, (0,), tmp_path)
    with pytest.raises(InputError, match="seeds must not be empty"):
        run_search(*given, 1, (), tmp_path)
    monkeypatch.setattr(search, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'optuna is needed .*; pip install "urecjpq\[tune\]"'):
        run_search(*given, 1, (0,), tmp_path)
    assert not list(tmp_path.iterdir())
