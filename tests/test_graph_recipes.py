"""The recipes of the graph models run as written, one epoch on a small catalogue."""

import json

import numpy as np
import pytest

from urecjpq.data import write_mmrec
from urecjpq.testing import tiny_catalogue

CARD = """name = "clips"
title = "Clips"
reader = "mmrec"
licence = "none"
citation = "none"
source = "generated"

[files]
interactions = "clips.inter"
items = "items.csv"

[features]
image = "image.npy"
text = "text.npy"

[partition]
method = "given"
drop_untrained = true
"""
COMMON = ("--epochs", 1, "--workers", 1)
TRIALS = ("--tables", "full", "jpq-kmeans", "--seeds", 0)


@pytest.fixture
def run(recipe, tmp_path, capsys):
    """Run a recipe on a written catalogue; returns what it printed."""
    catalogue = tiny_catalogue(num_users=300, num_items=280)  # the last item has no interaction
    data = tmp_path / "data"
    data.mkdir()
    write_mmrec(catalogue, data / "clips.inter")
    rows = [f"{row},clip {row % 7} of {row % 3}" for row in range(279)]
    (data / "items.csv").write_text("\n".join(["item_id,title", *rows]))
    for name, given in catalogue.features.items():
        np.save(data / f"{name}.npy", np.nan_to_num(given.values[:279, :4]))
    (data / "clips.toml").write_text(CARD)

    def work(name, *arguments):
        recipe(name, "--card", data / "clips.toml", "--out", tmp_path / "out", *arguments)
        return capsys.readouterr().out

    return work


def test_spread(run, tmp_path):
    shown = run("ablations/spread", "--rates", 1e-3, "--spreads", 0, 0.5, "--epochs", 1)
    for backbone in ("lightgcn", "freedom"):
        folder = tmp_path / "out" / f"{backbone}-spread0.5-0.001-0"
        tables = json.loads((folder / "config.json").read_text())["tables"]
        assert tables["spread"] == {"image": 0.25, "text": 0.25}
        assert f"\n{backbone}-spread0-0.001 " in shown


def test_weights(run, tmp_path):
    shown = run("ablations/weights", *COMMON)
    for name in ("lightgcn", "freedom", "lattice", "bm3", "bprmf"):
        for power in (0, 1):
            folder = tmp_path / "out" / f"{name}-weight{power}-0"
            tables = json.loads((folder / "config.json").read_text())["tables"]
            assert tables.get("weight_power", 0) == power
            assert f"\n{name}-weight{power} " in shown


def test_quantise(run, recipe, tmp_path, capsys):
    run("tiktok", "--backbones", "freedom", "--dims", 16, "--rates", 1e-3, *TRIALS, *COMMON)
    full, out = tmp_path / "out" / "freedom-full-d16-0.001-0", tmp_path / "small"
    card = ("--card", tmp_path / "data" / "clips.toml", "--out", out)
    recipe("quantise", full, *card, "--code-lengths", 4, 8, "--codebook-size", 32)
    shown = capsys.readouterr().out
    for length in (4, 8):
        assert f"\nfreedom-full-d16-0.001-quantised-m{length} " in shown
        assert (out / f"freedom-full-d16-0.001-quantised-m{length}-0" / "manifest.json").is_file()


def test_tiktok(run, tmp_path):
    options = ("--backbones", "vbpr", "lgmrec", "--dims", 16, "--rates", 1e-3)
    shown = run("tiktok", *options, *TRIALS, *COMMON)
    for backbone in ("vbpr", "lgmrec"):
        for table in ("full", "jpq-kmeans"):
            assert f"\n{backbone}-{table}-d16-0.001 " in shown
    assert (tmp_path / "out" / "tiktok.html").is_file()


def test_models_on_neighbour_graphs(run):
    shown = run("amazon_graphs", "--backbones", "bprmf", *TRIALS, *COMMON)
    assert "\nbprmf-full-d" in shown and "\nbprmf-jpq-kmeans-d" in shown


def test_opponents(run):
    shown = run("opponents", "--epochs", 1)
    for name in ("jpq-kmeans-d16", "full-factors-d16-pruned", "full-factors-d16-8bit"):
        assert f"\nlightgcn-{name} " in shown


def test_feature_codes(run):
    options = ("--backbones", "vbpr", "--code-lengths", 2)
    shown = run("feature_codes", *options, *COMMON)
    assert "\nvbpr-features-full " in shown and "\nvbpr-features-2 " in shown


def test_ml_1m(run):
    shown = run("ml1m_graphs", "--encoder", "tfidf", *COMMON)
    for backbone in ("vbpr", "lightgcn", "freedom"):
        assert f"\n{backbone}-full " in shown and f"\n{backbone}-jpq-kmeans " in shown


def test_dimension(run):
    shown = run("ablations/dimension", *COMMON)
    assert "\nlightgcn-jpq-kmeans-d32-0.0003 " in shown
