import pandas as pd
import pytest

from urecjpq.data import catalogue_from_frame, with_items
from urecjpq.errors import InputError


@pytest.fixture
def catalogue():
    return catalogue_from_frame(pd.DataFrame({"user": [1, 2, 3], "item": ["b", "a", "c"]}))


def write(folder, content, name="items.csv"):
    (folder / "a.png").write_bytes(b"picture")
    path = folder / name
    path.write_text(content)
    return path


def test_titles_and_images_follow_the_catalogue(tmp_path, catalogue):
    path = write(tmp_path, 'item_id,title,image\na,"A, first",a.png\nzz,no,\nb,B,\n')
    found = with_items(catalogue, path, image="image")
    assert found.titles.tolist() == ["B", "A, first", ""]
    assert found.images == [None, tmp_path / "a.png", None]
    assert found.digest == catalogue.digest


def test_columns_are_optional(tmp_path, catalogue):
    found = with_items(catalogue, write(tmp_path, "item_id,age\na,3\n"))
    assert found.titles is None and found.images is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item_id,image\na,\nb,b.png\n", "items.csv:3: image must be a file in .*; got 'b.png'"),
        ("item_id,image\na,../a.png\n", r"image must be a file in .*; got '../a.png'"),
        ("item_id,image\na,\na,\n", "items.csv:3: item_id must be on one line only; got 'a'"),
        ("item_id,image\n9,\n", "items.csv must know at least one item of frame; got item_id"),
        ("asin,image\na,\n", "must have one column 'item_id'; got asin, image"),
        ("item_id,title\na,A\n", "must have one column 'image'; got item_id, title"),
    ],
)
def test_wrong_item_files_are_refused(tmp_path, catalogue, content, message):
    with pytest.raises(InputError, match=message):
        with_items(catalogue, write(tmp_path, content), image="image")
