"""Loggers are told what history.jsonl holds; read back with the packages' own readers."""

import json
from pathlib import Path

import pytest

from urecjpq import loggers
from urecjpq.errors import InputError
from urecjpq.experiment import describe, run_experiment
from urecjpq.testing import tiny_catalogue

VALID = "valid/recall_at_20"


def run(folder, log, epochs=3):
    catalogue = tiny_catalogue()
    config = describe(
        catalogue,
        name="short",
        seed=0,
        backbone={"name": "lightgcn"},
        tables={"kind": "full", "embedding_dim": 8},
        training={"max_epochs": epochs, "batch_size": 64},
    )
    return run_experiment(catalogue, config, folder, log=log)


def history(folder: Path) -> list[float]:
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [json.loads(line)["valid"]["recall@20"] for line in lines]


def recall(folder: Path) -> float:
    return json.loads((folder / "metrics.json").read_text())["test"]["recall@20"]


def test_tensorboard_reads_every_epoch_and_the_test_metrics(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = run(tmp_path / "run", ["tensorboard"])
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    found = [(event.step, event.value) for event in events.Scalars(VALID)]
    assert [step for step, _ in found] == [1, 2, 3]
    assert [value for _, value in found] == pytest.approx(history(folder))
    (test,) = events.Scalars("test/recall_at_20")
    assert test.value == pytest.approx(recall(folder))
    assert (folder / "manifest.json").is_file()


# Its own use of SQLAlchemy is none of our business.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlflow_reads_every_epoch_and_the_settings(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    folder = run(tmp_path / "run", ["mlflow"])
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("tiny")
    (found,) = client.search_runs([experiment.experiment_id])
    values = client.get_metric_history(found.info.run_id, VALID)
    assert [metric.step for metric in values] == [1, 2, 3]
    assert [metric.value for metric in values] == pytest.approx(history(folder))
    assert found.data.params["tables.embedding_dim"] == "8"
    assert found.data.metrics["test/recall_at_20"] == pytest.approx(recall(folder))
    assert found.info.status == "FINISHED"


def test_wandb_keeps_a_run_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    folder = run(tmp_path / "run", ["wandb"])
    (kept,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    assert kept.stat().st_size > 1000 and (folder / "manifest.json").is_file()


def test_a_killed_run_tells_its_whole_history_again(tmp_path):
    """A logger of a resumed run knows the epochs before, and history.jsonl has each once."""
    folder = run(tmp_path / "straight", [], epochs=4)
    path = tmp_path / "history.jsonl"
    path.write_text("left by a killed process\n")
    from urecjpq.experiment import _teller

    told = []
    tell = _teller(path, [Remembering(told)])  # pyright: ignore
    for line in (folder / "history.jsonl").read_text().splitlines():
        tell(json.loads(line))
    assert path.read_text() == (folder / "history.jsonl").read_text()
    assert [step for step, _ in told] == [1, 2, 3, 4]
    assert [values[VALID] for _, values in told] == history(folder)


class Remembering:
    def __init__(self, told):
        self.told = told

    def log(self, values, step):
        self.told.append((step, dict(values)))


def test_what_is_missing_or_unknown_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="log must be one of tensorboard, mlflow, wandb; got 'x'"):
        run(tmp_path / "run", ["x"])
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    expected = r'mlflow is needed for --log mlflow; pip install "urecjpq\[mlflow\]"\.'
    with pytest.raises(InputError, match=expected):
        run(tmp_path / "run", ["mlflow"])
    assert not (tmp_path / "run").exists()


def test_nested_values_get_flat_names():
    values = {"valid": {"recall@20": 0.5}, "loss": 1.0}
    assert loggers.flat(values) == {VALID: 0.5, "loss": 1.0}
    assert loggers.flat({"a": {"b": {"c": 1}}}, ".") == {"a.b.c": 1}
