"""Recipes run as written, on small data in their own formats."""

import runpy
import sys

import pytest

from urecjpq.testing import REPOSITORY


@pytest.fixture
def recipe(monkeypatch, tmp_path):
    """Run a recipe as a program with arguments, its constants changed where asked."""
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "cache"))

    def run(name, *arguments):
        path = REPOSITORY / "recipes" / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        return runpy.run_path(str(path), run_name="__main__")

    return run


def test_an_amazon_category_goes_all_the_way(recipe, tmp_path, capsys):
    recipe("amazon_category", "amazon-2014-toys", "--generate", 12_000, "--out", tmp_path)
    shown = capsys.readouterr().out
    assert "freedom-jpq-kmeans, seed 0" in shown
    assert "item_id" in shown and "& more" in shown
    assert (tmp_path / "run" / "manifest.json").is_file()
