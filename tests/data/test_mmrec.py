import gzip

import numpy as np
import pytest

from urecjpq.data import read_mmrec, write_mmrec
from urecjpq.errors import InputError
from urecjpq.testing import shared_data

HEADER = "userID\titemID\trating\ttimestamp\tx_label\n"


def write(folder, content, name="tiny.inter"):
    path = folder / name
    path.write_text(content)
    return path


def test_all_columns(tmp_path):
    path = write(tmp_path, HEADER + "1\t0\t4.5\t20\t1\n0\t1\t3\t10\t0\n0\t0\t1\t30\t2\n")
    catalogue = read_mmrec(path)
    parts = catalogue.interactions
    assert catalogue.name == "tiny"
    assert catalogue.user_ids.tolist() == catalogue.item_ids.tolist() == ["0", "1"]
    assert parts.users.tolist() == [1, 0, 0] and parts.users.dtype == np.int32
    assert parts.items.tolist() == [0, 1, 0] and parts.items.dtype == np.int32
    assert parts.ratings.tolist() == [4.5, 3, 1] and parts.ratings.dtype == np.float32
    assert parts.timestamps.tolist() == [20, 10, 30] and parts.timestamps.dtype == np.int64
    assert parts.partitions.tolist() == [1, 0, 2] and parts.partitions.dtype == np.int8


def test_columns_in_any_order_and_compressed(tmp_path):
    path = tmp_path / "tiny.inter.gz"
    path.write_bytes(gzip.compress(b"itemID\tuserID\n1\t0\n0\t0\n"))
    parts = read_mmrec(path).interactions
    assert parts.items.tolist() == [1, 0] and parts.users.tolist() == [0, 0]
    assert parts.partitions is parts.ratings is parts.timestamps is None


def test_maps_give_raw_ids_in_any_order_and_for_items_never_touched(tmp_path):
    path = write(tmp_path, "userID\titemID\n0\t2\n1\t0\n")
    users = write(tmp_path, "user_id\tuserID\nNA\t1\nAlice\t0\n", "u_id_mapping.csv")
    items = write(tmp_path, "asin\titemID\nB0\t0\nB1\t1\n097293751X\t2\n", "i_id_mapping.csv")
    catalogue = read_mmrec(path, users, items)
    assert catalogue.user_ids.tolist() == ["Alice", "NA"]
    assert catalogue.item_ids.tolist() == ["B0", "B1", "097293751X"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("userID\titemID\n0\t0\n0\t-1\n", r"tiny.inter:3: itemID must be a whole number from 0"),
        ("userID\titemID\n0\t1.0\n", r"tiny.inter:2: itemID must be a whole number.*got '1.0'"),
        ("userID\titemID\n\t0\n", r"tiny.inter:2: userID must be a whole number.*got ''"),
        ("userID\titemID\n9999999999\t0\n", "userID must be at most 2147483647"),
        ("userID\titemID\n0\t0\n0\t7\n", "tiny.inter:3: itemID must be below 2.*1 does not occur"),
        ("userID\titemID\n0\t0\n0\t1\n0\t0\n", "tiny.inter:4 must not repeat .*tiny.inter:2 again"),
        ("userID\titemID\tx_label\n0\t0\t3\n", "tiny.inter:2: x_label must be 0, 1, 2"),
        ("userID\titemID\trating\n0\t0\tnan\n", "tiny.inter:2: rating must be a finite number"),
        ("userID\titemID\trating\n0\t0\tgood\n", "rating must be a finite number; got 'good'"),
        ("userID\titemID\ttimestamp\n0\t0\t1.5\n", "tiny.inter:2: timestamp must be whole seconds"),
        ("userID\trating\n0\t0\n", "must have one column 'itemID'; got userID, rating"),
        ("userID\titemID\tage\n0\t0\t1\n", "tiny.inter:1 must have no columns but .*; got age"),
        ("user_id:token\titem_id:token\n0\t0\n", "Use read_recbole"),
    ],
)
def test_wrong_values_are_refused_with_their_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_mmrec(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("asin\titemID\nA\t0\n", r"tiny.inter:3: itemID must be in .*i.csv, which has 1 ids"),
        ("asin\titemID\nA\t0\nA\t1\n", "must have each asin once; got 1 repeated"),
        ("asin\titemID\nA\t0\nB\t0\n", "i.csv:3: itemID must be different on every line"),
        ("asin\titemID\nA\t0\nB\t2\n", "i.csv:3: itemID must be below the number of ids 2"),
        ("asin,itemID\nA,0\nB,1\n", "must have one column 'asin'; got asin,itemID"),
    ],
)
def test_wrong_maps_are_refused(tmp_path, content, message):
    path = write(tmp_path, "userID\titemID\n0\t0\n0\t1\n")
    with pytest.raises(InputError, match=message):
        read_mmrec(path, item_map=write(tmp_path, content, "i.csv"))


@pytest.mark.parametrize("name", ["copy.inter", "copy.inter.gz"])
def test_written_catalogue_reads_the_same(tmp_path, name):
    path = write(tmp_path, HEADER + "1\t0\t4.1\t20\t1\n0\t1\t3\t10\t0\n")
    users = write(tmp_path, 'user_id\tuserID\nNA\t1\n"Al, 1\t0\n', "u.csv")
    first = read_mmrec(path, users)
    copy = tmp_path / name
    write_mmrec(first, copy)
    maps = tmp_path / "u_id_mapping.csv", tmp_path / "i_id_mapping.csv"
    second = read_mmrec(copy, *maps)
    assert second.digest == first.digest
    for column in ("timestamps", "ratings"):
        found, expected = (getattr(c.interactions, column) for c in (second, first))
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("amazon-baby/baby.inter.tsv.gz", [19445, 7050, 160792, 118551, 20559, 21682]),
        ("amazon-sports/sports.inter.tsv.gz", [35598, 18357, 296337, 218409, 37899, 40029]),
        ("tiktok/tiktok.inter.tsv.gz", [9308, 6710, 68722, 59541, 3051, 6130]),
    ],
)
def test_published_counts_of_real_files(file, counts):
    assert list(read_mmrec(shared_data() / file).counts().values()) == counts
