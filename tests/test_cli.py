"""The command line: one-line refusals, exit status 2, quick help."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from urecjpq.cli import app, main
from urecjpq.index import TopKIndex
from urecjpq.runs import load_run

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


@pytest.fixture(scope="module")
def index(run, home) -> Path:
    """The index of that run."""
    out = home / "index"
    printed = invoke("index", "build", run, "--out", out, "--codebook-size", 32)
    assert printed.splitlines()[-1] == f"Index: {out}"
    return out


def invoke(*arguments) -> str:
    """Return what ``urecjpq <arguments>`` prints."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None, result.output
    return result.output


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


def test_every_method_recommends_the_same(run):
    expected = invoke("recommend", run, "U0042")
    assert len(expected.splitlines()) == 10
    for method in ("scan", "prune", "pqtopk", "dense"):
        assert invoke("recommend", run, "U0042", "--method", method) == expected


def test_an_index_answers_as_its_run_does(run, index):
    for user in ("U0007", "U0042"):
        found = invoke("index", "search", index, "--run", run, "--user", user, "-k", 5)
        assert found == invoke("recommend", run, user, "-k", 5)


def test_an_index_answers_query_vectors(run, index, tmp_path):
    queries = load_run(run).vectors[0][:3].numpy()
    np.save(tmp_path / "queries.npy", queries)
    printed = invoke("index", "search", index, "--queries", tmp_path / "queries.npy", "-k", 4)
    rows = [line.split("\t") for line in printed.splitlines()]
    assert [row[:2] for row in rows] == [[str(q), str(n)] for q in range(3) for n in range(1, 5)]
    expected = TopKIndex.load(index).search(queries, 4)
    assert [int(row[2]) for row in rows] == expected.ids.flatten().tolist()
    assert [float(row[3]) for row in rows] == pytest.approx(expected.scores.flatten(), rel=1e-5)


def test_info_names_sizes_and_paths(index):
    facts = dict(line.split("  ", 1) for line in invoke("index", "info", index).splitlines())
    facts = {name: value.strip() for name, value in facts.items()}
    assert facts["run"] == "lightgcn-jpq-kmeans"
    assert (facts["items"], facts["dimension"]) == ("1,000", "64")
    assert (facts["code length"], facts["codebook size"]) == ("8", "32")
    assert facts["bytes, vectors"] == f"{1000 * 64 * 4:,}"
    assert facts["path taken"] in facts["paths here"].split(", ")
    assert facts["paths here"].endswith("reference")


def test_an_index_of_another_run_is_refused(run, index, capsys, monkeypatch, tmp_path):
    """Its rows would be other items."""
    other = tmp_path / "run"
    invoke("train", "toy-shop", "--out", other, *SMALL, "--seed", 1)
    arguments = ["index", "search", index, "--run", other, "--user", "U0007"]
    line = refused(capsys, monkeypatch, *arguments)
    assert f"run must be the one that {index} was built from; got {other}." in line


def test_a_folder_in_use_is_not_overwritten(run, index, capsys, monkeypatch):
    for folder in (run, index):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        line = refused(capsys, monkeypatch, "index", "build", run, "--out", folder)
        assert f"{folder} must not hold anything yet; got manifest.json." in line
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--queries", "queries.npy", "-k", "0"], "k must be a whole number of at least 1; got 0"),
        (["--queries", "queries.npy", "--method", "best"], "method must be one of auto, scan"),
        (
            ["--queries", "queries.npy", "--threads", "0"],
            "threads must be a whole number of at least 1",
        ),
        (["--queries", "short.npy"], "queries must have shape"),
        (["--queries", "flat.npy"], "flat.npy must hold queries of shape (q, d); got (64,)"),
        (["--queries", "text.npy"], "text.npy must be an array as numpy.save writes it"),
        (["--queries", "objects.npy"], "objects.npy must be an array as numpy.save writes it"),
        (["--queries", "none.npy"], "none.npy"),
        (["--queries", "queries.npy", "--user", "U0007"], "or --queries alone"),
        (["--user", "U0007"], "search must be given --run and --user, or --queries alone"),
        (["--run", "nowhere", "--user", "U0007"], "nowhere must be a run folder"),
    ],
)
def test_bad_searches_are_one_line(index, capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    queries = np.zeros((2, 64), dtype=np.float32)
    np.save("queries.npy", queries)
    np.save("short.npy", queries[:, :63])
    np.save("flat.npy", queries[0])
    np.save("objects.npy", np.array([[None]], dtype=object), allow_pickle=True)
    Path("text.npy").write_text("queries")
    assert message in refused(capsys, monkeypatch, "index", "search", index, *arguments)


def test_a_damaged_index_is_refused(index, capsys, monkeypatch, tmp_path):
    assert "must be the folder of" in refused(capsys, monkeypatch, "index", "info", tmp_path / "x")
    damaged = shutil.copytree(index, tmp_path / "index")
    data = bytearray((damaged / "index.safetensors").read_bytes())
    data[-1] ^= 1
    (damaged / "index.safetensors").write_bytes(data)
    assert "must have the sha256" in refused(capsys, monkeypatch, "index", "info", damaged)


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


def test_report_writes_the_page_the_numbers_and_the_tables_asked_for(run, tmp_path):
    page = tmp_path / "r.html"
    asked = ["--card", "toy-shop", "--queries", "2", "--latex"]
    result = CliRunner().invoke(app, ["report", str(run), "-o", str(page), *asked])
    assert result.exception is None
    assert {path.name for path in tmp_path.iterdir()} == {"r.html", "r.json", "r.tex"}
    methods = json.loads((tmp_path / "r.json").read_text())["latency"]["methods"]
    assert {method["queries"] for method in methods} == {2}
    assert "Use of the codes" in page.read_text()
    printed = CliRunner().invoke(app, ["compare", str(run), "--markdown", "--latex"]).output
    assert "| --- |" in printed and r"\begin{tabular}" in printed


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
        (["index", "build", "no-such-run", "--out", "x"], "must be a run folder"),
        (["index"], "Missing command"),
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


def test_features_are_cut_to_codes(home):
    sizes = []
    for options in ([], ["--feature-codes", 4]):
        out = home / f"features-{len(options)}"
        needed = ["--encoder", "colour", "--backbone", "vbpr", *SMALL]
        invoke("train", "toy-shop", "--out", out, *needed, *options)
        sizes.append(json.loads((out / "metrics.json").read_text())["sizes"]["feature_bytes"])
    assert 0 < sizes[1] < sizes[0]


def test_a_trained_run_is_quantised(home, run, capsys, monkeypatch):
    full, small = home / "full", home / "small"
    epochs = ["--set", "training.max_epochs=2"]
    invoke("train", "toy-shop", "--out", full, "--tables", "full", *epochs)
    printed = invoke("quantise", full, "--out", small, "--codebook-size", 32, "--sides", "items")
    assert printed.splitlines()[-1] == f"Run: {small}"
    assert "lightgcn-full-quantised-m8" in printed
    assert len(invoke("recommend", small, "U0042").splitlines()) >= 10
    message = refused(capsys, monkeypatch, "quantise", run, "--out", home / "smaller")
    assert f"{run} must have full tables; got jpq." in message


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
