"""Grids: workers do not change bits, finished runs stay, equal names are refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from urecjpq.config import TrainingConfig
from urecjpq.environment import code_digest
from urecjpq.errors import InputError
from urecjpq.experiment import describe
from urecjpq.files import read_json, sha256_of, write_json
from urecjpq.graphs import LightGCNConfig
from urecjpq.grid import run_grid
from urecjpq.manifest import write_run_manifest
from urecjpq.table_config import TABLES
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


def test_a_refused_run_stops_the_grid(tmp_path):
    catalogue = tiny_catalogue()
    first, second = configs(catalogue)
    tables = second.tables.model_copy(update={"codebook_size": 41})
    bad = second.model_copy(update={"tables": tables})
    with pytest.raises(InputError, match=r"codebook_size must lie in \[1, 40\]"):
        run_grid(catalogue, [bad, first], tmp_path, workers=2)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")
def test_workers_end_with_a_killed_parent(tmp_path):
    code = (
        "import sys\n"
        "from urecjpq.config import TrainingConfig\n"
        "from urecjpq.table_config import TABLES\n"
        "from urecjpq.graphs import LightGCNConfig\n"
        "from urecjpq.experiment import describe\n"
        "from urecjpq.grid import run_grid\n"
        "from urecjpq.testing import tiny_catalogue\n"
        "if __name__ == '__main__':\n"
        "    catalogue = tiny_catalogue()\n"
        "    training = TrainingConfig(max_epochs=10**6, patience=10**6, batch_size=64)\n"
        "    configs = [describe(catalogue, name='long', seed=seed, backbone=LightGCNConfig(),\n"
        "                        tables=TABLES['full'], training=training) for seed in (0, 1)]\n"
        "    run_grid(catalogue, configs, sys.argv[1], workers=2)\n"
    )
    script = tmp_path / "grid.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, script, tmp_path / "runs"], start_new_session=True)
    try:
        wait_until(lambda: len(list((tmp_path / "runs").glob("*/config.json"))) == 2)
        parent.kill()
        parent.wait()
        # Every process of the session is the parent's: workers, resource tracker.
        wait_until(lambda: not processes_of(parent.pid))
    finally:
        for process in processes_of(parent.pid):
            os.kill(process, signal.SIGKILL)
        parent.wait()


def wait_until(condition, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.1)


def processes_of(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_runs_of_other_code_are_run_again_where_asked(tmp_path):
    catalogue = tiny_catalogue()
    folders = run_grid(catalogue, configs(catalogue), tmp_path, workers=1)
    results = folders[0] / "metrics.json"
    code = read_json(results)["environment"]["code"]
    assert code == code_digest()
    write_json(results, read_json(results) | {"environment": {"code": "other"}})
    write_run_manifest(folders[0])
    before = [(folder / "manifest.json").stat().st_mtime_ns for folder in folders]
    run_grid(catalogue, configs(catalogue), tmp_path, workers=1)
    assert read_json(results)["environment"]["code"] == "other"
    run_grid(catalogue, configs(catalogue), tmp_path, workers=1, same_code=True)
    after = [(folder / "manifest.json").stat().st_mtime_ns for folder in folders]
    assert after[0] > before[0] and after[1] == before[1]
    assert read_json(results)["environment"]["code"] == code
