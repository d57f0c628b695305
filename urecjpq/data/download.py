"""Fetch a file whole or not at all: resumed after a cut, retried, checked, one writer at a time."""

import os
import sys
import time
from pathlib import Path

import filelock
from tqdm import tqdm

from urecjpq.data.transfer import Cut, transfer, version_file
from urecjpq.errors import InputError, require
from urecjpq.files import sha256_of, write_text

RETRIES = 6
NOTICEABLE = 10.0
"""Seconds of waiting that are told to the user."""
MAGIC = {".gz": b"\x1f\x8b", ".zip": b"PK"}
"""How archives begin, by suffix."""


def download(
    url: str,
    path: Path,
    num_bytes: int | None = None,
    sha256: str | None = None,
    retries: int = RETRIES,
    pause: float = 1.0,
) -> Path:
    """Fetch ``url`` to ``path`` unless it is there already.

    Bytes go to ``<path>.part``, which a later call continues if the server's file is still the
    same. Where nobody publishes a sum, the first fetch notes its sha256 in ``<path>.sha256``, and
    every later use is held to it.

    Args:
        url: ``http`` or ``https``; redirects are followed.
        path: Where the file goes; folders are made.
        num_bytes: Size it must have, if known.
        sha256: Sum it must have, if known.
        retries: Further attempts in a row that bring nothing new, after a cut or a busy server.
        pause: Seconds before the first of them; doubled each time, at most a minute. A server's
            ``Retry-After`` counts instead, up to ten minutes.

    Returns:
        ``path``.

    Raises:
        InputError: The server refuses, answers with a page instead of a file, or the bytes are not
            the expected ones. Nothing is left at ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock"):
        if not path.is_file():
            part = path.with_name(path.name + ".part")
            _fetch_all(url, part, retries, pause)
            try:
                check_download(part, url, num_bytes, sha256)
                _check_archive(part, url, path.suffix)
            except InputError:
                part.unlink()  # what is wrong must not be continued
                raise
            finally:
                version_file(part).unlink(missing_ok=True)
            os.replace(part, path)
        _hold_to_first_use(path, num_bytes, sha256)
    return path


def _check_archive(part: Path, url: str, suffix: str) -> None:
    expected = MAGIC.get(suffix, b"")
    with part.open("rb") as file:
        start = file.read(len(expected))
    require(start == expected, f"{url} must be a {suffix} file", f"one that begins with {start!r}")


def _hold_to_first_use(path: Path, num_bytes: int | None, sha256: str | None) -> None:
    noted = path.with_name(path.name + ".sha256")
    if sha256 is None and noted.is_file():
        first = noted.read_text(encoding="utf-8").strip()
        hint = f"Delete it to fetch it again; delete {noted.name} too if the publisher changed it."
        found = check_download(path, path.name, num_bytes)
        rule = f"{path} must have the sha256 of its first use, {first}"
        require(found == first, rule, found, hint)
        return
    found = check_download(path, path.name, num_bytes, sha256)
    if not noted.is_file():
        write_text(noted, found + "\n")


def check_download(
    path: Path, source: str, num_bytes: int | None = None, sha256: str | None = None
) -> str:
    """Return the sha256 of a fetched file, or refuse it.

    Raises:
        InputError: It is missing, is an HTML page, or has another size or sum.
    """
    require(path.is_file(), f"{path} must be a file", "nothing there")
    size = path.stat().st_size
    hint = "Fetch it again, or correct the card if the publisher changed it."
    if num_bytes is not None:
        require(size == num_bytes, f"{source} must have {num_bytes:,} bytes", f"{size:,}", hint)
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    page = start.startswith((b"<!doctype html", b"<html"))
    require(not page, f"{source} must be a data file", "an HTML page", hint)
    found = sha256_of(path)
    if sha256 is not None:
        require(found == sha256, f"{source} must have the sha256 {sha256}", found, hint)
    return found


def _fetch_all(url: str, part: Path, retries: int, pause: float) -> None:
    most, attempts = part.stat().st_size if part.exists() else 0, 0
    while True:
        try:
            return transfer(url, part)
        except Cut as cut:
            size = part.stat().st_size if part.exists() else 0
            attempts = 0 if size > most else attempts + 1
            most = max(most, size)
            if attempts > retries:
                raise InputError(
                    f"{url} must send the whole file; got {cut}, {attempts} times in a row "
                    f"({size:,} bytes are kept). The same command goes on; or fetch it by hand: "
                    "--from FOLDER."
                ) from None
            wait = min(60.0, pause * 2**attempts) if cut.wait is None else min(cut.wait, 600.0)
            if wait >= NOTICEABLE:
                tqdm.write(f"{url}: {cut}; trying again in {wait:.0f} s", file=sys.stderr)
            time.sleep(wait)
