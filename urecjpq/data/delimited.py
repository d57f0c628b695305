"""Comma- and tab-separated files, read strictly.

pandas fills short rows, cuts long ones and reads ``NA`` as missing, each without a word. Here the
fields of every record are counted before pandas sees the file, and every value stays text.
"""

import codecs
import csv
import gzip
import io
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from urecjpq.data.columns import Table, check_columns
from urecjpq.data.limits import unpacked_limit
from urecjpq.errors import InputError, require

CHUNK = 2**24
NEWLINE, QUOTE = ord("\n"), ord('"')


def read_delimited(path: Path, separator: str, columns: list[str] | None = None) -> Table:
    r"""Return columns of a delimited file as text.

    Plain or gzip, UTF-8 with or without a byte-order mark, LF or CRLF. Tab-separated files have no
    quoting; in others ``"`` encloses a field, which may then hold separators and line breaks.

    Args:
        path: The file; its first line is the header.
        separator: One character, e.g. ``","`` or ``"\t"``.
        columns: Names to read; None for all.

    Raises:
        InputError: No such file, not text, no rows, a record with another number of fields than the
            header, a repeated name in the header, or a column that is not there.
    """
    data = _read_bytes(path)
    quoted = separator != "\t"
    starts = _check_records(path, data, separator, quoted)
    names = _header(path, data, separator, quoted)
    wanted = names if columns is None else columns
    check_columns(str(path), wanted, names)
    frame = pd.read_csv(
        io.BytesIO(data),
        sep=separator,
        header=None,
        skiprows=1,
        names=names,
        usecols=wanted,
        dtype=object,
        na_filter=False,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        skip_blank_lines=False,
        lineterminator="\n",
    )
    return Table(str(path), frame, lambda row: f"{path}:{starts[row + 1]}")


def _read_bytes(path: Path) -> bytes:
    require(path.is_file(), "path must be a file", path)
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    data = _unpacked(path) if packed else path.read_bytes()
    data = data.removeprefix(codecs.BOM_UTF8)
    _check_utf8(path, data)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    return data.rstrip(b"\r\n") + b"\n"


def _unpacked(path: Path) -> bytes:
    limit, chunks, size = unpacked_limit(path), [], 0
    try:
        with gzip.open(path) as file:
            while chunk := file.read(CHUNK):
                size += len(chunk)
                require(size <= limit, f"{path} must unpack to at most {limit:,} bytes", "more")
                chunks.append(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} must be a whole gzip file; got {error}.") from None
    return b"".join(chunks)


def _check_utf8(path: Path, data: bytes) -> None:
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}:{line} must be UTF-8; got byte {data[error.start]:#04x}. "
            "Convert the file, e.g. with iconv -f latin1 -t utf-8."
        ) from None


def _check_records(path: Path, data: bytes, separator: str, quoted: bool) -> np.ndarray | range:
    """Return the line on which each record starts, once all have as many fields as the first."""
    text = np.frombuffer(data, dtype=np.uint8)
    ends = np.flatnonzero(text == NEWLINE)
    separators = np.flatnonzero(text == ord(separator))
    starts: np.ndarray | range = range(1, len(ends) + 1)
    if quoted and QUOTE in text:
        inside = np.logical_xor.accumulate(text == QUOTE)
        require(not inside[-1], f"{path} must close every quote", "an odd number of them")
        _check_quotes(path, text, ord(separator))
        separators = separators[~inside[separators]]
        outside = ~inside[ends]
        starts = np.append(1, np.flatnonzero(outside) + 2)
        ends = ends[outside]
    fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    wrong = fields != fields[0]
    if wrong.any():
        record = int(wrong.argmax())
        rule = f"{path}:{starts[record]} must have {fields[0]} columns, as the header has"
        require(False, rule, fields[record])
    require(len(ends) > 1, f"{path} must have at least one row below the header", "none")
    return starts


def _check_quotes(path: Path, text: np.ndarray, separator: int) -> None:
    """Refuse quotes within fields, which parsers read in different ways."""
    quotes = np.flatnonzero(text == QUOTE)
    opening, closing = quotes[::2], quotes[1::2]
    edges = [separator, NEWLINE, QUOTE]  # a quote beside a quote: a doubled one inside a field
    before = np.where(opening > 0, text[opening - 1], NEWLINE)
    wrong = ~np.isin(before, edges) | ~np.isin(text[closing + 1], edges)
    if wrong.any():
        line = int(np.count_nonzero(text[: opening[wrong.argmax()]] == NEWLINE)) + 1
        rule = f"{path}:{line} must have quotes around whole fields, and doubled ones inside"
        require(False, rule, "one within a field")


def _header(path: Path, data: bytes, separator: str, quoted: bool) -> list[str]:
    line = data[: data.index(b"\n")].decode()
    try:
        names = (
            next(csv.reader([line], delimiter=separator), [""]) if quoted else line.split(separator)
        )
    except csv.Error as error:
        raise InputError(f"{path}:1 must name the columns; got {error}.") from None
    require(line != "", f"{path}:1 must name the columns", "an empty line")
    repeated = [name for name in names if names.count(name) > 1]
    require(not repeated, f"{path}:1 must name every column once", repeated)
    return names
