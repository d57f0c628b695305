"""Pictures from a server that misbehaves on purpose."""

import io
import json
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pandas as pd
import pytest
from PIL import Image

from urecjpq.data import fetching, load_catalogue
from urecjpq.data.fetching import Politeness, count_reasons, fetch_pictures, read_log
from urecjpq.data.item_pictures import fetch_item_pictures
from urecjpq.errors import InputError

QUICK = Politeness(connections=2, delay=0.0, retries=2, timeout=2.0, max_bytes=20_000)


def jpeg(colour="red", side=64):
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "JPEG")
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Answers by the name of what is asked for."""

    def do_GET(self):
        shop = self.server.shop
        name = self.path.split("?")[0].strip("/").split(".")[0]
        with shop.lock:
            shop.asked[name] += 1
            shop.agents.add(self.headers["User-Agent"])
            shop.times.append(time.monotonic())
            shop.busy += 1
            shop.most = max(shop.most, shop.busy)
        time.sleep(shop.pause)
        try:
            getattr(self, f"send_{name.rstrip('0123456789')}", self.send_gone)(shop.asked[name])
        finally:
            with shop.lock:
                shop.busy -= 1

    def answer(self, content, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def send_good(self, _):
        self.answer(jpeg())

    def send_page(self, _):
        self.answer(b"<html>sorry</html>", Content_Type="text/html; charset=utf-8")

    def send_disguised(self, _):
        self.answer(b"<html>sorry</html>", Content_Type="image/jpeg")

    def send_gone(self, _):
        self.answer(b"", 404)

    def send_moved(self, _):
        self.answer(b"", 302, Location="/good1.jpg")

    def send_circle(self, _):
        self.answer(b"", 302, Location=self.path)

    def send_cut(self, _):
        self.answer(jpeg()[:100], length=600)
        self.close_connection = True

    def send_cutonce(self, times):
        self.answer(jpeg() if times > 1 else jpeg()[:100], length=len(jpeg()))
        self.close_connection = True

    def send_limited(self, times):
        if times > 1:
            self.answer(jpeg())
        else:
            self.answer(b"", 429, Retry_After="1")

    def send_broken(self, _):
        self.answer(b"", 503)

    def send_large(self, _):
        self.answer(jpeg() + bytes(100_000))

    def send_zero(self, _):
        self.answer(b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def shop():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    class Shop:
        lock = threading.Lock()
        asked, agents, times = Counter(), set(), []
        busy = most = 0
        pause = 0.0
        url = f"http://127.0.0.1:{server.server_port}"

    server.shop = Shop
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Shop
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_answer_has_its_outcome(shop, tmp_path):
    expected = {
        "good1": "",
        "moved": "",
        "limited": "",
        "cutonce": "",
        "page": "an HTML page",
        "disguised": "not a picture",
        "gone": "status 404",
        "circle": "TooManyRedirects",
        "large": "too many bytes",
        "zero": "empty file",
        "broken": "status 503",
    }
    urls = {name: f"{shop.url}/{name}.jpg" for name in expected}
    found = fetch_pictures([*urls.values(), "", "ftp://x/a.jpg", "http://"], tmp_path, QUICK)
    assert {name: found[url].reason for name, url in urls.items()} == expected
    assert found["ftp://x/a.jpg"].reason == found["http://"].reason == "not an http address"
    for name in ("good1", "moved", "limited", "cutonce"):
        assert (tmp_path / found[urls[name]].file).read_bytes() == jpeg()
    assert shop.asked["broken"] == 3 and shop.asked["gone"] == 1
    assert all("urecjpq" in agent for agent in shop.agents)
    assert count_reasons(found.values())["not an http address"] == 2
    assert not list(tmp_path.glob(".*part"))


def test_settled_addresses_are_not_asked_again(shop, tmp_path):
    urls = [f"{shop.url}/{name}.jpg" for name in ("good1", "good2", "gone", "broken", "cut")]
    first = fetch_pictures(urls, tmp_path, QUICK)
    assert not first[urls[3]].settled and first[urls[4]].reason.startswith("no whole answer")
    asked = dict(shop.asked)
    second = fetch_pictures(urls, tmp_path, QUICK)
    assert {name: shop.asked[name] - asked[name] for name in asked} == {
        "good1": 0, "good2": 0, "gone": 0, "broken": 3, "cut": 3
    }  # fmt: skip
    assert second == first


def test_deleted_picture_and_cut_log_are_made_good(shop, tmp_path):
    urls = [f"{shop.url}/good{number}.jpg" for number in range(3)]
    found = fetch_pictures(urls, tmp_path, QUICK)
    (tmp_path / found[urls[0]].file).unlink()
    log = tmp_path / fetching.LOG
    log.write_text(log.read_text()[:-20])
    again = fetch_pictures(urls, tmp_path, QUICK)
    assert again == found and len(read_log(tmp_path)) == 3
    assert shop.asked == {"good0": 2, "good1": 1, "good2": 2}


def test_few_connections_and_a_delay_per_host(shop, tmp_path):
    shop.pause = 0.05
    urls = [f"{shop.url}/good{number}.jpg" for number in range(12)]
    fetch_pictures(urls, tmp_path / "two", QUICK)
    assert shop.most == 2
    shop.times.clear()
    fetch_pictures(urls[:5], tmp_path / "slow", Politeness(connections=4, delay=0.2))
    # A busy machine may see one late and the next in time, but not all of them early.
    assert len(shop.times) == 5 and max(shop.times) - min(shop.times) > 0.6


def test_retry_after_is_heeded(shop, tmp_path):
    began = time.monotonic()
    fetch_pictures([f"{shop.url}/limited.jpg"], tmp_path, QUICK)
    assert time.monotonic() - began > 0.9


def test_gives_up_where_nothing_can_be_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "FAILURES_IN_A_ROW", 3)
    urls = [f"http://127.0.0.1:9/{number}.jpg" for number in range(10)]
    hopeless = Politeness(connections=1, delay=0.0, retries=0, timeout=1.0)
    with pytest.raises(InputError, match=r"pictures must be reachable; got .* 3 times in a row"):
        fetch_pictures(urls, tmp_path, hopeless)
    assert read_log(tmp_path) == {}


def test_catalogue_finds_the_pictures_of_its_items(shop, tmp_path):
    visits = [(user, item) for user in "abcd" for item in ("1", "NA", "é", "4")]
    pd.DataFrame(visits, columns=["user", "item"]).to_csv(tmp_path / "visits.csv", index=False)
    urls = [f"{shop.url}/good.jpg", f"{shop.url}/gone.jpg", f"{shop.url}/good.jpg", ""]
    items = {"item_id": ["1", "NA", "é", "4"], "title": list("wxyz"), "picture_url": urls}
    pd.DataFrame(items).to_csv(tmp_path / "items.csv", index=False)
    (tmp_path / "shop.toml").write_text(
        'name = "shop"\ntitle = "Shop"\nreader = "table"\nlicence = "none"\ncitation = "none"\n'
        'source = "none"\n[files]\ninteractions = "visits.csv"\nitems = "items.csv"\n'
        '[partition]\nmethod = "leave_one_out"\n'
    )
    assert load_catalogue(tmp_path / "shop.toml").images is None
    counts = fetch_item_pictures(tmp_path / "items.csv", politeness=QUICK)
    assert counts == {"fetched": 2, "no address": 1, "status 404": 1}
    assert shop.asked["good"] == 1
    catalogue = load_catalogue(tmp_path / "shop.toml")
    by_id = dict(zip(catalogue.item_ids, catalogue.images, strict=True))
    assert by_id["NA"] is None and by_id["4"] is None
    assert by_id["1"] == by_id["é"] and by_id["1"].read_bytes() == jpeg()
    lines = (tmp_path / "pictures" / fetching.LOG).read_text().splitlines()
    assert {json.loads(line)["reason"] for line in lines} == {"", "status 404"}
