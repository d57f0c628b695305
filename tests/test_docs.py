"""What the pages in docs/ show works."""

import re
import shlex

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from urecjpq.cli import app
from urecjpq.testing import REPOSITORY

PAGE = (REPOSITORY / "docs" / "own-data.md").read_text(encoding="utf-8")
SMALL = ["training.max_epochs=1", "tables.codebook_size=8", "tables.embedding_dim=16"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The folder of the page, its tables continued beyond the lines that it shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "my-shop"
    (folder / "pictures").mkdir(parents=True)
    Image.new("RGB", (40, 30), "yellow").save(folder / "pictures" / "duck.jpg")
    visits, products = blocks("csv")
    (card,) = blocks("toml")
    rng = np.random.default_rng(0)
    names = ["duck-01", "boat-02", *(f"p{i}" for i in range(30))]
    lines = [
        f"{customer},{names[item]},{1700100000 + item}"
        for customer in ["ben", *range(60)]
        for item in rng.permutation(len(names))[:8]
    ]
    lines += [f"anna,p{item},1700200000" for item in range(5)]
    texts = [f'{name},Toy {name},"A toy, {name}",' for name in names[2:]]
    (folder / "visits.csv").write_text(visits + "\n".join(lines))
    (folder / "products.csv").write_text(products + "\n".join(texts))
    (folder / "my-shop.toml").write_text(card)
    return folder


def test_the_page_on_own_data_works_as_written(shop):
    commands = "".join(blocks("sh")).splitlines()
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command)[1:]
        extra = [f"--set={setting}" for setting in SMALL] if words[0] == "train" else []
        result = CliRunner().invoke(app, words + extra)
        assert result.exit_code == 0, result.output
    assert "Rubber duck" in (shop.parent / "near.html").read_text(encoding="utf-8")
    namespace: dict = {}
    (code,) = blocks("python")
    exec(compile(code, "own-data.md", "exec"), namespace)  # noqa: S102
    catalogue = namespace["catalogue"]
    assert catalogue.counts()["test"] == catalogue.num_users == 62
    assert catalogue.texts[list(catalogue.item_ids).index("duck-01")] == "A yellow duck, floats"
    pictured = [path for path in catalogue.images if path is not None]
    assert [path.name for path in pictured] == ["duck.jpg"]
