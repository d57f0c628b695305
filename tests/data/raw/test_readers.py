"""Each reader on files in its publisher's documented format, and on malformed lines of it."""

import gzip
import json
import zipfile

import numpy as np
import pytest

from urecjpq.data.raw import EVENTS, ITEMS, BadLines
from urecjpq.errors import InputError
from urecjpq.testing import shared_data


def review(**changes):
    base = {"reviewerID": "U1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1252800000}
    return json.dumps(base | {"reviewText": "fine"} | changes)


def review_2023(**changes):
    base = {"user_id": "U1", "parent_asin": "B1", "asin": "B9", "rating": 5.0}
    return json.dumps(base | {"timestamp": 1252800000123} | changes)


def yelp(**changes):
    base = {"user_id": "U1", "business_id": "B1", "stars": 5.0, "date": "2009-09-13 00:00:00"}
    return json.dumps(base | changes)


ONE = (["U1"], ["B1"], [1252800000], [5.0])
BAD_RECORDS = ["{", "[]", "3", "null", '{"asin": "B1"}', "\xff"]
# reader: role, header, a good line, what it says, malformed lines
CASES = {
    "amazon-reviews": (
        "reviews",
        "",
        review(),
        ONE,
        [*BAD_RECORDS, review(reviewerID=7), review(asin=""), review(overall="good")]
        + [review(unixReviewTime=None), review(asin="a\tb"), review(unixReviewTime=10**30)]
        + [review(asin="\ud800")],
    ),
    "amazon-reviews-2023": (
        "reviews",
        "",
        review_2023(),
        ONE,
        [*BAD_RECORDS, review_2023(parent_asin=None), review_2023(rating=float("nan"))],
    ),
    "amazon-ratings": (
        "ratings",
        "",
        "U1,B1,5.0,1252800000",
        ONE,
        ["", "U1,B1,5.0", "U1,B1,5.0,1252800000,x", ",B1,5.0,1", "U1,B1,x,1", "U1,B1,5,1.5"],
    ),
    "amazon-ratings-2018": ("ratings", "", "B1,U1,5.0,1252800000", ONE, ["B1,U1,inf,1"]),
    "movielens-tabs": ("ratings", "", "U1\tB1\t5\t1252800000", ONE, ["U1\tB1\t5", "U1 B1 5 1"]),
    "movielens-colons": ("ratings", "", "U1::B1::5::1252800000", ONE, ["U1::B1::5", "U1:B1:5:1"]),
    "movielens-csv": (
        "ratings",
        "userId,movieId,rating,timestamp",
        "U1,B1,5.0,1252800000",
        ONE,
        ["U1,B1,5.0", "userId,movieId,rating,timestamp"],
    ),
    "gowalla": (
        "check_ins",
        "",
        "U1\t2009-09-13T00:00:00Z\t30.2\t-97.7\tB1",
        (["U1"], ["B1"], [1252800000], None),
        ["U1\t2009-09-13\t30.2\t-97.7\tB1", "U1\t2009-13-13T00:00:00Z\t3\t4\tB1", "U1\t\t\t\t"]
        + ["U1\t2009-02-30T00:00:00Z\t30.2\t-97.7\tB1", "U1\t2009-09-13T00:00:00Z\t3\t4\tB1\tx"],
    ),
    "booking": (
        "train",
        "user_id,checkin,checkout,city_id,device_class,utrip_id",
        "100,2009-09-13,2009-09-14,B1,desktop,U1",
        (["U1"], ["B1"], [1252800000], None),
        ["100,2009-09-13,2009-09-14,B1,desktop", "100,13/09/2009,x,B1,desktop,U1", '"100'],
    ),
    "yelp": ("reviews", "", yelp(), ONE, [*BAD_RECORDS, yelp(date="yesterday"), yelp(stars=None)]),
    "lastfm": (
        "plays",
        "userID\tartistID\tweight",
        "U1\tB1\t5",
        (["U1"], ["B1"], None, [5.0]),
        ["U1\tB1", "U1\tB1\tmany"],
    ),
}
every_reader = pytest.mark.parametrize("name", CASES)


def write(path, *lines):
    path.write_bytes("\n".join(line for line in lines if line is not None).encode("latin-1"))
    return path


def files_of(name, path, *lines):
    role, header, *_ = CASES[name]
    return {role: write(path / "raw", *([header] if header else []), *lines)}


def test_every_reader_is_tested():
    assert CASES.keys() == EVENTS.keys()


@every_reader
def test_a_good_line_is_read(tmp_path, name):
    _, _, good, (users, items, times, ratings), _ = CASES[name]
    found = EVENTS[name](files_of(name, tmp_path, good, good), BadLines())
    assert (found.user_ids.tolist(), found.item_ids.tolist()) == (users, items)
    assert found.users.tolist() == found.items.tolist() == [0, 0]
    assert found.users.dtype == found.items.dtype == np.int32
    for column, expected in ((found.timestamps, times), (found.ratings, ratings)):
        assert (column is None) == (expected is None)
        assert column is None or column.tolist() == expected * 2


@every_reader
def test_malformed_lines_are_named_or_counted(tmp_path, name):
    _, header, good, _, wrong = CASES[name]
    number = 3 if header else 2
    for line in wrong:
        files = files_of(name, tmp_path, good, line, good)
        with pytest.raises(InputError, match=f"raw:{number} must .*; got .* Pass --skip-bad"):
            EVENTS[name](files, BadLines())
        bad = BadLines(skip=True)
        assert len(EVENTS[name](files, bad).users) == 2
        assert bad.count == 1


@every_reader
def test_a_file_without_interactions_is_refused(tmp_path, name):
    files = files_of(name, tmp_path)
    with pytest.raises(InputError, match="must have at least one interaction; got none"):
        EVENTS[name](files, BadLines(skip=True))


def test_a_header_in_another_order_is_refused(tmp_path):
    files = {"ratings": write(tmp_path / "raw", "movieId,userId,rating,timestamp", "1,2,3,4")}
    with pytest.raises(InputError, match="raw:1 must be userId,movieId,rating,timestamp"):
        EVENTS["movielens-csv"](files, BadLines())


def test_booking_reads_both_orders_of_columns_and_no_hidden_city(tmp_path):
    train = write(tmp_path / "train", "utrip_id,city_id,checkin", "T1,5,2016-01-01")
    test = write(
        tmp_path / "test", "checkin,utrip_id,city_id", "2016-01-02,T2,5", "2016-01-03,T2,0"
    )
    found = EVENTS["booking"]({"test": test, "train": train}, BadLines())
    assert found.user_ids.tolist() == ["T1", "T2"]
    assert found.item_ids.tolist() == ["5"]
    assert np.diff(found.timestamps).tolist() == [86400]


def test_members_of_archives_are_found(tmp_path):
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "1::10::5::978300760\n")
        archive.writestr(
            "ml-1m/movies.dat", "10::Am\xe9lie (2001)::Comedy|Romance\n".encode("latin-1")
        )
    files = {"ratings": tmp_path / "ml.zip", "items": tmp_path / "ml.zip"}
    assert EVENTS["movielens-colons"](files, BadLines()).item_ids.tolist() == ["10"]
    content = ITEMS["movielens-colons"](files, {"10"}, ["title", "genres"], BadLines())
    assert content.titles == {"10": "Amélie (2001)"}
    assert content.texts == {"10": "Amélie (2001) Comedy Romance"}


METADATA = {
    "amazon-2014": (
        repr({"asin": "B1", "title": "Car &amp; boat", "categories": [["Baby", "Toys"]]})[:-1]
        + ", 'brand': 'O\\'X', 'imUrl': 'http://x/1.jpg', 'related': {'also_bought': ['B2']}}",
        "Car & boat O'X Baby Toys",
        "http://x/1.jpg",
    ),
    "amazon-2018": (
        json.dumps({"asin": "B1", "title": "Car & boat", "brand": "O'X"})[:-1]
        + ', "categories": ["Baby", "<b>Toys</b>"], "imageURLHighRes": ["http://x/1.jpg"]}',
        "Car & boat O'X Baby Toys",
        "http://x/1.jpg",
    ),
    "amazon-2023": (
        json.dumps({"parent_asin": "B1", "title": "Car & boat", "brand": "O'X"})[:-1]
        + ', "categories": ["Baby", "Toys"], "images": [{"variant": "PT01", "large": "http://x/2"},'
        + ' {"variant": "MAIN", "large": "http://x/1.jpg"}]}',
        "Car & boat O'X Baby Toys",
        "http://x/1.jpg",
    ),
}


@pytest.mark.parametrize("name", METADATA)
def test_amazon_metadata_are_read(tmp_path, name):
    line, text, picture = METADATA[name]
    other = line.replace("B1", "B7")
    path = tmp_path / "meta.json.gz"
    path.write_bytes(gzip.compress(f"{line}\n{other}\n".encode()))
    fields = ["title", "brand", "categories"]
    content = ITEMS[name]({"metadata": path}, {"B1"}, fields, BadLines())
    assert content.titles == {"B1": "Car & boat"}
    assert content.texts == {"B1": text}
    assert content.pictures == {"B1": picture}


@pytest.mark.parametrize("name", METADATA)
@pytest.mark.parametrize(
    "wrong", ["{", "[]", "{}", "None", "x" * 300, "[" * 5000, "{'asin': __import__('os')}"]
)
def test_malformed_metadata_are_named(tmp_path, name, wrong):
    path = write(tmp_path / "meta", METADATA[name][0], wrong)
    with pytest.raises(InputError, match="meta:2 must .*; got "):
        ITEMS[name]({"metadata": path}, {"B1"}, ["title"], BadLines())


def test_a_long_literal_is_refused_before_it_is_parsed(tmp_path):
    path = write(tmp_path / "meta", "{'asin': '" + "x" * 2**20 + "'}")
    with pytest.raises(InputError, match="meta:1 must describe an item with asin"):
        ITEMS["amazon-2014"]({"metadata": path}, set(), ["title"], BadLines())


def test_movielens_items_with_bars_and_quoted_titles(tmp_path):
    bars = write(tmp_path / "u.item", "1|Toy Story (1995)|01-Jan-1995||http://x|0|0", "broken")
    bad = BadLines(skip=True)
    content = ITEMS["movielens-bars"]({"items": bars}, {"1"}, ["title"], bad)
    assert content.titles == {"1": "Toy Story (1995)"} and bad.count == 1
    rows = ["movieId,title,genres", '1,"American President, The (1995)",Comedy|Drama', '2,"x']
    quoted = write(tmp_path / "movies.csv", *rows)
    bad = BadLines(skip=True)
    content = ITEMS["movielens-csv"]({"items": quoted}, {"1"}, ["genres"], bad)
    assert content.titles == {"1": "American President, The (1995)"}
    assert content.texts == {"1": "Comedy Drama"} and bad.count == 1


def test_yelp_businesses_are_read(tmp_path):
    line = json.dumps({"business_id": "B1", "name": "Bar", "categories": "Pubs, Food"})
    path = write(tmp_path / "b", line, "[]")
    bad = BadLines(skip=True)
    content = ITEMS["yelp"]({"businesses": path}, {"B1"}, ["name", "categories"], bad)
    assert content.texts == {"B1": "Bar Pubs, Food"} and bad.count == 1


def test_real_movielens_titles_are_read():
    path = shared_data() / "ml-1m" / "movies.dat"
    wanted = {str(number) for number in range(1, 3953)}
    bad = BadLines(skip=True)
    content = ITEMS["movielens-colons"]({"items": path}, wanted, ["title", "genres"], bad)
    assert bad.count == 0
    assert len(content.titles) == 3883
    assert content.titles["1"] == "Toy Story (1995)"
    assert content.texts["73"] == "Misérables, Les (1995) Drama Musical"
