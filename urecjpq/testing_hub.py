"""A hub on this machine: as much of the Hugging Face hub's protocol as its own client needs here.

The client is the real one. The server keeps repositories in memory, one commit after the other.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch


class LocalHub(ThreadingHTTPServer):
    """Repositories by name, each a mapping from path to bytes.

    Attributes:
        repositories: What was pushed.
        asked: Files that were asked for, in order.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """Address to name as ``HF_ENDPOINT``."""
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, repository: str) -> str:
        """Return the name of the last commit: a sum of everything in the repository."""
        sha = hashlib.sha1(usedforsecurity=False)
        for path, content in sorted(self.repositories[repository].items()):
            sha.update(path.encode() + b"\0" + content)
        return sha.hexdigest()


@contextmanager
def local_hub(cache: Path) -> Iterator[LocalHub]:
    """Serve a hub while the context lasts, and let the client know no other.

    Args:
        cache: Where the client keeps what it fetches.
    """
    hub = LocalHub()
    thread = Thread(target=hub.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        with hub_at(hub.url, cache):
            yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


@contextmanager
def hub_at(url: str, cache: Path) -> Iterator[None]:
    """Do what ``HF_ENDPOINT`` and ``HF_HUB_CACHE`` do if they are set before the first import."""
    with patch.multiple(
        "huggingface_hub.constants",
        ENDPOINT=url,
        HUGGINGFACE_CO_URL_TEMPLATE=url + "/{repo_id}/resolve/{revision}/{filename}",
        HF_HUB_CACHE=str(cache),
        HF_HUB_DISABLE_TELEMETRY=True,
    ):
        yield


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub  # type: ignore[assignment]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif self.path == "/api/repos/create":
            given = json.loads(body)
            name = f"{given['organization']}/{given['name']}"
            self.server.repositories.setdefault(name, {})
            self._json({"url": f"{self.server.url}/{name}"})
        elif match := re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            files = [file["path"] for file in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            self._json({"files": [{"path": path, **modes} for path in files]})
        elif match := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            repository = self.server.repositories[match[1]]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    repository[entry["value"]["path"]] = content
            oid = self.server.commit(match[1])
            self._json(
                {"commitUrl": f"{self.server.url}/{match[1]}/commit/{oid}", "commitOid": oid}
            )
        else:
            self._missing("EntryNotFound")

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if match := re.fullmatch(r"/api/models/(.+?)/(revision/main|tree/\w+)", path):
            files = self.server.repositories.get(match[1])
            if files is None:
                return self._missing("RepoNotFound")
            listed = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in sorted(files.items())
            ]
            about = {"id": match[1], "sha": self.server.commit(match[1])}
            self._json(about if match[2].startswith("revision") else listed)
        elif match := re.fullmatch(r"/(.+?/.+?)/resolve/[^/]+/(.+)", path):
            self._file(match[1], match[2])
        else:
            self._missing("EntryNotFound")

    do_HEAD = do_GET

    def _file(self, repository: str, name: str) -> None:
        content = self.server.repositories.get(repository, {}).get(name)
        if content is None:
            return self._missing("EntryNotFound")
        self.server.asked.append(name)
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": self.server.commit(repository),
        }
        self._answer(content, "application/octet-stream", headers)

    def _json(self, value: Any) -> None:
        self._answer(json.dumps(value).encode(), "application/json", {})

    def _answer(self, content: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(200)
        lengths = {"Content-Type": kind, "Content-Length": str(len(content))}
        for name, value in (headers | lengths).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
