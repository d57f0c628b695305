"""Downloads from a local server that misbehaves on purpose."""

import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from urecjpq.data.download import check_download, download
from urecjpq.errors import InputError

DATA = b"\x1f\x8b" + bytes(range(256)) * 20_000
SUM = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Counts requests; ``faults`` is what to do with each of the next ones."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.asked, self.ranges = [], [], True
        self.data, self.tag = DATA, None

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

    def send_data(self, length=None, claimed=None, headers=None):
        data, tag = self.server.data, self.server.tag
        wanted, same = self.headers.get("Range"), self.headers.get("If-Range") in (None, tag)
        start = int(wanted[6:-1]) if wanted and same and self.server.ranges else 0
        if start >= len(data):
            return self.answer(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
        body = data[start:]
        sent = {"Content-Length": str(claimed or len(body))} | (headers or {})
        if start:
            sent["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if tag:
            sent["ETag"] = tag
        self.answer(206 if start else 200, sent, body[:length])

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


def cut_at_once(handler):
    handler.send_data(length=0)


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


LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize("after", ["", "0", LONG_AGO, "soon", "Wed, 99 Foo"])
def test_a_busy_server_is_asked_again(server, tmp_path, after):
    headers = {"Retry-After": after} if after else {}
    server.faults = [status(429, headers), status(503, headers)]
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert len(server.asked) == 3


def test_giving_up_keeps_what_came(server, tmp_path):
    server.faults = [cut, cut_at_once, cut_at_once]
    with pytest.raises(InputError, match=r"must send the whole file; got .*, 2 times in a row"):
        fetch(server, tmp_path, retries=1)
    assert not (tmp_path / "sub" / "data.gz").exists()
    assert 0 < (tmp_path / "sub" / "data.gz.part").stat().st_size < len(DATA)
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.asked[-1].startswith("bytes=")


def test_cuts_do_not_count_while_bytes_come(server, tmp_path):
    server.faults = [cut, cut_at_once] * 5
    assert fetch(server, tmp_path, retries=1).read_bytes() == DATA


@pytest.mark.parametrize("tag", ['"one"', 'W/"weak"', None])
def test_a_file_that_changed_during_a_cut_is_begun_again(server, tmp_path, tag):
    server.faults, server.tag = [cut, cut_at_once, cut_at_once], tag
    with pytest.raises(InputError, match="must send the whole file"):
        fetch(server, tmp_path, retries=1)
    server.data = b"\x1f\x8b" + bytes(len(DATA) - 2)
    server.tag = tag and tag.replace("one", "two").replace("weak", "two")
    found = fetch(server, tmp_path).read_bytes()
    # Without a strong ETag or a date nobody can tell; the sum or the archive's own check must.
    assert (found == server.data) == (tag == '"one"')
    assert sorted(p.name for p in (tmp_path / "sub").iterdir()) == [
        "data.gz",
        "data.gz.lock",
        "data.gz.sha256",
    ]


@pytest.mark.parametrize(
    "wrong", [{"Content-Range": "bytes 7-9/10"}, {"ETag": '"another"'}, {"Content-Range": ""}]
)
def test_a_part_that_does_not_follow_is_not_appended(server, tmp_path, wrong):
    def misplaced(handler):
        handler.answer(206, {"ETag": '"one"', **follows(handler), **wrong}, b"no")

    server.faults, server.tag = [cut, misplaced], '"one"'
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert len(server.asked) == 3 and server.asked[2] is None


def follows(handler):
    return {"Content-Range": f"bytes {handler.headers['Range'][6:]}{len(DATA) - 1}/{len(DATA)}"}


@pytest.mark.parametrize("claimed", [len(DATA) + 1, "many"])
def test_a_wrong_length_does_no_harm(server, tmp_path, claimed):
    server.faults = [lambda handler: handler.send_data(claimed=claimed)]
    assert fetch(server, tmp_path).read_bytes() == DATA


def test_a_gz_file_called_an_encoding_stays_packed(server, tmp_path):
    packed = server.data = gzip.compress(b"x" * 1000)
    server.faults = [lambda handler: handler.send_data(headers={"Content-Encoding": "gzip"})]
    assert fetch(server, tmp_path).read_bytes() == packed


def test_an_excuse_with_status_200_is_no_archive(server, tmp_path):
    server.faults = [status(200)]
    with pytest.raises(InputError, match="must be a .gz file; got one that begins with b'la'"):
        fetch(server, tmp_path)
    assert fetch(server, tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("place", ["file:///etc/passwd", "/elsewhere", "http://["])
def test_redirects_to_nowhere_are_refused_at_once(server, tmp_path, place):
    server.faults = [status(302, {"Location": place})] * 50
    with pytest.raises(InputError, match="must lead to a file; got"):
        fetch(server, tmp_path)


def test_long_waits_are_told(server, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.faults = [status(429, {"Retry-After": "120"})]
    fetch(server, tmp_path)
    assert "status 429; trying again in 120 s" in capsys.readouterr().err


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
    with pytest.raises(InputError, match=f"must have {len(DATA):,} bytes; got 1,000"):
        fetch(server, tmp_path, num_bytes=len(DATA))
    assert fetch(server, tmp_path, num_bytes=len(DATA)).read_bytes() == DATA


def test_a_file_changed_since_its_first_use_is_refused(server, tmp_path):
    path = fetch(server, tmp_path)
    path.write_bytes(DATA[:-1] + b"x")
    with pytest.raises(InputError, match=f"sha256 of its first use, {SUM}"):
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
