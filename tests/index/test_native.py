"""Which path is taken, and what happens where no compiler was."""

import subprocess
import sys

import pytest

from urecjpq.errors import InputError
from urecjpq.index import native

WITHOUT = """
import sys
sys.modules["urecjpq.index._kernels"] = None
import numpy as np
from urecjpq.index import TopKIndex
index = TopKIndex.from_codes(np.zeros((5, 2), int), np.ones((2, 3, 1)))
for _ in range(2):
    found = index.search(np.ones(2, np.float32), 2, method="scan")
print(found.ids.tolist(), found.scores.tolist(), found.statistics.path)
"""


def test_the_reference_runs_everywhere():
    assert native.paths()[-1] == native.REFERENCE
    assert native.path() in native.paths()


@pytest.mark.parametrize("path", native.paths())
def test_the_variable_forces_a_path(path, monkeypatch):
    monkeypatch.setenv("URECJPQ_SIMD", path)
    assert native.path() == path


def test_an_unknown_path_is_refused(monkeypatch):
    monkeypatch.setenv("URECJPQ_SIMD", "sse9")
    names = ", ".join(native.paths())
    message = f"URECJPQ_SIMD must be one of {names} on this machine; got 'sse9'"
    with pytest.raises(InputError, match=message):
        native.path()


def run(*options):
    command = [sys.executable, *options, "-c", WITHOUT]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def test_without_kernels_one_warning_and_the_same_answer():
    result = run()
    assert result.stdout == "[0, 1] [2.0, 2.0] reference\n"
    assert result.stderr.count("RuntimeWarning: urecjpq.index runs without its compiled") == 1


def test_the_reference_asked_for_gives_no_warning(monkeypatch):
    monkeypatch.setenv("URECJPQ_SIMD", "reference")
    assert run("-W", "error").stdout == "[0, 1] [2.0, 2.0] reference\n"
