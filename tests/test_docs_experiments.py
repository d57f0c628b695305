"""What docs/experiments.md shows works as written."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from urecjpq.cli import app
from urecjpq.testing import REPOSITORY

PAGE = (REPOSITORY / "docs" / "experiments.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_page_works_as_written(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna", reason="optuna is not installed")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "home"))
    names: dict = {}
    for code in blocks("python"):
        exec(compile(code, "experiments.md", "exec"), names)  # noqa: S102
    assert len(names["folders"]) == 4 and len(names["chosen"]) == 2
    assert "lightgcn-m8" in capsys.readouterr().out
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    ours = [words[1:] for words in commands if words[0] == "urecjpq"]
    assert [words[0] for words in ours] == ["train", "report", "compare"]
    for words in ours:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
    assert Path("report.html").is_file() and list(Path("runs/watched/tensorboard").iterdir())
