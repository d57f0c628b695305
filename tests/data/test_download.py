"""Downloads from a local server that misbehaves on purpose."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from urecjpq.data.download import check_download, download
from urecjpq.errors import InputError

DATA = bytes(range(256)) * 20_000
SUM = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Counts requests; ``faults`` is what to do with each of the next ones."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.asked, self.ranges = [], [], True

    def url(self, path="/data.gz"):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        fault = server.faults.pop(0) if server.faults else None
        if fault is not None:
            return fault(self)
        if self.path == "/moved":
            return self.answer(302, {"Location": "/data.gz"}, b"")
        self.send_data()

    def send_data(self, length=None, claimed=None):
        wanted = self.headers.get("Range")
        start = int(wanted[6:-1]) if wanted and self.server.ranges else 0
        if start >= len(DATA):
            return self.answer(416, {"Content-Range": f"bytes */{len(DATA)}"}, b"")
        body = DATA[start:]
        status = 206 if start else 200
        self.answer(status, {"Content-Length": str(claimed or len(body))}, body[:length])

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


def cut(handler):
    handler.send_data(length=len(DATA) // 3)


def too_short(handler):
    handler.send_data(length=1000, claimed=1000)


def status(code, headers=None):
    return lambda handler: handler.answer(code, headers or {}, b"later")


def page(handler):
    handler.answer(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Log in</html>")


def page_in_disguise(handler):
    body = b"\n<!DOCTYPE html><html>Quota exceeded</html>"
    handler.answer(200, {"Content-Type": "application/gzip"}, body)


@pytest.fixture
def server():
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def fetch(server, folder, **known):
    return download(server.url(), folder / "sub" / "data.gz", pause=0.01, **known)


def test_a_file_is_fetched_once_and_noted(server, tmp_path):
    path = fetch(server, tmp_path)
    assert path.read_bytes() == DATA
    assert (path.parent / "data.gz.sha256").read_text() == SUM + "\n"
    fetch(server, tmp_path)
    assert server.asked == [None]


def test_redirects_are_followed(server, tmp_path):
    path = download(server.url("/moved"), tmp_path / "x", sha256=SUM, num_bytes=len(DATA))
    assert path.read_bytes() == DATA


def test_a_cut_file_is_continued(server, tmp_path):
    server.faults = [cut, cut]
    assert fetch(server, tmp_path).read_bytes() == DATA
    starts = [int(asked[6:-1]) for asked in server.asked[1:]]
    assert len(starts) == 2 and 0 < starts[0] < starts[1] < len(DATA)


def test_a_server_without_ranges_sends_all_again(server, tmp_path):
    server.faults, server.ranges = [cut], False
    assert fetch(server, tmp_path).read_bytes() == DATA


def test_a_whole_part_file_is_taken(server, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data.gz.part").write_bytes(DATA)
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.asked == [f"bytes={len(DATA)}-"]


def test_a_part_file_longer_than_the_file_is_begun_again(server, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "data.gz.part").write_bytes(DATA + b"more")
    assert fetch(server, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}])
def test_a_busy_server_is_asked_again(server, tmp_path, headers):
    server.faults = [status(429, headers), status(503, headers)]
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert len(server.asked) == 3


def test_giving_up_keeps_what_came(server, tmp_path):
    server.faults = [cut] * 3
    with pytest.raises(InputError, match=r"must send the whole file; got .* after 2 attempts"):
        fetch(server, tmp_path, retries=1)
    assert not (tmp_path / "sub" / "data.gz").exists()
    assert 0 < (tmp_path / "sub" / "data.gz.part").stat().st_size < len(DATA)
    server.faults = []
    assert fetch(server, tmp_path).read_bytes() == DATA


def test_a_refusal_is_not_asked_again(server, tmp_path):
    server.faults = [status(404)]
    with pytest.raises(InputError, match="must be there; got status 404.*--from FOLDER"):
        fetch(server, tmp_path)
    assert len(server.asked) == 1


@pytest.mark.parametrize("fault", [page, page_in_disguise])
def test_pages_are_no_files(server, tmp_path, fault):
    server.faults = [fault]
    with pytest.raises(InputError, match="must be a data file; got an HTML page"):
        fetch(server, tmp_path)
    assert not (tmp_path / "sub" / "data.gz").exists()
    assert fetch(server, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize(
    ("known", "message"),
    [({"num_bytes": 5}, "must have 5 bytes"), ({"sha256": "0" * 64}, "must have the sha256 000")],
)
def test_wrong_bytes_are_refused(server, tmp_path, known, message):
    with pytest.raises(InputError, match=message):
        fetch(server, tmp_path, **known)
    assert not (tmp_path / "sub" / "data.gz").exists()


def test_a_server_that_claims_too_little_is_found_out(server, tmp_path):
    server.faults = [too_short]
    with pytest.raises(InputError, match="must have 5,120,000 bytes; got 1,000"):
        fetch(server, tmp_path, num_bytes=len(DATA))
    assert fetch(server, tmp_path, num_bytes=len(DATA)).read_bytes() == DATA


def test_a_file_changed_since_its_first_use_is_refused(server, tmp_path):
    path = fetch(server, tmp_path)
    path.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(InputError, match=f"data.gz must have the sha256 {SUM}"):
        fetch(server, tmp_path)


def test_two_writers_take_turns(server, tmp_path):
    threads = [threading.Thread(target=fetch, args=(server, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "sub" / "data.gz").read_bytes() == DATA
    assert server.asked == [None]


def test_no_server_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="must send the whole file; got ConnectionError"):
        download("http://127.0.0.1:9/x", tmp_path / "x", retries=0)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="must be a file"):
        check_download(tmp_path / "no", "no")
