import gzip

import pytest

from urecjpq.data import limits
from urecjpq.data.delimited import read_delimited
from urecjpq.errors import InputError


def read(tmp_path, content, separator="\t", columns=None):
    path = tmp_path / "table.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_delimited(path, separator, columns)


def rows(table):
    return table.frame.to_numpy().tolist()


def test_text_stays_text(tmp_path):
    table = read(tmp_path, 'a\tb\nNA\t"x\nnull\t007\nnan\t\n')
    assert rows(table) == [["NA", '"x'], ["null", "007"], ["nan", ""]]


def test_byte_order_mark_crlf_and_missing_last_newline(tmp_path):
    table = read(tmp_path, b"\xef\xbb\xbfa\tb\r\n1\t2\r\n3\t4")
    assert list(table.frame.columns) == ["a", "b"]
    assert rows(table) == [["1", "2"], ["3", "4"]]
    assert rows(read(tmp_path, b"a\n1\r\n2\r")) == [["1"], ["2"]]


def test_gzip_is_told_by_content_not_by_name(tmp_path):
    assert rows(read(tmp_path, gzip.compress(b"a\tb\n1\t2\n"))) == [["1", "2"]]


def test_gzip_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    with pytest.raises(InputError, match="must unpack to at most .* bytes; got more"):
        read(tmp_path, gzip.compress(b"a\n" * 10**6))


def test_quotes_enclose_separators_and_line_breaks(tmp_path):
    table = read(tmp_path, 'a,b\n"x, ""y""","two\nlines"\n3,4\n', ",")
    assert rows(table) == [['x, "y"', "two\nlines"], ["3", "4"]]
    # The record after the two-line one starts on line 4.
    assert table.where(1).endswith("table.txt:4")


def test_only_named_columns_are_read(tmp_path):
    assert list(read(tmp_path, "a,b,c\n1,2,3\n", ",", ["c", "a"]).frame.columns) == ["a", "c"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\nx", r"table.txt:1 must name the columns; got an empty line"),
        (b"\n\r", r"must have at least one row below the header; got none"),
        ("a\tb\n1\t2\n3\n", r"table.txt:3 must have 2 columns, as the header has; got 1\."),
        ("a\tb\n1\t2\t3\n", r"table.txt:2 must have 2 columns, as the header has; got 3\."),
        ("a\tb\n1\t2\t3\t4\n3\t4\n", "table.txt:2 must have 2 columns"),
        ("a\tb\n1\t2\n\n3\t4\n", "table.txt:3 must have 2 columns"),
        ("a\tb\n", "must have at least one row below the header; got none"),
        ("", "must have at least one row below the header; got none"),
        ("a\ta\n1\t2\n", r"table.txt:1 must name every column once; got \['a', 'a'\]"),
        (b"a\tb\n1\t\xff\n", "table.txt:2 must be UTF-8; got byte 0xff"),
        (gzip.compress(b"a\tb\n1\t2\n")[:-9], "must be a whole gzip file"),
    ],
)
def test_malformed_files_are_refused_with_their_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, content)


@pytest.mark.parametrize("line", ['x"y,z"w', 'a, "b"', '"a"b,c', '"a""b"c,d', 'a""b,c'])
def test_quotes_within_fields_are_refused(tmp_path, line):
    with pytest.raises(InputError, match="table.txt:3 must have quotes around whole fields"):
        read(tmp_path, f'a,b\n"1",2\n{line}\n', ",")


@pytest.mark.parametrize(
    ("line", "fields"),
    [('"",""', ["", ""]), ('"""a""",""""', ['"a"', '"']), ('"a"",b",c', ['a",b', "c"])],
)
def test_doubled_quotes_are_quotes(tmp_path, line, fields):
    assert rows(read(tmp_path, f"a,b\n{line}\n", ",")) == [fields]


@pytest.mark.parametrize("header", ["a\rb,c", "x" * 200_000 + ",c"])
def test_headers_that_are_none_are_refused(tmp_path, header):
    with pytest.raises(InputError, match="table.txt:1 must name the columns; got"):
        read(tmp_path, f"{header}\n1,2\n", ",")


def test_open_quote_is_refused(tmp_path):
    with pytest.raises(InputError, match="must close every quote"):
        read(tmp_path, 'a,b\n"1,2\n3,4\n', ",")


def test_line_of_a_short_row_counts_line_breaks_in_quotes(tmp_path):
    with pytest.raises(InputError, match=r"table.txt:4 must have 2 columns"):
        read(tmp_path, 'a,b\n"1\n1",2\n3\n', ",")


def test_missing_column_lists_those_there_are(tmp_path):
    with pytest.raises(InputError, match="must have one column 'z'; got a, b"):
        read(tmp_path, "a\tb\n1\t2\n", columns=["z"])


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"path must be a file; got .*nothing\.tsv"):
        read_delimited(tmp_path / "nothing.tsv", "\t")
