"""The command line: one-line refusals, exit status 2, quick help."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from urecjpq.cli import app, main

SMALL = ["--set", "training.max_epochs=2", "--set", "tables.codebook_size=32"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    before = os.environ.get("URECJPQ_HOME")
    os.environ["URECJPQ_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["URECJPQ_HOME"]
    else:
        os.environ["URECJPQ_HOME"] = before


@pytest.fixture(scope="module")
def run(home) -> Path:
    """A finished run on the toy shop."""
    out = home / "run"
    result = CliRunner().invoke(app, ["train", "toy-shop", "--out", str(out), *SMALL])
    assert result.exception is None, result.output
    assert "| recall@20 |" in result.output
    return out


def refused(capsys, monkeypatch, *arguments) -> str:
    """Return the one line that ``urecjpq <arguments>`` prints when it refuses."""
    monkeypatch.setattr(sys, "argv", ["urecjpq", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_info:
        main()
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def test_recommend_prints_titles(run):
    result = CliRunner().invoke(app, ["recommend", str(run), "U0007", "-k", "3"])
    lines = result.output.splitlines()
    assert len(lines) == 3
    assert all(len(line.split(maxsplit=3)) == 4 for line in lines)


def test_evaluate_repeats_the_run(run):
    result = CliRunner().invoke(app, ["evaluate", str(run)])
    printed = dict(line.split() for line in result.output.splitlines())
    stored = json.loads((run / "metrics.json").read_text())["test"]
    assert float(printed["recall@20"]) == pytest.approx(stored["recall@20"], abs=5e-5)


def test_compare_writes_the_page(run, tmp_path):
    page = tmp_path / "report.html"
    result = CliRunner().invoke(app, ["compare", str(run), "--out", str(page)])
    assert result.exception is None
    assert "lightgcn-jpq-kmeans" in page.read_text()


def test_resume_leaves_a_finished_run(run):
    before = (run / "manifest.json").read_bytes()
    again = ["train", "toy-shop", "--out", str(run), *SMALL, "--resume"]
    assert CliRunner().invoke(app, again).exception is None
    assert (run / "manifest.json").read_bytes() == before


def test_datasets_lists_every_card():
    lines = CliRunner().invoke(app, ["datasets"]).output.splitlines()
    assert {"amazon-baby", "toy-shop"} <= {line.split()[0] for line in lines}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "nowhere", "--out", "x"], "nowhere"),
        (["train", "toy-shop", "--out", "x", "--tables", "pq"], "tables must be one of full, "),
        (["train", "toy-shop", "--out", "x", "--set", "seed"], "--set must be FIELD=VALUE"),
        (["train", "toy-shop", "--out", "x", "--set", "training.epochs=1"], "training.epochs: "),
        (["train", "toy-shop", "--out", "x", "--backbone", "gcn"], "backbone"),
        (["train", "toy-shop", "--out", "x", "--set", "tables.code_length=7"], "multiple of"),
        (["train", "toy-shop", "--out", "x", "--backbone", "freedom"], "neighbours must hold"),
        (["train", "toy-shop"], "Missing option"),
        (["recommend", "no-such-run", "U0007"], "must be a run folder"),
        (["tain"], "No such command"),
    ],
)
def test_bad_input_is_one_line(home, capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, monkeypatch, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_too_many_centroids_are_refused(home, capsys, monkeypatch, tmp_path):
    out = tmp_path / "run"
    many = ["--set", "tables.codebook_size=1001"]
    line = refused(capsys, monkeypatch, "train", "toy-shop", "--out", out, *many)
    assert "codebook_size must lie in [1, 1000]" in line


def test_unknown_user_is_refused(run, capsys, monkeypatch):
    line = refused(capsys, monkeypatch, "recommend", run, "nobody")
    assert "user must be one of the 2,000 users of the run; got 'nobody'." in line


def test_existing_run_is_not_overwritten(run, capsys, monkeypatch):
    line = refused(capsys, monkeypatch, "train", "toy-shop", "--out", run, *SMALL)
    assert "Pass --resume" in line


def test_help_is_quick():
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "urecjpq.cli", "--help"], check=True, capture_output=True
        )
        times.append(time.perf_counter() - started)
    # Half a second is the promise, held on an idle machine; a loaded one must not fail the suite,
    # and the mistake to catch (importing torch) costs seconds. test_imports.py proves it is absent.
    assert min(times) < 1.5
