"""Recipes run as written, on small data in their own formats."""

import gzip
import json
import re
import zipfile

import numpy as np
import pytest

from urecjpq.data import prepare, write_mmrec
from urecjpq.testing import REPOSITORY, tiny_catalogue
from urecjpq.testing_raw import write_amazon_2014


def test_an_amazon_category_goes_all_the_way(recipe, tmp_path, capsys):
    recipe("amazon_category", "amazon-2014-toys", "--generate", 12_000, "--out", tmp_path)
    shown = capsys.readouterr().out
    assert "freedom-jpq-kmeans, seed 0" in shown
    assert "item_id" in shown and "& more" in shown
    assert (tmp_path / "run" / "manifest.json").is_file()


CATEGORIES = {
    "beauty": "Beauty",
    "clothing": "Clothing_Shoes_and_Jewelry",
    "electronics": "Electronics",
    "movies": "Movies_and_TV",
    "office": "Office_Products",
    "toys": "Toys_and_Games",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CATEGORIES)
def test_a_category_is_compared_from_raw_reviews(recipe, name, tmp_path, capsys):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_amazon_2014(raw, CATEGORIES[name], num_users=800, num_items=400, num_reviews=12_000)
    card = card_without_counts(f"amazon-2014-{name}", "amazon-2014", tmp_path, CATEGORIES[name])
    out = tmp_path / "out"
    recipe(name, "--card", card, "--from", raw, "--epochs", 1, "--out", out)
    runs = [f"{b}-{t}-0" for b in ("freedom", "lightgcn") for t in MAIN_TABLES]
    assert_compared(capsys.readouterr().out, out, name, runs)


MAIN_TABLES = ("full", "full-factors", "full-spread", "jpq-kmeans", "jpq-spread")


def card_without_counts(name, whole, folder, category=""):
    """A card's own text, but for the counts that generated data cannot have."""
    text = (REPOSITORY / "datasets" / f"{whole}.toml").read_text().replace("{category}", category)
    text = text.partition("\n[expected]")[0].partition("\n[categories]")[0]
    path = folder / f"{name}.toml"
    path.write_text(text.replace(f'name = "{whole}"', f'name = "{name}"', 1))
    return path


def assert_compared(shown, out, name, runs):
    """The table and the report are there, and a finished run for each line."""
    assert {path.name for path in out.iterdir() if (path / "config.json").exists()} == set(runs)
    for run in runs:
        assert (out / run / "manifest.json").is_file()
        assert f"\n{run.removesuffix('-0')} " in shown
    assert (out / f"{name}.md").read_text().startswith("| model")
    assert "<html" in (out / f"{name}.html").read_text()


@pytest.mark.parametrize("name", ["baby", "sports"])
def test_a_category_is_compared_on_files_of_mmrec(recipe, name, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    catalogue = tiny_catalogue(num_users=300, num_items=280)
    write_mmrec(catalogue, data / f"{name}.inter.tsv.gz")
    maps = (data / "i_id_mapping.csv").read_bytes()
    (data / "i_id_mapping.csv.gz").write_bytes(gzip.compress(maps))
    vectors = np.random.default_rng(0).normal(size=(280, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.argsort(-vectors @ vectors.T, axis=1)[:, :4]
    cosines = np.take_along_axis(vectors @ vectors.T, nearest, axis=1).astype(np.float32)
    for modality in ("image", "text"):
        np.savez(data / f"{modality}_knn10.npz", idx=nearest, cos=cosines)
    card = card_without_counts(f"amazon-{name}", f"amazon-{name}", tmp_path)
    out = tmp_path / "out"
    options = ["--card", card, "--data", data, "--seeds", 0, "--epochs", 1]
    recipe(name, *options, "--out", out)
    kinds = (*MAIN_TABLES, "jpq-bpr", "jpq-random", "jpq-svd", "quotient-remainder")
    runs = [f"{backbone}-{kind}-0" for backbone in ("freedom", "lightgcn") for kind in kinds]
    assert_compared(capsys.readouterr().out, out, name, runs)


@pytest.mark.slow
def test_the_toy_shop_is_compared(recipe, tmp_path, capsys):
    recipe("toy_shop", "--epochs", 1, "--out", tmp_path / "out")
    runs = [f"{b}-{t}-0" for b in ("freedom", "lightgcn") for t in MAIN_TABLES]
    assert_compared(capsys.readouterr().out, tmp_path / "out", "toy-shop", runs)


def visits(num_users=1100, num_places=280):
    """Histories of eight; the last place is one of the first."""
    rng = np.random.default_rng(0)
    for user in range(num_users):
        places = (user + np.arange(7) * 40 + rng.integers(0, 3)) % num_places
        for day, place in enumerate([*places, places[0]], start=1):
            yield user, day, place


def write_check_ins(folder):
    lines = [f"U{u}\t2010-10-{day:02}T08:00:00Z\t1.0\t2.0\tP{p}\n" for u, day, p in visits()]
    name = "loc-gowalla_totalCheckins.txt.gz"
    (folder / name).write_bytes(gzip.compress("".join(lines).encode()))


def write_trips(folder):
    header = "user_id,checkin,checkout,city_id,device_class,utrip_id\n"
    rows = [f"{u},2016-05-{d:02},2016-05-{d + 1:02},{p},desktop,{u}_1\n" for u, d, p in visits()]
    (folder / "train_set.csv").write_text(header + "".join(rows[:1200]))
    (folder / "test_set.csv").write_text(header + "".join(rows[1200:]))


@pytest.mark.parametrize(
    ("name", "card", "write"),
    [("gowalla", "gowalla-check-ins", write_check_ins), ("booking", "booking", write_trips)],
)
def test_histories_are_compared_from_raw_files(recipe, name, card, write, tmp_path, capsys):
    write(tmp_path)
    path = card_without_counts(card, card, tmp_path)
    out = tmp_path / "out"
    recipe(name, "--card", path, "--from", tmp_path, "--epochs", 1, "--out", out)
    runs = [f"{b}-{t}-0" for b in ("gsasrec", "sasrec") for t in ("full", "jpq-kmeans", "jpq-svd")]
    assert_compared(capsys.readouterr().out, out, name, runs)
    config = json.loads((out / runs[0] / "config.json").read_text())
    assert config["exclude"] == "none"


@pytest.fixture
def films(tmp_path):
    """Options that name a small catalogue prepared from GroupLens's format."""
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        lines = [f"{u}::{p}::4::{978300000 + day}\n" for u, day, p in visits() if day < 8]
        archive.writestr("ml-1m/ratings.dat", "".join(lines))
        titles = [f"{film}::Film {film % 40} (1999)::Comedy\n" for film in range(280)]
        archive.writestr("ml-1m/movies.dat", "".join(titles))
    card = card_without_counts("ml-1m", "ml-1m", tmp_path)
    card.write_text(re.sub(r", num_bytes.*?[0-9a-f]{64}.", "", card.read_text()))
    prepare(card, tmp_path / "prepared", tmp_path)
    return ["--card", card, "--data", tmp_path / "prepared"]


def test_films_are_compared_from_the_publishers_format(recipe, films, tmp_path, capsys):
    options = ["--models", "sasrec-softmax", "--tables", "full", "jpq-svd", "--epochs", 1]
    options += ["--quantise", 8]
    recipe("ml1m", *films, *options, "--out", tmp_path / "out")
    shown = capsys.readouterr().out
    for name in ("sasrec-softmax-jpq-svd", "sasrec-softmax-full-quantised-m8"):
        assert (tmp_path / "out" / f"{name}-0" / "manifest.json").is_file()
        assert f"\n{name} " in shown


def test_a_grid_of_dimension_and_code_length(recipe, films, tmp_path, capsys):
    options = ["--dims", 16, 8, "--code-lengths", 2, 4, "--epochs", 1, "--table", "jpq-random"]
    recipe("size_grid", *films, *options, "--out", tmp_path / "out")
    head, _, *rows = capsys.readouterr().out.splitlines()[-4:]
    assert head == "| d | full | m = 2 | m = 4 |"
    cells = [[cell.split()[0] for cell in row.strip("| ").split(" | ")] for row in rows]
    assert [row[0] for row in cells] == ["16", "8"]
    for dim, *shown in cells:
        names = [f"sasrec-full-d{dim}", *(f"sasrec-jpq-random-d{dim}-m{m}" for m in (2, 4))]
        for value, name in zip(shown, names, strict=True):
            metrics = json.loads((tmp_path / "out" / f"{name}-0" / "metrics.json").read_text())
            assert value == f"{metrics['test']['ndcg@10']:.4f}"
    assert (tmp_path / "out" / "size-grid.png").read_bytes().startswith(b"\x89PNG")


def test_bytes_of_tables_as_published(recipe, capsys):
    recipe("table_memory")
    *_, gowalla = capsys.readouterr().out.splitlines()
    assert gowalla.split(" | ")[1:3] == ["1,271,638", "2.60 GB"]
    assert gowalla.split(" | ")[5] == "10.7 MB (0.41 %)"  # m = 8
    with pytest.raises(SystemExit):
        recipe("table_memory", "--rows", 10, "--code-lengths", 3)
    assert "code_length must divide embedding_dim 512; got 3" in capsys.readouterr().err
