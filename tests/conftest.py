"""One thread and fixed seeds for every test."""

import random
import runpy
import sys

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _reproducible():
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - for libraries that still draw from the global state


@pytest.fixture
def recipe(monkeypatch, tmp_path):
    """Run a recipe as a program with arguments, and a cache of its own."""
    from urecjpq.testing import REPOSITORY

    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "cache"))

    def run(name, *arguments):
        path = str(REPOSITORY / "recipes" / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        runpy.run_path(path, run_name="__main__")

    return run
