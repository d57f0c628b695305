import pytest

from urecjpq.data import read_recbole
from urecjpq.errors import InputError
from urecjpq.testing import shared_data

INTER = (
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "u9\tNA\t3\t881250949\nu1\t10\t4\t8.8e8\nu9\t2\t5\t1\n"
)


def write(folder, content, name="tiny.inter"):
    path = folder / name
    path.write_text(content)
    return path


def test_rows_are_numbered_by_first_appearance(tmp_path):
    catalogue = read_recbole(write(tmp_path, INTER))
    assert catalogue.user_ids.tolist() == ["u9", "u1"]
    assert catalogue.item_ids.tolist() == ["NA", "10", "2"]
    assert catalogue.interactions.users.tolist() == [0, 1, 0]
    assert catalogue.interactions.timestamps.tolist() == [881250949, 880000000, 1]
    assert catalogue.interactions.ratings.tolist() == [3, 4, 5]
    assert catalogue.interactions.partitions is None


def test_titles_come_from_the_item_file(tmp_path):
    items = "item_id:token\tmovie_title:token_seq\n2\tTwo\nunseen\tNo\nNA\tNot available\n"
    path = write(tmp_path, items, "tiny.item")
    catalogue = read_recbole(write(tmp_path, INTER), path)
    assert catalogue.titles.tolist() == ["Not available", "", "Two"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("userID\titemID\n0\t0\n", "tiny.inter:1 must have no columns but .* Use read_mmrec"),
        ("user_id:token\trating:float\n0\t0\n", "must have one column 'item_id:token'"),
        ("user_id:token\titem_id:token\n0\t\n", "tiny.inter:2: item_id:token must not be empty"),
        (INTER + "u1\t10\t4\t5\n", "tiny.inter:5 must not repeat .*tiny.inter:3 again"),
    ],
)
def test_malformed_files_are_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_recbole(write(tmp_path, content))


def test_movielens_100k():
    folder = shared_data() / "ml-100k"
    catalogue = read_recbole(folder / "ml-100k.inter.gz", folder / "ml-100k.item")
    assert catalogue.counts() == {"users": 943, "items": 1682, "interactions": 100000}
    assert catalogue.titles[catalogue.item_ids == "1"].tolist() == ["Toy Story"]
    assert (catalogue.titles != "").all()
