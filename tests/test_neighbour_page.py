"""The page of items and what is near to them."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from urecjpq.data import Neighbours, load_catalogue
from urecjpq.encoding import encode_catalogue
from urecjpq.errors import InputError
from urecjpq.experiment import describe, run_experiment
from urecjpq.neighbour_page import TABLE, make_views, write_neighbour_page
from urecjpq.runs import load_run


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("URECJPQ_HOME", str(tmp_path_factory.mktemp("home")))
        yield encode_catalogue(load_catalogue("toy-shop"), ["tfidf", "colour"])


@pytest.fixture(scope="module")
def run(shop, tmp_path_factory):
    config = describe(
        shop,
        name="short",
        seed=0,
        backbone={"name": "lightgcn"},
        tables={"kind": "full"},
        training={"max_epochs": 1},
    )
    return load_run(run_experiment(shop, config, tmp_path_factory.mktemp("run") / "0"))


def test_views_are_exact_and_leave_the_item_out(shop, run):
    views = {view.name: view for view in make_views(shop, run, 5)}
    assert list(views) == ["text", "image", TABLE]
    weight = run.backbone.item_table.weight.detach().numpy()
    unit = weight / np.linalg.norm(weight, axis=1, keepdims=True)
    for row in (0, 17, 999):
        cosines = unit @ unit[row]
        cosines[row] = -2
        expected = np.argsort(-cosines, kind="stable")[:5]
        found = views[TABLE].of(row)
        assert [item for item, _ in found] == expected.tolist()
        np.testing.assert_allclose([c for _, c in found], cosines[expected], rtol=1e-4)
    absent = int(np.flatnonzero(~shop.features["image"].present)[0])
    assert views["image"].of(absent) == []


def test_page_shows_items_their_pictures_and_neighbours(shop, run, tmp_path):
    absent = str(shop.item_ids[~shop.features["image"].present][0])
    shown = [*shop.item_ids[[3, 4]], absent]
    page = write_neighbour_page(shop, tmp_path / "a" / "page.html", run, shown, k=4)
    text = page.read_text()
    HTMLParser().feed(text)
    assert text.count("<article>") == 3
    assert text.count('<li class="near') == 3 * 3 * 4 - 4  # one has no picture
    assert "This item has nothing to compare here." in text and "no picture" in text
    assert str(shop.titles[3]) in text and "short" in text
    assert not re.search(r'(src|href)="(?!data:image/jpeg;base64,)', text)  # nothing is fetched
    assert text.count("data:image/jpeg;base64,") > 25
    assert "text and image: <b>" in text
    again = write_neighbour_page(shop, tmp_path / "again.html", run, shown, k=4)
    assert again.read_text() == text


def test_draw_is_seeded_and_takes_items_with_pictures(shop, tmp_path):
    texts = [
        write_neighbour_page(shop, tmp_path / f"{n}.html", num_items=5, k=2, seed=seed).read_text()
        for n, seed in enumerate((0, 0, 1))
    ]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].count("<article>") == 5


def test_titles_are_escaped(shop, tmp_path):
    titles = shop.titles.copy()
    titles[3] = '<script>alert("x")</script>'
    odd = replace(shop, titles=titles)
    text = write_neighbour_page(odd, tmp_path / "p.html", None, [shop.item_ids[3]], k=1).read_text()
    assert "<script" not in text and "&lt;script&gt;" in text


def test_given_neighbours_serve_where_there_are_no_features(shop, tmp_path):
    ids = np.stack([np.arange(1000), (np.arange(1000) + 1) % 1000], axis=1).astype(np.int32)
    given = Neighbours(ids, np.array([[1.0, 0.5]] * 1000, dtype=np.float32))
    bare = replace(shop, features={}, neighbours={"text": given}, images=None)
    (view,) = make_views(bare, None, 1)
    assert view.of(7) == [(8, 0.5)]
    assert write_neighbour_page(bare, tmp_path / "p.html", k=1).is_file()


def test_refusals(shop, run, tmp_path):
    page = tmp_path / "page.html"
    with pytest.raises(InputError, match=r"path must end in \.html; got page\.pdf"):
        write_neighbour_page(shop, tmp_path / "page.pdf")
    with pytest.raises(InputError, match=r"k must lie in \[1, 999\].*; got 1000"):
        write_neighbour_page(shop, page, k=1000)
    with pytest.raises(InputError, match="items must be those of toy-shop; got 'nothing'"):
        write_neighbour_page(shop, page, item_ids=["nothing"])
    with pytest.raises(InputError, match="num_items must be at least 1; got 0"):
        write_neighbour_page(shop, page, num_items=0)
    with pytest.raises(InputError, match="catalogue must have features or neighbours; got none"):
        write_neighbour_page(replace(shop, features={}), page)
    other = replace(shop, item_ids=shop.item_ids[::-1].copy())
    with pytest.raises(InputError, match="run must be one trained on this catalogue; got short on"):
        write_neighbour_page(other, page, run)
    assert not page.exists()
