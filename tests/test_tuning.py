import json

import pytest

from urecjpq.config import TrainingConfig
from urecjpq.errors import InputError
from urecjpq.experiment import describe
from urecjpq.table_config import TABLES
from urecjpq.testing import tiny_catalogue
from urecjpq.tuning import best_trial, learning_rates, run_tuned

SMALL = {"embedding_dim": 8, "code_length": 4, "codebook_size": 8}


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


def group(catalogue, table, rates=(1e-6, 1e-2)):
    tables = TABLES[table].model_copy(update=SMALL)
    training = TrainingConfig(max_epochs=3, batch_size=256)
    choices = {"backbone": {"name": "lightgcn"}, "tables": tables, "training": training}
    return learning_rates(describe(catalogue, name=table, seed=0, **choices), rates)


def valid(folder):
    return json.loads((folder / "metrics.json").read_text())["valid"]["recall@20"]


def test_the_best_trial_on_validation_runs_with_every_seed(catalogue, tmp_path):
    trials = [group(catalogue, "full"), group(catalogue, "jpq-kmeans")]
    folders = run_tuned(catalogue, trials, (0, 5), tmp_path, workers=1)
    assert len(folders) == 4
    for configs, pair in zip(trials, (folders[:2], folders[2:]), strict=True):
        scores = {c.name: valid(tmp_path / f"{c.name}-0") for c in configs}
        best = max(scores, key=scores.__getitem__)
        assert [folder.name for folder in pair] == [f"{best}-0", f"{best}-5"]
        # Only the chosen one was run with the second seed.
        assert sum((tmp_path / f"{name}-5").exists() for name in scores) == 1
    before = [(folder / "manifest.json").stat().st_mtime_ns for folder in folders]
    again = run_tuned(catalogue, trials, (0, 5), tmp_path, workers=1)
    assert [(folder / "manifest.json").stat().st_mtime_ns for folder in again] == before


def test_names_and_rates_go_together(catalogue):
    names = [(c.name, c.training.learning_rate) for c in group(catalogue, "full")]
    assert names == [("full-1e-06", 1e-6), ("full-0.01", 1e-2)]


def test_of_equals_the_first_is_taken(catalogue, tmp_path):
    one = group(catalogue, "full", (1e-9, 1e-8))
    run_tuned(catalogue, [one], (0,), tmp_path, workers=1)
    assert valid(tmp_path / "full-1e-09-0") == valid(tmp_path / "full-1e-08-0")
    assert best_trial(one, tmp_path) == one[0]


def test_unequal_budgets_and_no_seeds_are_refused(catalogue, tmp_path):
    one, other = group(catalogue, "full"), group(catalogue, "jpq-kmeans")[:1]
    with pytest.raises(InputError, match=r"every group must have the same number .*; got \[1, 2\]"):
        run_tuned(catalogue, [one, other], (0,), tmp_path)
    with pytest.raises(InputError, match="seeds must not be empty"):
        run_tuned(catalogue, [one], (), tmp_path)
