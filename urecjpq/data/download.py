"""Fetch a file whole or not at all: resumed after a cut, retried, checked, one writer at a time."""

import email.utils
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from tqdm import tqdm

from urecjpq.errors import InputError, require
from urecjpq.files import sha256_of, write_text

CHUNK = 2**20
TIMEOUT = 30.0
RETRIES = 6
BUSY = frozenset({408, 429, 500, 502, 503, 504})
AGENT = "urecjpq (research toolkit)"


class Cut(Exception):
    """The server stopped early or was busy; trying again may help. Holds seconds to wait."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def download(
    url: str,
    path: Path,
    num_bytes: int | None = None,
    sha256: str | None = None,
    retries: int = RETRIES,
    pause: float = 1.0,
) -> Path:
    """Fetch ``url`` to ``path`` unless it is there already.

    Bytes go to ``<path>.part``, which a later call continues. Where nobody publishes a sum, the
    first fetch notes its sha256 in ``<path>.sha256``, and every later use is held to it.

    Args:
        url: ``http`` or ``https``; redirects are followed.
        path: Where the file goes; folders are made.
        num_bytes: Size it must have, if known.
        sha256: Sum it must have, if known.
        retries: Further attempts after a cut or a busy server.
        pause: Seconds before the first of them; doubled each time, at most a minute. A server's
            ``Retry-After`` counts instead.

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
            except InputError:
                part.unlink()  # what is wrong must not be continued
                raise
            os.replace(part, path)
        _hold_to_first_use(path, num_bytes, sha256)
    return path


def _hold_to_first_use(path: Path, num_bytes: int | None, sha256: str | None) -> None:
    noted = path.with_name(path.name + ".sha256")
    if sha256 is None and noted.is_file():
        sha256 = noted.read_text().strip()
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
    for attempt in range(retries + 1):
        try:
            return _fetch(url, part)
        except Cut as cut:
            if attempt == retries:
                kept = (
                    f"{part.stat().st_size:,} bytes are kept" if part.exists() else "nothing kept"
                )
                raise InputError(
                    f"{url} must send the whole file; got {cut} after {retries + 1} attempts "
                    f"({kept}). The same command goes on; or fetch it by hand: --from FOLDER."
                ) from None
            time.sleep(min(60.0, pause * 2**attempt) if cut.wait is None else min(cut.wait, 600.0))


def _fetch(url: str, part: Path) -> None:
    """Append what is missing to ``part``.

    Raises:
        Cut: The connection broke, or the server asks to come back later.
    """
    import requests  # a quarter of a second, and most commands need no network

    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:  # nothing is missing, or the file became shorter
                _restart_unless_whole(answer.headers.get("Content-Range", ""), have, part)
                return
            if answer.status_code in BUSY:
                raise Cut(f"status {answer.status_code}", _retry_after(answer.headers))
            rule = f"{url} must be there"
            hint = "Fetch the file by hand and pass its folder: --from FOLDER."
            require(answer.ok, rule, f"status {answer.status_code}", hint)
            kind = answer.headers.get("Content-Type", "")
            require("text/html" not in kind, f"{url} must be a data file", "an HTML page", hint)
            resumed = answer.status_code == 206
            size = answer.headers.get("Content-Length")
            total = None if size is None else int(size) + (have if resumed else 0)
            with _bar(part, total, have if resumed else 0) as bar:
                with part.open("ab" if resumed else "wb") as file:
                    for chunk in answer.iter_content(CHUNK):
                        file.write(chunk)
                        bar.update(len(chunk))
    except requests.RequestException as error:
        raise Cut(type(error).__name__) from None
    if total is not None and part.stat().st_size < total:
        raise Cut(f"{part.stat().st_size:,} of {total:,} bytes")


def _restart_unless_whole(content_range: str, have: int, part: Path) -> None:
    if content_range != f"bytes */{have}":
        part.unlink()
        raise Cut("another file than the one begun", 0.0)


def _retry_after(headers) -> float | None:
    value = headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    date = email.utils.parsedate_to_datetime(value) if value else None
    return None if date is None else max(0.0, date.timestamp() - time.time())


@contextmanager
def _bar(part: Path, total: int | None, initial: int) -> Iterator[tqdm]:
    name = part.name.removesuffix(".part")
    # disable=None: silent when the output is not a terminal.
    with tqdm(
        total=total, initial=initial, desc=name, unit="B", unit_scale=True, disable=None
    ) as bar:
        yield bar
