"""One file over HTTP, appended to what came before."""

import email.utils
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from urecjpq.errors import InputError, require
from urecjpq.files import write_text

if TYPE_CHECKING:
    from requests import Response

CHUNK = 2**16
TIMEOUT = 30.0
BUSY = frozenset({408, 429, 500, 502, 503, 504})
AGENT = "urecjpq (research toolkit)"


class Cut(Exception):
    """The server stopped early or was busy; trying again may help. Holds seconds to wait."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def transfer(url: str, part: Path) -> None:
    """Append what is missing to ``part``.

    Raises:
        Cut: The connection broke, or the server asks to come back later.
        InputError: The server has no such file, or a page in its place.
    """
    import requests  # a quarter of a second, and most commands need no network
    from requests import exceptions
    from urllib3.exceptions import HTTPError

    have = part.stat().st_size if part.exists() else 0
    try:
        with requests.get(url, headers=_wish(part, have), stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416:  # nothing is missing, or the file became shorter
                if answer.headers.get("Content-Range") != f"bytes */{have}":
                    _begin_again(part)
                return
            _refuse(url, answer)
            _receive(answer, part, have)
    except InputError:
        raise
    except (ValueError, exceptions.TooManyRedirects) as error:  # addresses that are none
        raise InputError(f"{url} must lead to a file; got {error}.") from None
    except (exceptions.RequestException, HTTPError) as error:
        raise Cut(type(error).__name__) from None


def _receive(answer: "Response", part: Path, have: int) -> None:
    resumed = answer.status_code == 206
    if resumed and not _continues(answer.headers, part, have):
        _begin_again(part)
    if not resumed:
        have = 0
        write_text(version_file(part), _version(answer.headers))
    length = answer.headers.get("Content-Length", "")
    total = int(length) + have if length.isdecimal() else None
    with _bar(part, total, have) as bar, part.open("ab" if resumed else "wb") as file:
        # Undecoded: a server may call the gzip of a .gz file an encoding of it.
        for chunk in answer.raw.stream(CHUNK, decode_content=False):
            file.write(chunk)
            bar.update(len(chunk))
    size = part.stat().st_size
    if total is not None and size < total:
        raise Cut(f"{size:,} of {total:,} bytes")


def _wish(part: Path, have: int) -> dict[str, str]:
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version := _noted_version(part):
            headers["If-Range"] = version  # all of it if the file has changed since
    return headers


def _refuse(url: str, answer: "Response") -> None:
    if answer.status_code in BUSY:
        raise Cut(f"status {answer.status_code}", _retry_after(answer.headers))
    hint = "Fetch the file by hand and pass its folder: --from FOLDER."
    require(answer.ok, f"{url} must be there", f"status {answer.status_code}", hint)
    kind = answer.headers.get("Content-Type", "")
    require("text/html" not in kind, f"{url} must be a data file", "an HTML page", hint)


def _continues(headers: Mapping[str, str], part: Path, have: int) -> bool:
    known = _noted_version(part)
    same = not known or _version(headers) in ("", known)
    return same and headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _begin_again(part: Path) -> NoReturn:
    part.unlink()
    raise Cut("another file than the one begun", 0.0)


def _version(headers: Mapping[str, str]) -> str:
    # RFC 9110 has no weak ETag in If-Range.
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def version_file(part: Path) -> Path:
    """Return where the version of the server's file is noted while ``part`` is unfinished."""
    return part.with_name(part.name + ".version")


def _noted_version(part: Path) -> str:
    path = version_file(part)
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    if value.isdecimal():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return max(0.0, date.timestamp() - time.time())


@contextmanager
def _bar(part: Path, total: int | None, initial: int) -> Iterator[tqdm]:
    name = part.name.removesuffix(".part")
    # disable=None: silent when the output is not a terminal.
    with tqdm(
        total=total, initial=initial, desc=name, unit="B", unit_scale=True, disable=None
    ) as bar:
        yield bar
