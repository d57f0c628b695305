import gzip
import zipfile

import pytest

from urecjpq.data import limits
from urecjpq.data.raw import BadLines, lines
from urecjpq.data.raw.lines import read_lines
from urecjpq.errors import InputError

TEXT = b"one\ntwo\r\n\nfour"
LINES = [(1, b"one"), (2, b"two"), (3, b""), (4, b"four")]


def plain(path):
    path.write_bytes(TEXT)


def gzipped(path):
    path.write_bytes(gzip.compress(TEXT))


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/", "")
        archive.writestr("folder/a.dat", TEXT)
        archive.writestr("folder/other.dat", b"no")


@pytest.mark.parametrize("write", [plain, gzipped, zipped])
def test_lines_come_with_their_numbers(tmp_path, write):
    write(tmp_path / "file")
    assert list(read_lines(tmp_path / "file", "a.dat")) == LINES


def test_a_zip_with_one_file_needs_no_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        archive.writestr("x", TEXT)
    assert list(read_lines(tmp_path / "z")) == LINES


@pytest.mark.parametrize("member", ["b.dat", ""])
def test_a_member_must_be_there_once(tmp_path, member):
    zipped(tmp_path / "z")
    with pytest.raises(InputError, match="z must hold one file.*folder/a.dat, folder/other.dat"):
        list(read_lines(tmp_path / "z", member))


@pytest.mark.parametrize("write", [gzipped, zipped])
def test_cut_archives_are_refused(tmp_path, write):
    write(tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="file must be whole; got .* Delete it and fetch it again"):
        list(read_lines(tmp_path / "file", "a.dat"))


def test_a_flipped_gzip_file_is_refused(tmp_path):
    data = bytearray(gzip.compress(b"text of some length\n" * 100))
    data[-6] ^= 1
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(InputError, match="must be whole; got CRC check failed"):
        list(read_lines(tmp_path / "file"))


def test_long_lines_and_bombs_are_refused(tmp_path, monkeypatch):
    (tmp_path / "long").write_bytes(b"ok\n" + b"x" * 200)
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    with pytest.raises(InputError, match="long:2 must be shorter than 100 bytes"):
        list(read_lines(tmp_path / "long"))
    (tmp_path / "bomb").write_bytes(gzip.compress(b"\n" * 10**6))
    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    with pytest.raises(InputError, match="bomb must unpack to at most .* bytes"):
        list(read_lines(tmp_path / "bomb"))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no must be a file; got nothing there"):
        list(read_lines(tmp_path / "no"))


def test_bad_lines_are_refused_or_counted_and_listed(tmp_path):
    with pytest.raises(InputError, match="f:3 must be good; got 'x'. Pass --skip-bad"):
        BadLines().found(tmp_path / "f", 3, "be good", "x")
    bad = BadLines(skip=True, report=tmp_path / "list")
    bad.found(tmp_path / "f", 3, "be good", "x" * 500)
    bad.found(tmp_path / "f", 9, "be good", "y")
    assert bad.count == 2
    assert [line[-30:] for line in (tmp_path / "list").read_text().splitlines()][1].endswith("'y'.")
    assert len(bad.first) < 250 + len(str(tmp_path))
