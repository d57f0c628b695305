import builtins

import numpy as np
import pandas as pd
import pytest

from urecjpq.data import catalogue_from_frame, read_table
from urecjpq.errors import InputError


def frame(**columns):
    return pd.DataFrame({"user": ["b", "a", "b"], "item": [7, 7, 10], **columns})


def test_strings_and_integers_are_ids():
    catalogue = catalogue_from_frame(frame())
    assert catalogue.user_ids.tolist() == ["b", "a"]
    assert catalogue.item_ids.tolist() == ["7", "10"]
    assert catalogue.interactions.users.tolist() == [0, 1, 0]
    assert catalogue.interactions.items.tolist() == [0, 0, 1]


def test_index_and_kind_of_column_do_not_matter():
    plain = catalogue_from_frame(frame())
    odd = frame().set_index(pd.Index([5, 5, 5])).astype({"user": "category", "item": "Int64"})
    assert catalogue_from_frame(odd).digest == plain.digest


@pytest.mark.parametrize("labels", [["train", "test", "valid"], [0, 2, 1], ["0", "2", "1"]])
def test_partition_labels(labels):
    catalogue = catalogue_from_frame(frame(part=labels), partition="part")
    assert catalogue.interactions.partitions.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    "times",
    [
        [0, 60, 86400],
        [0.0, 60.0, 86400.0],
        pd.to_datetime(["1970-01-01", "1970-01-01 00:01", "1970-01-02"], format="mixed"),
        pd.to_datetime([0, 60_500, 86_400_000], unit="ms", utc=True).tz_convert("Europe/Rome"),
    ],
)
def test_times_are_seconds(times):
    parts = catalogue_from_frame(frame(when=times), timestamp="when").interactions
    assert parts.timestamps.tolist() == [0, 60, 86400]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({}, {"user": "who"}, "frame must have one column 'who'; got user, item"),
        ({"user": ["a", None, "b"]}, {}, "frame row 1: user must not be missing"),
        ({"user": ["a", "", "b"]}, {}, "frame row 1: user must not be empty"),
        ({"user": ["a", "x\ty", "b"]}, {}, "frame row 1: user must hold no tabs"),
        ({"user": [1.0, 2.0, 3.0]}, {}, "user must hold strings or integers; got floating"),
        ({"user": [1, "1", "b"]}, {}, "user must hold strings or integers; got mixed-integer"),
        ({"item": [7, 7, 7]}, {}, "frame row 2 must not repeat an interaction; .* frame row 0"),
        ({"r": [1, np.inf, 2]}, {"rating": "r"}, "frame row 1: r must be a finite number; got inf"),
        ({"r": [1, 2, None]}, {"rating": "r"}, "frame row 2: r must be a finite number"),
        ({"t": [1, 2, 2**60]}, {"timestamp": "t"}, "frame row 2: t must be whole seconds"),
        ({"p": [0, 1, None]}, {"partition": "p"}, "frame row 2: p must not be missing"),
        ({"p": ["train", "dev", "test"]}, {"partition": "p"}, "p must be 0, 1, 2.*; got 'dev'"),
    ],
)
def test_wrong_frames_are_refused(columns, options, message):
    with pytest.raises(InputError, match=message):
        catalogue_from_frame(frame(**columns), **options)


def test_other_frames_and_empty_ones_are_refused():
    with pytest.raises(InputError, match="frame must be a pandas DataFrame; got dict"):
        catalogue_from_frame({"user": [], "item": []})
    with pytest.raises(InputError, match="frame must have at least one row"):
        catalogue_from_frame(frame().head(0))


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.log"])
def test_tables_read_as_the_frame_does(tmp_path, name):
    source = frame(title=["x, y", "NA", "z"], when=[3, 2, 1])
    path = tmp_path / name
    if name == "t.parquet":
        pytest.importorskip("pyarrow")
        source.to_parquet(path)
    else:
        source.to_csv(path, index=False, sep="\t" if name == "t.tsv" else ",")
    separator = "," if name == "t.log" else None
    catalogue = read_table(path, timestamp="when", separator=separator)
    assert catalogue.name == "t"
    assert catalogue.digest == catalogue_from_frame(source).digest
    assert catalogue.interactions.timestamps.tolist() == [3, 2, 1]


def test_table_errors_name_file_and_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("user,item\na,1\n,2\n")
    with pytest.raises(InputError, match=r"t.csv:3: user must not be empty"):
        read_table(path)
    with pytest.raises(InputError, match=r"t.csv must have one column 'uid'; got user, item"):
        read_table(path, user="uid")
    with pytest.raises(InputError, match=r"path must end in .parquet, .csv, .*t.xlsx"):
        read_table(tmp_path / "t.xlsx")


def test_parquet_errors(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    frame().to_parquet(path)
    with pytest.raises(InputError, match="must have one column 'uid'; got user, item"):
        read_table(path, user="uid")
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match="must be a Parquet file"):
        read_table(path)


def test_missing_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r'pip install "urecjpq\[parquet\]"'):
        read_table(tmp_path / "t.parquet")
