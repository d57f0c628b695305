"""The generated shop: its files, its promises and its known answer."""

import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds

from urecjpq.data.toy_shop import generate_toy_shop
from urecjpq.data.toy_shop_items import draw_items
from urecjpq.data.toy_shop_pictures import PALETTE
from urecjpq.data.toy_shop_visits import draw_visits
from urecjpq.data.toy_shop_words import CATEGORIES, COLOURS, PATTERNS
from urecjpq.errors import InputError

CARD = Path(__file__).parents[2] / "datasets" / "toy-shop.toml"
SMALL = {"num_users": 60, "num_items": 40, "num_interactions": 500, "seed": 3}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    generate_toy_shop(folder)
    return folder


@pytest.fixture(scope="module")
def visits(shop):
    return pd.read_csv(shop / "toy-shop.inter", sep="\t")


@pytest.fixture(scope="module")
def items(shop):
    return pd.read_csv(shop / "items.csv", dtype=str, keep_default_na=False)


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [f"{f.relative_to(folder)} {hashlib.sha256(f.read_bytes()).hexdigest()}" for f in files]
    return "\n".join(sums)


def test_card_describes_the_default_shop(visits):
    card = tomllib.loads(CARD.read_text(encoding="utf-8"))
    assert card["generator"] == generate_toy_shop.__kwdefaults__
    parts = visits.x_label.value_counts()
    assert card["expected"] == {
        "users": visits.userID.nunique(),
        "items": visits.itemID.nunique(),
        "interactions": len(visits),
        "train": parts[0],
        "valid": parts[1],
        "test": parts[2],
    }


def test_files_have_the_promised_columns_and_ids(shop, visits, items):
    assert list(visits.columns) == ["userID", "itemID", "timestamp", "x_label"]
    for file, columns, ids in (
        ("u_id_mapping.csv", ["user_id", "userID"], [f"U{row:04d}" for row in range(2000)]),
        ("i_id_mapping.csv", ["asin", "itemID"], [f"P{row:04d}" for row in range(1000)]),
    ):
        table = pd.read_csv(shop / file, sep="\t")
        assert list(table.columns) == columns
        assert table[columns[0]].tolist() == ids
        assert table[columns[1]].tolist() == list(range(len(ids)))
    assert list(items.columns) == ["item_id", "title", "category", "image"]
    assert items.item_id.tolist() == ids


def test_histories_are_long_enough_distinct_and_in_order(visits):
    assert visits.groupby("userID").size().min() >= 5
    assert not visits.duplicated(["userID", "itemID"]).any()
    assert visits.userID.is_monotonic_increasing
    later = visits.groupby("userID").timestamp.diff().dropna()
    assert (later > 0).all()
    assert set(visits.itemID[visits.x_label == 0]) == set(range(1000))


def test_newest_tenth_is_test_and_the_tenth_before_valid(visits):
    for length in (5, 19, 20, 31):
        history = visits.groupby("userID").filter(lambda rows, n=length: len(rows) == n)
        labels = history.x_label.to_numpy().reshape(-1, length)
        held = max(1, length // 10)
        expected = np.repeat([0, 1, 2], [length - 2 * held, held, held])
        assert len(labels) and (labels == expected).all()


def test_two_in_a_hundred_have_no_picture_and_the_rest_do(shop, items):
    assert (items.image == "").sum() == 20
    on_disk = sorted(f"images/{path.name}" for path in (shop / "images").iterdir())
    assert on_disk == sorted(items.image[items.image != ""])


def test_pictures_show_the_colour_and_titles_name_it(shop, items):
    drawn = draw_items(1000, np.random.default_rng([0, 0]))
    assert items.category.tolist() == [CATEGORIES[k] for k in drawn.category]
    rows = np.flatnonzero(items.image != "")
    pixels = np.stack([np.array(Image.open(shop / items.image[row])) for row in rows])
    assert pixels.shape == (980, 64, 64, 3) and pixels.dtype == np.uint8
    # The paint seen most on a picture, among the eight of the palette, is the item's colour.
    distance = np.stack([np.abs(pixels - paint).sum(-1) < 45 for paint in PALETTE])
    assert (distance.sum((2, 3)).argmax(0) == drawn.colour[rows]).mean() > 0.99
    red = items.title[drawn.colour == COLOURS.index("red")]
    assert red.str.contains("Red|Scarlet").all()
    assert items.title[drawn.pattern == PATTERNS.index("dotted")].str.contains("Dot").all()
    assert items.title[items.category == "duck"].str.contains("Duck").all()


def recall_at_20(scores, train, test):
    scores = np.where(train.toarray() > 0, -np.inf, scores)
    top = np.argpartition(-scores, 20, axis=1)[:, :20]
    wanted = test.toarray()
    return (np.take_along_axis(wanted, top, axis=1).sum(1) / wanted.sum(1)).mean()


def popularity_and_svd(users, items, labels):
    train, _, test = (
        csr_matrix(
            (np.ones((labels == k).sum()), (users[labels == k], items[labels == k])),
            shape=(2000, 1000),
        )
        for k in range(3)
    )
    left, values, right = svds(train, k=32, v0=np.ones(1000))
    popularity = np.tile(np.asarray(train.sum(0)).ravel(), (2000, 1))
    return recall_at_20(popularity, train, test), recall_at_20(left * values @ right, train, test)


def test_with_tastes_a_learned_model_triples_popularity(visits):
    popularity, learned = popularity_and_svd(
        visits.userID.to_numpy(), visits.itemID.to_numpy(), visits.x_label.to_numpy()
    )
    assert popularity == pytest.approx(0.10, abs=0.005)
    assert learned == pytest.approx(0.31, abs=0.005)


def test_without_tastes_no_model_beats_popularity():
    goods = draw_items(1000, np.random.default_rng([0, 0]))
    drawn = draw_visits(goods, 2000, 30000, 0.0, np.random.default_rng([0, 3]))
    popularity, learned = popularity_and_svd(drawn.userID, drawn.itemID, drawn.x_label)
    assert popularity == pytest.approx(0.16, abs=0.005)
    assert learned == pytest.approx(0.07, abs=0.005)


def test_without_tastes_draws_follow_popularity():
    goods = draw_items(1000, np.random.default_rng(0))
    drawn = draw_visits(goods, 20_000, 100_000, 0.0, np.random.default_rng(1))
    share = np.bincount(drawn.itemID, minlength=1000) / 100_000
    top = np.argsort(-goods.popularity)[:20]
    # Five distinct items per user: the head is drawn a little less often than alone.
    assert share[top].sum() == pytest.approx(goods.popularity[top].sum(), rel=0.05)


def test_same_seed_same_bytes_on_any_number_of_threads(tmp_path):
    generate_toy_shop(tmp_path / "here", **SMALL)
    script = (
        "import sys; from pathlib import Path; from urecjpq.data.toy_shop import *; "
        f"generate_toy_shop(Path(sys.argv[1]), **{SMALL})"
    )
    single = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(tmp_path / "single")]
    subprocess.run(command, check=True, env=single)
    assert digest(tmp_path / "single") == digest(tmp_path / "here")
    generate_toy_shop(tmp_path / "other", **(SMALL | {"seed": 4}))
    assert digest(tmp_path / "other") != digest(tmp_path / "here")


def test_tastes_leave_goods_and_pictures_alone(tmp_path):
    for strength in (0.0, 1.0):
        generate_toy_shop(tmp_path / str(strength), **SMALL, taste_strength=strength)
    with_tastes, without = (digest(tmp_path / s).splitlines() for s in ("1.0", "0.0"))
    changed = {line.split()[0] for line in set(with_tastes) ^ set(without)}
    assert changed == {"toy-shop.inter"}


def test_items_stay_without_training_pairs_only_where_pairs_are_too_few():
    goods = draw_items(400, np.random.default_rng(0))
    drawn = draw_visits(goods, 20, 120, 1.0, np.random.default_rng(0))
    train = drawn.itemID[drawn.x_label == 0]
    assert len(np.unique(train)) == len(train) == 80
    pairs = drawn.userID * 400 + drawn.itemID
    assert len(np.unique(pairs)) == 120


def test_fullest_possible_shop_has_everyone_touch_half_of_the_items():
    goods = draw_items(20, np.random.default_rng(0))
    drawn = draw_visits(goods, 30, 300, 1.0, np.random.default_rng(0))
    assert (np.bincount(drawn.userID) == 10).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_users": 0}, "num_users must be at least 1; got 0"),
        ({"num_items": 9}, "num_items must be at least 10; got 9"),
        ({"num_interactions": 299}, r"num_interactions must lie in \[300, 1200\] .*; got 299"),
        ({"num_interactions": 1201}, r"num_interactions must lie in \[300, 1200\] .*; got 1201"),
        ({"taste_strength": -0.1}, r"taste_strength must lie in \[0, 5\]; got -0.1"),
        ({"taste_strength": float("nan")}, r"taste_strength must lie in \[0, 5\]; got nan"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        generate_toy_shop(tmp_path / "shop", **(SMALL | change))
    assert not (tmp_path / "shop").exists()
