"""Lines of plain, gzip and zip files, numbered, and what becomes of bad ones."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from urecjpq.data.limits import unpacked_limit
from urecjpq.errors import InputError, require

MAX_LINE = 2**24
"""Longest line read, in bytes. The longest reviews have some 30 KB."""
BUFFER = 2**20
# zipfile's own, and what it says to other compressions, passwords, and offsets that are none.
ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError)


class BadLines:
    """What to do with a line that breaks its format: refuse it, or leave it out and count it.

    Args:
        skip: Leave bad lines out.
        report: File that lists those left out, a line each; None to count only.
    """

    def __init__(self, skip: bool = False, report: Path | None = None) -> None:
        self.skip, self.report, self.count = skip, report, 0
        self.first = ""

    def found(self, path: Path, number: int, rule: str, got: object) -> None:
        """Refuse line ``number`` of ``path``, or count it.

        Raises:
            InputError: Bad lines are not to be left out.
        """
        shown = repr(got) if len(repr(got)) <= 120 else repr(got)[:120] + "…"
        problem = f"{path}:{number} must {rule}; got {shown}."
        if not self.skip:
            raise InputError(f"{problem} Pass --skip-bad to leave out such lines.")
        self.first = self.first or problem
        if self.report is not None:
            self.report.parent.mkdir(parents=True, exist_ok=True)
            with self.report.open("w" if self.count == 0 else "a", encoding="utf-8") as file:
                file.write(problem + "\n")
        self.count += 1


def read_lines(path: Path, member: str = "") -> Iterator[tuple[int, bytes]]:
    """Give the number of each line, from 1, and its bytes without the line break.

    Args:
        path: Plain, gzip, or zip; the content tells which.
        member: File inside a zip, by its name or the end of it; a zip with one file needs none.

    Raises:
        InputError: No such file or member, a cut or damaged archive, a line beyond `MAX_LINE`, or
            an archive that unpacks to more than `unpacked_limit`.
    """
    require(path.is_file(), f"{path} must be a file", "nothing there")
    limit = unpacked_limit(path)
    number = unpacked = 0
    try:
        with open_raw(path, member) as stream:
            while line := stream.readline(MAX_LINE + 1):
                number, unpacked = number + 1, unpacked + len(line)
                if len(line) > MAX_LINE or unpacked > limit:
                    _refuse_size(path, number, len(line), limit)
                yield number, line.rstrip(b"\r\n")
    except InputError:
        raise
    except (OSError, EOFError, zlib.error, *ZIP_ERRORS) as error:
        hint = "Delete it and fetch it again."
        raise InputError(f"{path} must be whole; got {error} after line {number}. {hint}") from None


def _refuse_size(path: Path, number: int, length: int, limit: int) -> None:
    rule = f"{path}:{number} must be shorter than {MAX_LINE:,} bytes"
    require(length <= MAX_LINE, rule, "a longer line")
    raise InputError(f"{path} must unpack to at most {limit:,} bytes; got more by line {number:,}.")


@contextmanager
def open_raw(path: Path, member: str = "") -> Iterator[IO[bytes]]:
    """Open a plain, gzip or zip file for reading bytes; a bar shows how far it is read."""
    # disable=None: silent when the output is not a terminal.
    with (
        tqdm(
            total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True, disable=None
        ) as bar,
        io.BufferedReader(_Watched(path, bar), BUFFER) as file,
        _unpacked(file, path, member) as stream,
    ):
        yield stream


class _Watched(io.FileIO):
    """A file that tells a progress bar how far it is read."""

    def __init__(self, path: Path, bar: tqdm) -> None:
        super().__init__(path)
        self.bar = bar

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        self.bar.update(count or 0)
        return count


@contextmanager
def _unpacked(file: "io.BufferedReader[_Watched]", path: Path, member: str) -> Iterator[IO[bytes]]:
    start = file.peek(4)[:4]
    if start[:2] == b"\x1f\x8b":
        # GzipFile's own readline is Python and takes twice as long.
        with gzip.open(file) as packed, io.BufferedReader(packed, BUFFER) as stream:  # pyright: ignore
            yield stream
    elif start == b"PK\x03\x04":
        with (
            zipfile.ZipFile(file) as archive,
            archive.open(_member(archive, path, member)) as inner,
        ):
            yield inner
    else:
        yield file


def _member(archive: zipfile.ZipFile, path: Path, member: str) -> str:
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    fitting = [n for n in names if not member or n == member or n.endswith("/" + member)]
    rule = f"{path} must hold one file {member}".rstrip()
    require(len(fitting) == 1, rule, ", ".join(fitting or names[:10]) or "no file")
    return fitting[0]
