"""The ablations run as written, on the toy shop, and leave the runs that their pages speak of."""

import json
import runpy
import sys

import pytest

from urecjpq.runs import load_run
from urecjpq.testing import REPOSITORY

RECIPES = REPOSITORY / "recipes" / "ablations"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A cache of its own, so that the toy shop is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("URECJPQ_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def recipe(home, monkeypatch, tmp_path):
    """Run a recipe for one epoch as a program, with constants of its own changed where asked."""

    def run(name, **constants):
        asked = ["--card", "toy-shop", "--out", str(tmp_path), "--epochs", "1"]
        monkeypatch.setattr(sys, "argv", [name, *asked])
        module = runpy.run_path(str(RECIPES / f"{name}.py"))
        module["main"].__globals__.update(constants)
        module["main"](module["read_options"]("", "toy-shop", str(tmp_path)))
        return tmp_path

    return run


def test_every_ablation_has_a_page_and_every_page_a_recipe():
    pages = {path.stem for path in (REPOSITORY / "docs" / "ablations").glob("*.md")} - {"index"}
    assert pages == {path.stem.replace("_", "-") for path in RECIPES.glob("*.py")}
    assert len(pages) > 5


def settings(folder):
    return json.loads((folder / "config.json").read_text())["tables"]


def test_code_size(recipe):
    out = recipe("code_size", CODE_LENGTHS=(4, 8), CODEBOOK_SIZES=(16,))
    made = {folder.name: settings(folder) for folder in out.glob("*-m*")}
    assert set(made) == {f"lightgcn-jpq-kmeans-m{m}-b16-0" for m in (4, 8)}
    assert made["lightgcn-jpq-kmeans-m4-b16-0"]["code_length"] == 4
    assert "lightgcn-full-factors" in (out / "code-size.md").read_text()


def test_sides(recipe):
    out = recipe("sides")
    report = json.loads((out / "sides.json").read_text())["lines"]
    keys = ("user_table_bytes", "item_table_bytes")
    sizes = {x["name"]: tuple(x["sizes"][key] for key in keys) for x in report}
    full, both = sizes["lightgcn-full-factors"], sizes["lightgcn-jpq-kmeans"]
    assert sizes["lightgcn-jpq-kmeans-users"] == (both[0], full[1])
    assert sizes["lightgcn-jpq-kmeans-items"] == (full[0], both[1])


def test_shared_centroids(recipe):
    out = recipe("shared_centroids", SHARED_SIZES=(256,))
    report = json.loads((out / "shared-centroids.json").read_text())["lines"]
    numbers = {x["name"]: x["sizes"]["trainable_parameters"] for x in report}
    separate, shared = numbers["lightgcn-jpq-kmeans"], numbers["lightgcn-jpq-kmeans-shared-b256"]
    assert separate == 2 * shared
    run = load_run(out / "lightgcn-jpq-kmeans-shared-b256-0")
    assert run.backbone.user_table.centroids is run.backbone.item_table.centroids


def test_centroid_types_are_those_of_runs_that_store_them(recipe, capsys):
    from urecjpq import describe, load_catalogue, run_experiment

    out = recipe("centroid_types")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    shown = {row[0]: float(row[1]) for row in rows if row and row[0].startswith(("float", "int"))}
    assert list(shown) == ["float32", "float16", "int8"]
    plain = load_run(out / "lightgcn-jpq-kmeans-0").config
    table = plain.tables.model_copy(update={"centroid_dtype": "int8"})
    given = {"name": "int8", "seed": 0, "backbone": plain.backbone, "training": plain.training}
    catalogue = load_catalogue("toy-shop")
    config = describe(catalogue, tables=table, **given)
    folder = run_experiment(catalogue, config, out / "int8")
    stored = json.loads((folder / "metrics.json").read_text())["test"]["recall@20"]
    assert stored == pytest.approx(shown["int8"], abs=5e-6)


def test_strategies(recipe):
    names = {"BACKBONES": ("bprmf",), "TABLE_NAMES": ("full", "jpq-random")}
    out = recipe("strategies", **names)
    assert {path.name for path in (out / "toy-shop").iterdir()} == {
        "bprmf-full-0",
        "bprmf-jpq-random-0",
    }
    assert (out / "strategies-toy-shop.md").is_file()


def test_cold_items_are_found_by_codes_of_their_features(recipe, capsys):
    recipe("cold_items")
    lines = capsys.readouterr().out.splitlines()
    shown = {line[:28].strip(): line[28:].split() for line in lines[2:]}
    alone = {name: float(values[0]) for name, values in shown.items()}
    assert alone["codes from features"] > 2 * alone["random"]
    assert alone["codes from features"] > 2 * alone["popularity of neighbours"]
    assert float(shown["popularity"][1]) == 0.0
