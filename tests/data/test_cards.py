import hashlib
import shutil
import sys
import tomllib
import types

import numpy as np
import pytest

from urecjpq.data import cache_folder, list_cards, load_card, load_catalogue
from urecjpq.errors import InputError
from urecjpq.testing import REPOSITORY, shared_data

REAL = ["amazon-baby", "amazon-sports", "ml-100k", "tiktok"]
CARD = """
name = "tiny"
title = "Tiny"
reader = "table"
licence = "none"
citation = "none"
source = "example.org/tiny"
files = {interactions = "tiny.csv", items = "items.csv"}
columns = {timestamp = "when", image = "image"}
features = {image = "image.npy"}
filter = {k_users = 3, k_items = 0}
partition = {method = "leave_one_out"}
"""
TABLE = "user,item,when\na,x,1\na,y,2\na,z,3\nb,x,1\nc,x,1\nc,y,5\nc,z,2\n"


@pytest.fixture
def card(tmp_path):
    (tmp_path / "tiny.csv").write_text(TABLE)
    (tmp_path / "items.csv").write_text("item_id,title,image\nx,X,x.png\nz,Z,\n")
    (tmp_path / "x.png").write_bytes(b"picture")
    np.save(tmp_path / "image.npy", np.eye(3, dtype=np.float16))
    return write(tmp_path, CARD)


def write(folder, text):
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def test_every_card_is_valid_and_known():
    files = sorted((REPOSITORY / "datasets").glob("*.toml"))
    cards = list_cards()
    assert [card.name for card in cards] == [file.stem for file in files]
    assert len(cards) >= len(REAL) and {card.name for card in cards} >= set(REAL)


def test_every_real_card_loads_with_its_counts():
    cards = [card for card in list_cards() if card.reader not in ("toy-shop", "raw")]
    assert sorted(card.name for card in cards) == REAL
    for card in cards:
        catalogue = load_catalogue(card.name, shared_data() / card.name)
        assert catalogue.name == card.name
        assert card.expected.model_dump() == catalogue.counts()
        assert set(catalogue.features) == set(card.features)
        assert set(catalogue.neighbours) == set(card.neighbours)
        assert set(card.sha256) == set(card.data_files)


def test_own_card_reads_its_own_folder(card):
    catalogue = load_catalogue(card)
    assert catalogue.name == "tiny"
    assert catalogue.user_ids.tolist() == ["a", "c"]
    assert catalogue.interactions.partitions.tolist() == [0, 1, 2, 0, 2, 1]
    assert catalogue.titles.tolist() == ["X", "", "Z"]
    assert catalogue.images == [card.parent / "x.png", None, None]
    assert catalogue.features["image"].values.dtype == np.float16
    assert load_catalogue(str(card)).digest == catalogue.digest


def test_data_may_be_elsewhere(card, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(card.parent, elsewhere)
    (card.parent / "tiny.csv").unlink()
    assert load_catalogue(card, elsewhere).num_users == 2


@pytest.mark.parametrize(
    ("rule", "labels"),
    [
        ('{method = "random_per_user", seed = 3}', [1, 1, 2]),
        ('{method = "by_time", valid = 0.2, test = 0.2}', None),
    ],
)
def test_other_partition_rules(card, rule, labels):
    text = CARD.replace('{method = "leave_one_out"}', rule)
    catalogue = load_catalogue(write(card.parent, text))
    assert set(catalogue.interactions.partitions) == {0, 1, 2}


def test_wrong_counts_are_listed_together(card):
    text = CARD + "expected = {users = 2, items = 4, train = 9}\n"
    message = "tiny must have the counts .* got 3 items instead of 4, 2 train instead of 9"
    with pytest.raises(InputError, match=message):
        load_catalogue(write(card.parent, text))


def test_sha256_is_checked(card):
    right = hashlib.sha256(TABLE.encode()).hexdigest()
    write(card.parent, CARD + f'sha256 = {{"tiny.csv" = "{right}"}}\n')
    assert load_catalogue(card).num_users == 2
    (card.parent / "tiny.csv").write_text(TABLE + "d,x,1\n")
    with pytest.raises(InputError, match=f"tiny.csv must have the sha256 {right} of tiny.toml"):
        load_catalogue(card)


def test_missing_file_names_card_file_and_option(card):
    (card.parent / "image.npy").unlink()
    message = (
        r"data set tiny must have .* got no .*image.npy. Get .* example.org/tiny .*--data FOLD"
    )
    with pytest.raises(InputError, match=message):
        load_catalogue(card)


def test_known_card_without_data_looks_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path))
    assert cache_folder() == tmp_path
    with pytest.raises(InputError, match="amazon-baby .* got no .*amazon-baby/baby.inter.tsv.gz"):
        load_catalogue("amazon-baby")
    monkeypatch.delenv("URECJPQ_HOME")
    assert cache_folder().name == "urecjpq"


def test_given_partition_must_be_in_the_file(card):
    text = CARD.replace("leave_one_out", "given")
    with pytest.raises(InputError, match="must name a partition method other than given"):
        load_catalogue(write(card.parent, text))


def test_unknown_names_list_the_known():
    message = "dataset must be one of amazon-2014.*, amazon-baby, .*tiktok.* got 'amazon-babe'"
    with pytest.raises(InputError, match=message):
        load_card("amazon-babe")
    with pytest.raises(InputError, match="dataset must be a card that exists; got no.toml"):
        load_card("no.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Tiny"', 'titel = "Tiny"', "title: Field required; titel: Extra inputs"),
        ('"tiny.csv"', '"../tiny.csv"', "files.interactions: .* must be a path inside the data"),
        ('"image.npy"', '"/image.npy"', "features.image: .* must be a path inside the data folder"),
        (
            '"table"',
            '"excel"',
            "reader: Input should be 'mmrec', 'recbole', 'table', 'toy-shop' or 'raw'",
        ),
        ('"table"', '"toy-shop"', r"\[generator\] must be there for the toy-shop reader"),
        ("k_users = 3", "k_users = -3", "filter.k_users: Input should be greater than or equal"),
        ("leave_one_out", "leave_two_out", "partition.method: Input should be 'given'"),
        ('items = "items.csv"', 'item_map = "m"', "item_map are not for the table reader"),
        ("licence =", 'path = "x"\nlicence =', "must not have the key path; got x"),
        ('"Tiny"', '"Tiny', r"tiny.toml must be TOML; got .*line 3"),
        ("filter =", 'sha256 = {"x" = "0"}\nfilter =', "sha256.x: String should match"),
        ("filter =", 'present = {text = "x"}\nfilter =', r"\[present\] must name modalities"),
        ("filter =", f'sha256 = {{"x" = "{"0" * 64}"}}\nfilter =', r"\[sha256\] must name files"),
    ],
)
def test_wrong_cards_are_refused(tmp_path, old, new, message):
    assert old in CARD
    with pytest.raises(InputError, match=message):
        load_card(write(tmp_path, CARD.replace(old, new)))


def test_cards_are_plain_toml_named_after_their_file():
    for file in (REPOSITORY / "datasets").glob("*.toml"):
        assert tomllib.loads(file.read_text(encoding="utf-8"))["name"] == file.stem


SHOP = """
name = "tiny"
title = "Tiny shop"
reader = "toy-shop"
licence = "none"
citation = "none"
source = "generated"
partition = {method = "given"}
[files]
interactions = "toy-shop.inter"
user_map = "u_id_mapping.csv"
item_map = "i_id_mapping.csv"
[generator]
num_users = 2
num_items = 3
num_interactions = 4
taste_strength = 0.5
seed = 1
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A generator that counts its calls, in place of the real one."""
    calls = []

    def generate(folder, **arguments):
        calls.append(arguments)
        (folder / "u_id_mapping.csv").write_text("user_id\tuserID\nann\t0\n")
        (folder / "i_id_mapping.csv").write_text("asin\titemID\nx\t0\ny\t1\nz\t2\n")
        if arguments["seed"] == 13:
            raise RuntimeError("power cut")
        rows = "0\t0\t0\n0\t1\t1\n0\t2\t2\n"
        (folder / "toy-shop.inter").write_text("userID\titemID\tx_label\n" + rows)

    fake = types.ModuleType("urecjpq.data.toy_shop")
    fake.__file__ = str(tmp_path / "toy_shop.py")
    fake.generate_toy_shop = generate
    (tmp_path / "toy_shop.py").write_text("first")
    monkeypatch.setitem(sys.modules, "urecjpq.data.toy_shop", fake)
    monkeypatch.setattr("urecjpq.data.toy_shop", fake, raising=False)
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "cache"))
    return calls


def test_generated_data_are_made_once_per_arguments_and_code(tmp_path, shop):
    card = write(tmp_path, SHOP)
    assert load_catalogue(card).user_ids.tolist() == ["ann"]
    load_catalogue(card)
    assert shop == [dict(num_users=2, num_items=3, num_interactions=4, taste_strength=0.5, seed=1)]
    load_catalogue(write(tmp_path, SHOP.replace("seed = 1", "seed = 2")))
    assert len(shop) == 2
    (tmp_path / "toy_shop.py").write_text("second")
    load_catalogue(card)
    assert len(shop) == 3
    load_catalogue(card, tmp_path / "mine")
    assert (tmp_path / "mine" / "toy-shop.inter").is_file()


def test_interrupted_generator_leaves_nothing(tmp_path, shop):
    card = write(tmp_path, SHOP.replace("seed = 1", "seed = 13"))
    with pytest.raises(RuntimeError, match="power cut"):
        load_catalogue(card)
    assert list((tmp_path / "cache" / "generated").iterdir()) == []


def test_generator_arguments_are_checked(tmp_path):
    with pytest.raises(InputError, match="generator.seeds: Extra inputs"):
        load_card(write(tmp_path, SHOP.replace("seed =", "seeds =")))
