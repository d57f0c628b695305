"""A run that is killed again and again ends with the bytes of one that was not."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from urecjpq import describe, load_run, run_experiment
from urecjpq.errors import InputError
from urecjpq.files import read_tensors, sha256_of
from urecjpq.testing import tiny_catalogue

EPOCHS = 60
LONGEST = 10  # epochs that a child takes before it is killed, at most; leaves some for the last
CHILD = """
import functools, signal, sys
import torch
from urecjpq import experiment
from urecjpq.config import parse_config
from urecjpq.testing import tiny_catalogue

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for background jobs
torch.set_num_threads(1)
experiment.train = functools.partial(experiment.train, save_every=0.0)
folder, config = sys.argv[1:]
catalogue = tiny_catalogue()
print("started", flush=True)
experiment.run_experiment(catalogue, parse_config(config, "argv"), folder, resume=True)
"""


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture(scope="module")
def config(catalogue):
    return describe(
        catalogue,
        name="kill",
        seed=0,
        backbone={"name": "freedom"},
        tables={
            "kind": "jpq",
            "strategy": "random",
            "embedding_dim": 8,
            "code_length": 4,
            "codebook_size": 8,
            "centroid_dtype": "float16",
        },
        training={"batch_size": 64, "max_epochs": EPOCHS, "patience": EPOCHS},
    )


def start(folder, config):
    command = [sys.executable, "-c", CHILD, str(folder), config.to_json()]
    process = subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "started\n", process.stderr.read()
    return process


def history_of(path):
    """What the checkpoint says of finished epochs; it is replaced at once, so never half there."""
    return json.loads(read_tensors(path)[1]["progress"])["history"] if path.exists() else []


def wait_for_epoch(process, path, epoch):
    deadline = time.monotonic() + 300
    while len(history_of(path)) < epoch:
        assert process.poll() is None, "the child ended by itself"
        assert time.monotonic() < deadline, "the child does not get on"
        time.sleep(0.002)


def losses_of(folder):
    lines = (folder / "history.jsonl").read_text().splitlines()
    return [(record["epoch"], record["loss"], record["valid"]) for record in map(json.loads, lines)]


def test_a_killed_run_ends_with_the_same_bytes(catalogue, config, tmp_path):
    expected = run_experiment(catalogue, config, tmp_path / "straight")
    folder = tmp_path / "killed"
    path = folder / "checkpoint.safetensors"
    rng = np.random.default_rng(0)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        process = start(folder, config)
        wait_for_epoch(process, path, len(history_of(path)) + rng.integers(1, LONGEST))
        time.sleep(rng.uniform(0, 0.02))
        process.send_signal(number)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -number, errors
        assert not (folder / "manifest.json").exists()
        if number == signal.SIGINT:
            assert "KeyboardInterrupt" in errors
        else:
            assert not errors

    assert 0 < len(history_of(path)) < EPOCHS
    run_experiment(catalogue, config, folder, resume=True)
    assert losses_of(folder) == losses_of(expected)
    for name in ("model.safetensors", "codes.safetensors", "user_metrics.safetensors"):
        assert sha256_of(folder / name) == sha256_of(expected / name), name
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in expected.iterdir())
    load_run(folder)


def test_a_folder_that_another_process_works_on_is_refused(catalogue, config, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    process = start(tmp_path, config)
    try:
        wait_for_epoch(process, path, 1)
        process.send_signal(signal.SIGSTOP)
        before = {file.name: sha256_of(file) for file in tmp_path.iterdir()}
        with pytest.raises(InputError, match="one process at a time; got a second one"):
            run_experiment(catalogue, config, tmp_path, resume=True)
        assert {file.name: sha256_of(file) for file in tmp_path.iterdir()} == before
    finally:
        process.kill()
        process.communicate(timeout=300)
    run_experiment(catalogue, config, tmp_path, resume=True)
    assert not (tmp_path / ".lock").exists()
    load_run(tmp_path)
