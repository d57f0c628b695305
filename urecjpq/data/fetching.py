"""Fetch the pictures of items: few connections, a pause per host, limits, and a log to go on from.

pictures/
  pictures.jsonl       one line per address that is settled: its file, or why there is none
  <32 hex digits>.jpg  the file, named by the sha256 of its address
"""

import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import filelock
from tqdm import tqdm

from urecjpq.data.pictures import PictureError, read_picture
from urecjpq.errors import InputError
from urecjpq.threads import map_ahead

if TYPE_CHECKING:
    from requests import Session

LOG = "pictures.jsonl"
AGENT = "urecjpq (research toolkit; fetches each picture once)"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp"})
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
LONGEST_PAUSE = 60.0
FAILURES_IN_A_ROW = 100


@dataclass(frozen=True)
class Politeness:
    """What we ask of a server at most.

    Args:
        connections: Requests at the same time, over all hosts.
        delay: Seconds from the start of a request to the next one to the same host.
        retries: Further attempts after a broken connection or a busy server; a server's
            ``Retry-After`` is heeded, up to a minute.
        timeout: Seconds without a byte.
        max_bytes: Size of a picture.
        max_pixels: Width times height of a picture.
    """

    connections: int = 4
    delay: float = 0.25
    retries: int = 3
    timeout: float = 20.0
    max_bytes: int = 10_000_000
    max_pixels: int = 50_000_000


@dataclass(frozen=True)
class Picture:
    """What became of an address: a file, or why there is none.

    Args:
        url: The address.
        file: Name in the folder, None where there is no picture.
        reason: Why not, in words that can be counted; "" for a picture.
        settled: False where another attempt may help: a busy server, a broken connection.
    """

    url: str
    file: str | None = None
    reason: str = ""
    settled: bool = True


def fetch_pictures(
    urls: Iterable[str], folder: Path, politeness: Politeness | None = None
) -> dict[str, Picture]:
    """Fetch pictures that are not there yet, and say of each address what became of it.

    A picture is kept if it can be decoded, in its original bytes. Addresses that are settled, for
    better or worse, are not asked again; the others are, when this is called again.

    Args:
        urls: ``http`` or ``https``; repeated ones are fetched once, empty ones passed over.
        folder: Where pictures and log go; made if absent. One process at a time writes there.
        politeness: Limits.

    Returns:
        What became of each address.

    Raises:
        InputError: A hundred addresses in a row could not be reached. What was fetched is kept.
    """
    politeness = politeness or Politeness()
    folder.mkdir(parents=True, exist_ok=True)
    wanted = dict.fromkeys(url for url in urls if url)
    with filelock.FileLock(folder / ".lock"):
        known = {url: picture for url, picture in read_log(folder).items() if url in wanted}
        missing = [url for url in wanted if url not in known]
        return known | _fetch_all(missing, folder, politeness)


def read_log(folder: Path) -> dict[str, Picture]:
    """Return the settled addresses of a folder whose files are still there."""
    path = folder / LOG
    if not path.is_file():
        return {}
    settled = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            picture = Picture(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            continue  # a kill can cut the last line; its address is asked again
        if picture.file is None or (folder / picture.file).is_file():
            settled[picture.url] = picture
    return settled


def count_reasons(pictures: Iterable[Picture]) -> dict[str, int]:
    """Return how many addresses gave no picture, by reason, most frequent first."""
    return dict(Counter(p.reason for p in pictures if p.file is None).most_common())


def _fetch_all(urls: list[str], folder: Path, politeness: Politeness) -> dict[str, Picture]:
    import requests  # most commands need no network

    found: dict[str, Picture] = {}
    in_a_row = 0
    fetch = partial(_fetch, folder=folder, politeness=politeness, hosts=_Hosts(politeness.delay))
    with (
        requests.Session() as session,
        open(folder / LOG, "a", encoding="utf-8") as log,
        tqdm(total=len(urls), desc="pictures", unit="picture", disable=None) as bar,
    ):
        session.headers["User-Agent"] = AGENT
        threads = politeness.connections
        for picture in map_ahead(partial(fetch, session=session), urls, threads, 4 * threads):
            found[picture.url] = picture
            if picture.settled:
                log.write(_line(picture))
                log.flush()
            bar.update()
            in_a_row = 0 if picture.settled else in_a_row + 1
            if in_a_row >= FAILURES_IN_A_ROW:
                raise InputError(
                    f"pictures must be reachable; got {picture.reason} {in_a_row} times in a row, "
                    f"last from {picture.url}. The same command goes on where it stopped."
                )
    return found


def _line(picture: Picture) -> str:
    content = {"url": picture.url, "file": picture.file, "reason": picture.reason}
    return json.dumps(content, ensure_ascii=False) + "\n"


class _Hosts:
    """When each host may be asked next."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.lock = threading.Lock()
        self.next: dict[str, float] = {}

    def wait(self, url: str) -> None:
        """Sleep until the host of ``url`` may be asked, and take that turn."""
        host = urlsplit(url).netloc
        with self.lock:
            turn = max(time.monotonic(), self.next.get(host, 0.0))
            self.next[host] = turn + self.delay
        time.sleep(max(0.0, turn - time.monotonic()))

    def pause(self, url: str, seconds: float) -> None:
        """Leave the host of ``url`` alone for a while, in all threads."""
        host = urlsplit(url).netloc
        with self.lock:
            self.next[host] = max(self.next.get(host, 0.0), time.monotonic() + seconds)


class _Again(Exception):
    """The server was busy or the connection broke. Holds the pause that the server asked for."""

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class _Refused(Exception):
    """The server has no picture for us, and asking again would not help."""


def _fetch(
    url: str, folder: Path, politeness: Politeness, hosts: _Hosts, session: "Session"
) -> Picture:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        return Picture(url, reason="not an http address")
    name = hashlib.sha256(url.encode()).hexdigest()[:32] + _suffix(url)
    part = folder / f".{name}.part"
    reason = ""
    try:
        for attempt in range(politeness.retries + 1):
            hosts.wait(url)
            try:
                _save(url, part, politeness, session)
                read_picture(part, politeness.max_bytes, politeness.max_pixels)
                os.replace(part, folder / name)
                return Picture(url, name)
            except _Again as again:
                reason = str(again)
                pause = 2.0**attempt * politeness.delay if again.pause is None else again.pause
                hosts.pause(url, min(pause, LONGEST_PAUSE))
        return Picture(url, reason=reason, settled=False)
    except _Refused as refused:
        return Picture(url, reason=str(refused))
    except PictureError as error:
        return Picture(url, reason=error.reason)
    finally:
        part.unlink(missing_ok=True)


def _save(url: str, part: Path, politeness: Politeness, session: "Session") -> None:
    import requests

    try:
        with session.get(url, stream=True, timeout=politeness.timeout) as answer:
            if answer.status_code in BUSY:
                pause = answer.headers.get("Retry-After", "")
                reason = f"status {answer.status_code}"
                raise _Again(reason, float(pause) if pause.isdigit() else None)
            if not answer.ok:
                raise _Refused(f"status {answer.status_code}")
            if "text/html" in answer.headers.get("Content-Type", ""):
                raise _Refused("an HTML page")
            with open(part, "wb") as file:
                for chunk in answer.iter_content(2**16):
                    file.write(chunk)
                    if file.tell() > politeness.max_bytes:
                        raise _Refused("too many bytes")
    except (requests.exceptions.InvalidURL, requests.TooManyRedirects) as error:
        raise _Refused(type(error).__name__) from None
    except requests.RequestException as error:
        raise _Again(f"no whole answer ({type(error).__name__})") from None


def _suffix(url: str) -> str:
    suffix = Path(urlsplit(url).path).suffix.lower()
    return suffix if suffix in SUFFIXES else ""
