"""What the pages in docs/ show works."""

import re
import shlex

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from typer.testing import CliRunner

import urecjpq
from urecjpq.cli import app
from urecjpq.config import TrainingConfig
from urecjpq.experiment import describe, run_experiment
from urecjpq.graphs import LightGCNConfig
from urecjpq.manifest import FILES, MANIFEST, VECTORS
from urecjpq.runs import load_run
from urecjpq.table_config import TABLES
from urecjpq.testing import REPOSITORY, tiny_catalogue
from urecjpq.testing_hub import local_hub

SMALL = ["training.max_epochs=1", "tables.codebook_size=8", "tables.embedding_dim=16"]


def page(name: str) -> str:
    return (REPOSITORY / "docs" / f"{name}.md").read_text(encoding="utf-8")


def blocks(language: str, name: str = "own-data") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page(name), flags=re.DOTALL)


def run_commands(name: str, expected: int) -> list[str]:
    """Run a page's commands as they are written, training shortened; returns what they print."""
    commands = "".join(blocks("sh", name)).splitlines()
    assert len(commands) == expected
    outputs = []
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "urecjpq"
        extra = [f"--set={setting}" for setting in SMALL] if words[0] == "train" else []
        result = CliRunner().invoke(app, words + extra)
        assert result.exit_code == 0, result.output
        outputs.append(result.output)
    return outputs


def run_python(name: str) -> dict:
    """Run a page's Python blocks one after the other; returns the names they leave."""
    namespace: dict = {"__name__": name}
    for code in blocks("python", name):
        exec(compile(code, f"{name}.md", "exec"), namespace)  # noqa: S102
    return namespace


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
    run_commands("own-data", 4)
    assert "Rubber duck" in (shop.parent / "near.html").read_text(encoding="utf-8")
    catalogue = run_python("own-data")["catalogue"]
    assert catalogue.counts()["test"] == catalogue.num_users == 62
    assert catalogue.texts[list(catalogue.item_ids).index("duck-01")] == "A yellow duck, floats"
    pictured = [path for path in catalogue.images if path is not None]
    assert [path.name for path in pictured] == ["duck.jpg"]


def test_quick_start_index_and_export_work_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "cache"))
    outputs = run_commands("quick-start", 4)
    assert "Recall@20" in outputs[2] or "recall@20" in outputs[2]
    assert len(outputs[3].splitlines()) == 10
    names = run_python("quick-start")
    assert len(names["best"]) == 3
    assert [len(rows) for rows in names["run"].vectors] == [2000, 1000]
    run_commands("top-k", 3)
    names = run_python("top-k")
    assert names["best"].ids.shape == (2, 10)
    assert not (names["best"].ids % 2).any()
    assert names["same"].num_items == 1000
    run_commands("export", 4)
    assert run_python("export")["rows"].tolist() == [0, 1, 2]


def test_concepts_work_as_written():
    names = run_python("concepts")
    assert names["centroids"].shape == (4, 4, 4)
    assert torch.equal(torch.cat(names["picked"]), names["vectors"][0])
    assert names["memory"].full_bytes == 2_604_314_624
    assert names["memory"].code_bytes + names["memory"].centroid_bytes == 10_697_392
    assert "0.41 %" in page("concepts")
    assert round(names["memory"].percent, 2) == 0.41


def test_own_model_works_as_written():
    names = run_python("own-model")
    assert sum(p.numel() for p in names["model"].parameters()) == 2 * 32 * 64
    assert names["model"].towers["item"].padding_idx == 0
    assert names["table"](torch.tensor([names["mask"]])).shape == (1, 64)
    for path in re.findall(r"`(examples/\w+\.py)`", page("own-model")):
        assert (REPOSITORY / path).is_file()


def test_the_hub_works_as_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "of-no-one")
    with local_hub(tmp_path / "cache"):
        names = run_python("hub")
    assert names["rows"].tolist() == [3, -1, 0]
    assert torch.equal(names["vectors"], names["table"].weight[[3, 0]])
    assert torch.equal(names["again"].weight, names["table"].weight)


@pytest.mark.parametrize("name", urecjpq.__all__)
def test_every_public_name_is_in_the_api(name):
    assert re.search(rf"^\.\. auto\w+:: [\w.]+\.{name}$", page("api"), flags=re.MULTILINE)


@pytest.mark.parametrize("name", [*FILES, VECTORS, MANIFEST])
def test_every_file_of_a_run_is_specified(name):
    assert f"\n| `{name}` | " in page("run-folder")


def rows_by_the_specification(folder, side, num_rows):
    """Read a table with NumPy alone, as docs/run-folder.md says."""
    values = load_file(folder / "model.safetensors") | load_file(folder / "codes.safetensors")
    if f"{side}.weight" in values:
        return values[f"{side}.weight"]
    centroids = values[f"{side}.centroids"].astype(np.float32)
    if f"{side}.centroids_scales" in values:
        centroids *= values[f"{side}.centroids_scales"][:, None, None]
    codes = values.get(f"{side}.codes")
    if codes is None:
        size = int(np.ceil(np.sqrt(num_rows)))
        factor = round(num_rows * (np.sqrt(5) - 1) / 2)
        while np.gcd(factor, num_rows) != 1:
            factor += 1
        codes = np.stack(np.divmod(np.arange(num_rows) * factor % num_rows, size), axis=1)
    return np.concatenate([part[codes[:, k]] for k, part in enumerate(centroids)], axis=1)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("full", {}),
        ("quotient-remainder", {}),
        ("jpq-kmeans", {}),
        ("jpq-kmeans", {"centroid_dtype": "float16"}),
        ("jpq-kmeans", {"centroid_dtype": "int8"}),
    ],
)
def test_tables_read_by_the_specification_are_those_of_the_run(kind, change, tmp_path):
    sizes = {"embedding_dim": 8, "code_length": 4, "codebook_size": 5}
    catalogue = tiny_catalogue()
    config = describe(
        catalogue,
        name=kind,
        seed=0,
        backbone=LightGCNConfig(),
        tables=TABLES[kind].model_copy(update=sizes | change),
        training=TrainingConfig(max_epochs=1),
    )
    folder = run_experiment(catalogue, config, tmp_path / "run")
    backbone = load_run(folder).backbone
    for side, table in (("user_table", backbone.user_table), ("item_table", backbone.item_table)):
        found = rows_by_the_specification(folder, side, table.num_embeddings)
        np.testing.assert_array_equal(found, table.weight.detach().numpy())


def test_the_page_on_trained_models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "cache"))
    assert "lightgcn-full-quantised-m8" in run_commands("trained", 2)[1]
    rows = run_python("trained")
    assert rows["model"]["item_table"].weight.shape == rows["rows"].shape
    error = torch.nn.functional.mse_loss(
        rows["model"]["item_table"].weight, torch.tensor(rows["rows"])
    )
    assert error < 0.7 * rows["rows"].var()
