"""From raw files to a catalogue, and back."""

import gzip
import json
import re
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from urecjpq.commands import prepare_card
from urecjpq.data import load_card, load_catalogue, read_mmrec, write_mmrec
from urecjpq.data.preparation import prepare, to_catalogue
from urecjpq.data.prepared import BAD_LINES, MANIFEST, is_prepared
from urecjpq.data.raw import EVENTS, BadLines
from urecjpq.errors import InputError
from urecjpq.testing import shared_data
from urecjpq.testing_raw import write_amazon_2014

NAME, CATEGORY = "amazon-2014-toys", "Toys_and_Games"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    write_amazon_2014(folder, CATEGORY, num_users=300, num_items=200, num_reviews=4000)
    return folder


def copy(raw, tmp_path):
    return shutil.copytree(raw, tmp_path / "raw files")


def test_a_category_goes_from_raw_files_to_a_catalogue(raw, tmp_path):
    catalogue = prepare(NAME, tmp_path / "out", raw)
    counts = catalogue.counts()
    degrees = np.bincount(catalogue.interactions.users), np.bincount(catalogue.interactions.items)
    assert min(degree.min() for degree in degrees) >= 5
    assert counts["train"] > counts["valid"] > 100 and counts["test"] > 100
    item = catalogue.item_ids[0]
    theme = int(item[1:]) % 40
    assert catalogue.titles[0].startswith(f"t{theme}w") and catalogue.titles[0].endswith(" & more")
    assert f"theme{theme}" in catalogue.texts[0] and "brand" in catalogue.texts[0]
    assert catalogue.images == [None] * catalogue.num_items
    assert set(catalogue.interactions.ratings) == {1.0, 2.0, 3.0, 4.0, 5.0}
    assert catalogue.interactions.timestamps.min() >= 1_300_000_000


def test_the_result_is_loaded_by_name_and_made_once(raw, tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path))
    with pytest.raises(InputError, match=f"Make it: urecjpq prepare {NAME}, or"):
        load_catalogue(NAME)
    made = prepare(NAME, given=raw)
    again = prepare(NAME, given=tmp_path / "not there")
    assert made.digest == again.digest == load_catalogue(NAME).digest
    shown = prepare_card(NAME, None, raw, False)
    assert shown["items with pictures"] == shown["items"] == f"{made.num_items:,}"


def test_a_changed_result_is_made_again(raw, tmp_path):
    digest = prepare(NAME, tmp_path, raw).digest
    (tmp_path / "items.csv").write_text("item_id,title,text,image\nB,1,1,\n")
    assert not is_prepared(load_card(NAME), tmp_path)
    assert prepare(NAME, tmp_path, raw).digest == digest
    assert is_prepared(load_card(NAME), tmp_path)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"files": 3}', '{"files": {"no": ""}}'])
def test_a_damaged_manifest_means_to_begin_again(tmp_path, manifest):
    (tmp_path / MANIFEST).write_text(manifest)
    assert not is_prepared(load_card(NAME), tmp_path)


@pytest.mark.parametrize("step", ["write_mmrec", "write_items", "write_json"])
def test_what_was_interrupted_is_not_loaded_but_begun_again(raw, tmp_path, monkeypatch, step):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"urecjpq.data.preparation.{step}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(NAME, tmp_path / "out", raw)
    with pytest.raises(InputError, match="must be prepared; got no .*prepared.json"):
        load_catalogue(NAME, tmp_path / "out")
    assert prepare(NAME, tmp_path / "out", raw).num_items > 100


def test_two_at_a_time_take_turns(raw, tmp_path):
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda _: prepare(NAME, tmp_path, raw).digest, range(3)))
    assert len(set(made)) == 1


def test_bad_lines_stop_it_or_are_listed(raw, tmp_path):
    files = copy(raw, tmp_path)
    path = files / f"reviews_{CATEGORY}_5.json.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines()
    path.write_bytes(gzip.compress(b"\n".join([*lines[:7], b'{"asin": 3}', *lines[7:]])))
    with pytest.raises(InputError, match=r"reviews_Toys_and_Games_5.json.gz:8 must be JSON with"):
        prepare(NAME, tmp_path / "out", files)
    assert not (tmp_path / "out" / MANIFEST).exists()
    skipped = prepare(NAME, tmp_path / "out", files, skip_bad=True)
    assert skipped.digest == prepare(NAME, tmp_path / "other", raw).digest
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["bad_lines"] == 1
    assert ":8 must be JSON" in (tmp_path / "out" / BAD_LINES).read_text()
    shown = prepare_card(NAME, tmp_path / "out", files, True)
    assert shown["bad lines left out"] == 1 and shown["listed in"] == tmp_path / "out" / BAD_LINES


def test_missing_and_wrong_files_are_named(raw, tmp_path):
    files = copy(raw, tmp_path)
    (files / f"meta_{CATEGORY}.json.gz").unlink()
    with pytest.raises(InputError, match="the folder must hold meta_Toys.*Fetch http://snap"):
        prepare(NAME, tmp_path / "out", files)
    (files / f"meta_{CATEGORY}.json.gz").write_text("<html>Log in</html>")
    with pytest.raises(InputError, match="meta_.* must be a data file; got an HTML page"):
        prepare(NAME, tmp_path / "out", files)


def test_wrong_counts_are_refused_before_anything_is_written(raw, tmp_path):
    files = copy(raw, tmp_path)
    for path in list(files.iterdir()):
        path.rename(files / path.name.replace(CATEGORY, "Baby"))
    with pytest.raises(InputError, match="amazon-2014-baby must have the counts .* of 19445|19445"):
        prepare("amazon-2014-baby", tmp_path / "out", files)
    assert not (tmp_path / "out" / "interactions.inter.gz").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("amazon-2014", "amazon-2014 must be used by category; .* Name one of amazon-2014-apps"),
        ("amazon-2014-cars", "category of amazon-2014 must be one of apps, .*; got cars"),
        ("amazon-baby", "amazon-baby must be a card with raw files"),
        ("amazon-2013-toys", "dataset must be one of .*; got 'amazon-2013-toys'"),
    ],
)
def test_cards_that_cannot_be_prepared_are_refused(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        prepare(name, tmp_path)


def test_raw_to_mmrec_and_back_is_the_identity(raw, tmp_path):
    catalogue = prepare(NAME, tmp_path / "out", raw)
    write_mmrec(catalogue, tmp_path / "a.inter")
    maps = tmp_path / "u_id_mapping.csv", tmp_path / "i_id_mapping.csv"
    back = read_mmrec(tmp_path / "a.inter", *maps)
    assert back.digest == catalogue.digest
    for column in ("timestamps", "ratings", "partitions"):
        expected = getattr(catalogue.interactions, column)
        assert np.array_equal(getattr(back.interactions, column), expected)


def test_real_movielens_100k_from_its_raw_format_is_that_of_recbole(tmp_path):
    """The ratings as GroupLens writes them: the same catalogue as from RecBole's file."""
    folder = shared_data() / "ml-100k"
    expected = load_catalogue("ml-100k", folder)
    lines = gzip.decompress((folder / "ml-100k.inter.gz").read_bytes()).decode().splitlines()[1:]
    titles = zip(expected.item_ids, expected.titles, strict=True)
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as archive:
        archive.writestr("ml-100k/u.data", "\n".join(lines))
        items = "\n".join(f"{item}|{title}|01-Jan-1995||" for item, title in titles)
        archive.writestr("ml-100k/u.item", items.encode("latin-1"))
    card = load_card("ml-100k-raw").path.read_text()
    (tmp_path / "ml-100k-raw.toml").write_text(re.sub(", num_bytes.*?[0-9a-f]{64}.", "", card))
    found = prepare(tmp_path / "ml-100k-raw.toml", tmp_path / "out", tmp_path)
    assert found.digest == expected.digest
    assert found.titles.tolist() == expected.titles.tolist()
    for column in ("timestamps", "ratings", "partitions"):
        wanted = getattr(expected.interactions, column)
        assert np.array_equal(getattr(found.interactions, column), wanted)


def test_gowalla_keeps_rare_places_of_users_with_five_check_ins(tmp_path):
    line = "{}\t2010-10-{:02}T00:00:00Z\t1\t2\t{}"
    visits = [("often", day, f"p{day}") for day in range(1, 6)]
    visits += [("again", day, "p1") for day in range(1, 6)]
    visits += [("seldom", day, place) for day, place in enumerate(["p1", "p2", "own"], 1)]
    name = "loc-gowalla_totalCheckins.txt.gz"
    (tmp_path / name).write_bytes(
        gzip.compress("\n".join(line.format(*v) for v in visits).encode())
    )
    with pytest.raises(
        InputError, match="got 2 users instead of 86168, 5 items .*, 10 interactions"
    ):
        prepare("gowalla-check-ins", tmp_path / "out", tmp_path)


def test_repeats_keep_the_first_in_time_or_all(tmp_path):
    lines = ["A,X,5,30", "A,X,4,10", "A,Y,3,20", "B,X,1,5", "A,X,2,10"]
    (tmp_path / "r.csv").write_text("\n".join(lines))
    events = EVENTS["amazon-ratings"]({"ratings": tmp_path / "r.csv"}, BadLines())
    first = to_catalogue(events, "x", "first").interactions
    assert first.ratings.tolist() == [4.0, 3.0, 1.0]
    assert len(to_catalogue(events, "x", "keep").interactions) == 5


VISITS = (
    'name = "visits"\ntitle = "V"\nreader = "raw"\nlicence = ""\ncitation = ""\nsource = ""\n'
    '[raw]\nevents = "gowalla"\nrepeats = "keep"\n'
    '[raw.files]\ncheck_ins = { url = "http://x/visits.txt" }\n'
    '[partition]\nmethod = "leave_one_out"\n'
)


def write_visits(tmp_path):
    line = "{user}\t2010-10-{day:02}T00:00:00Z\t1\t2\t{place}\n"
    visits = [(user, day, (user + day) % 3) for user in range(4) for day in range(1, 9)]
    text = "".join(line.format(user=u, day=d, place=p) for u, d, p in visits)
    (tmp_path / "visits.toml").write_text(VISITS)
    (tmp_path / "visits.txt").write_text(text)


def test_a_card_of_ones_own_is_prepared_and_loaded_by_its_path(tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "cache"))
    write_visits(tmp_path)
    card = tmp_path / "visits.toml"
    with pytest.raises(InputError, match=f"Make it: urecjpq prepare {card}, or"):
        load_catalogue(card)
    made = prepare(card, given=tmp_path)
    assert load_catalogue(card).digest == made.digest
    card.write_text(VISITS + "[filter]\nk_users = 9\n")
    with pytest.raises(InputError, match=f"as it is now; .* again: urecjpq prepare {card}"):
        load_catalogue(card)


def test_repeated_visits_survive_the_way_to_disk(tmp_path):
    write_visits(tmp_path)
    made = prepare(tmp_path / "visits.toml", tmp_path / "out", tmp_path)
    assert made.counts() | {"interactions": 32, "test": 4} == made.counts()
    assert load_catalogue(tmp_path / "visits.toml", tmp_path / "out").digest == made.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('events = "gowalla"', 'events = "csv"', "events must be one of amazon-reviews, .*'csv'"),
        ('"leave_one_out"', '"given"', "partition.method must not be given"),
        ("[raw]\n", "[raw]\nitems = 'x'\n", "items must be one of amazon-2014"),
        ("http://x", "file:///etc", "should match pattern"),
        ("[partition]", "[files]\ninteractions = 'a'\n[partition]", "names its files itself"),
    ],
)
def test_wrong_raw_cards_are_refused(tmp_path, old, new, message):
    assert old in VISITS
    (tmp_path / "visits.toml").write_text(VISITS.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_card(tmp_path / "visits.toml")
