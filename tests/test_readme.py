"""What the README shows works."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from urecjpq.commands import train_run
from urecjpq.index import TopKIndex
from urecjpq.index.index import METHODS
from urecjpq.runs import load_run
from urecjpq.table_config import TABLES
from urecjpq.testing import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_first_command_comes_early():
    lines = README.splitlines()
    assert lines.index(next(line for line in lines if "make demo" in line)) < 25


def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict = {}
    assert len(blocks("python")) == 3
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), namespace)  # noqa: S102
    assert namespace["table"].weight.shape == (300, 64)
    assert sum(p.numel() for p in namespace["table"].parameters()) == 2048
    assert type(namespace["model"]["item_table"]).__name__ == "JPQEmbedding"
    assert namespace["best"].ids.shape == (2, 10)
    assert TopKIndex.load(tmp_path / "runs" / "index").num_items == 299


def test_own_card_trains(tmp_path):
    (card,) = blocks("toml")
    path = tmp_path / "my-shop.toml"
    path.write_text(card)
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame({"customer": np.repeat(np.arange(80), 8)})
    pairs["product"] = np.concatenate([rng.permutation(40)[:8] for _ in range(80)])
    pairs["time"] = np.arange(len(pairs))
    pairs.to_csv(tmp_path / "visits.csv", index=False)
    small = ["training.max_epochs=1", "tables.codebook_size=8", "tables.embedding_dim=16"]
    folder = train_run(str(path), tmp_path / "run", settings=small)
    assert len(load_run(folder).recommend("7", k=3)) == 3


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_explained(method):
    assert f"`{method}`" in README


@pytest.mark.parametrize("name", TABLES)
def test_every_kind_of_table_is_explained(name):
    assert f"`{name}`" in README


def test_recipes_and_results_named_exist():
    named = re.findall(r"(?:recipes|benchmarks|datasets)/[\w./*-]+\w", README)
    assert len(named) >= 3
    for path in named:
        assert list(Path(REPOSITORY).glob(path)), path
