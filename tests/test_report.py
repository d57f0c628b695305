"""The report page: whole, self-contained, the same bytes every time, labels apart."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from urecjpq.comparison import Comparison
from urecjpq.errors import InputError
from urecjpq.line import Line
from urecjpq.report import HALF, WIDTHS, write_report
from urecjpq.reporting import drawing, labels
from urecjpq.reporting.bars import plot_bands
from urecjpq.reporting.curves import plot_sizes

METRICS = ("recall@20", "ndcg@20")


def make_line(name, backbone, kind="jpq", value=0.03, epochs=12, **changes):
    full = kind == "full"
    size = 5_000_000 if full else 350_000
    rising = [value * (1 - 0.8**epoch) for epoch in range(1, epochs + 1)]
    made = {
        "name": f"{backbone}-{name}",
        "backbone": backbone,
        "settings": {"name": backbone},
        "tables": {"kind": kind, "start": "random"},
        "seeds": (1, 2),
        "metrics": {"recall@20": 2 * value, "ndcg@20": value},
        "spread": {"recall@20": 0.001, "ndcg@20": 0.0005},
        "sizes": {
            "trainable_parameters": size // 4,
            "user_table_bytes": size * 3 // 4,
            "item_table_bytes": size // 4,
            "checkpoint_bytes": size + 600,
        },
        "training": {"best_epoch": float(epochs), "seconds_to_best": 30.0},
        "per_user": {name: np.zeros(2) for name in METRICS},
        "history": [{"epoch": e + 1, "valid": {"recall@20": v}} for e, v in enumerate(rising)],
        "baseline": None if full else f"{backbone}-full",
        "p_values": {} if full else {"recall@20": 0.0004, "ndcg@20": 0.2},
    }
    return Line(**(made | changes))


def make_comparison(lines=None):
    names = ("full", "random", "svd", "bpr", "kmeans", "kmeans-start", "quotient-remainder")
    lines = lines or [
        make_line(name, backbone, "full" if name == "full" else "jpq", value=0.02 + 0.002 * place)
        for backbone in ("lightgcn", "freedom")
        for place, name in enumerate(names)
    ]
    catalogue = {"name": "made", "digest": "ab" * 32}
    return Comparison(tuple(lines), METRICS, catalogue, {"exclude": "train"}, 200, 24)


class Page(HTMLParser):
    """Tags, links and ids of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [v for k, v in found.items() if k in ("src", "href", "xlink:href")]
        self.ids += [found["id"]] if "id" in found else []


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of the usual comparison, written twice."""
    folder = tmp_path_factory.mktemp("reports") / "new"
    return [write_report(make_comparison(), folder / f"{name}.html") for name in "ab"]


def test_the_page_is_whole_self_contained_and_has_no_id_twice(written):
    text = written[0].read_text()
    page = Page(text)
    assert page.tags.count("tr") == 1 + 14
    assert page.tags.count("svg") == 4 * len(WIDTHS)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)  # only references inside the page
    assert not re.search(r"<(script|link|iframe)\b|@import", text)
    assert "Recommendations</h2>" not in text
    for phrase in (
        "made: 14 models (28 runs) of lightgcn, freedom",
        "Trainable numbers.",
        "+10.0% against lightgcn-full, p = 0.0004 after correction",
        "262,500 bytes, -93.0% against lightgcn-full",
    ):
        assert phrase in text


def test_equal_comparisons_give_equal_bytes_without_a_date(written):
    first, second = (path.read_bytes() for path in written)
    assert first == second
    assert b"dc:date" not in first and b"matplotlib.org" not in first


def test_the_numbers_lie_beside_the_page_and_nothing_else(written):
    found = json.loads(written[0].with_suffix(".json").read_text())
    assert found.items() >= make_comparison().to_json().items()
    names = {path.name for path in written[0].parent.iterdir()}
    assert names == {"a.html", "a.json", "b.html", "b.json"}


def test_recommendations_are_shown_and_text_from_outside_is_escaped(tmp_path):
    picture = "data:image/png;base64,AAAA"
    items = [{"title": '<img src="http://x">', "picture": None}, {"title": "plain"}]
    cup = {"title": "cup", "picture": picture}
    extras = [{"user": "<b>u</b>", "past": [cup], "recommended": items}]
    lines = [alone("<script>x</script>")]
    text = write_report(make_comparison(lines), tmp_path / "r.html", extras).read_text()
    assert f'<img src="{picture}" alt="">cup' in text and "Recommendations</h2>" in text
    assert "<script" not in text and "<b>u" not in text and '<img src="http' not in text
    assert "&lt;script&gt;x" in text and "User &lt;b&gt;u&lt;/b&gt;" in text


@pytest.mark.parametrize("width", [*WIDTHS.values(), HALF["wide"]])
def test_labels_cover_neither_each_other_nor_a_point(monkeypatch, width):
    boxes, points = [], []
    write = labels._write_label

    def record(axes: Axes, point, place, box, *rest):
        boxes.append(box)
        points.append(Bbox.from_bounds(place[0] - 3, place[1] - 3, 6, 6))
        write(axes, point, place, box, *rest)

    monkeypatch.setattr(labels, "_write_label", record)
    svg = plot_sizes(make_comparison().lines, "ndcg@20", "user_table_bytes", width)
    assert len(boxes) == 14
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:i] + points)
    limits = [float(n) for n in ElementTree.fromstring(svg).attrib["viewBox"].split()]
    assert limits[2] == pytest.approx(width * 0.75)


def alone(name, backbone="lightgcn", **changes):
    return make_line(name, backbone, **({"baseline": None, "p_values": {}} | changes))


@pytest.mark.parametrize(
    "lines",
    [
        [alone("full", kind="full")],
        [alone("a", value=0.0, history=[], spread={}), alone("b", value=0.0, history=[])],
        [alone(f"{'long-' * 12}{n}", f"backbone{n}", epochs=1) for n in range(3)],
    ],
    ids=["one line", "zeros and no history", "three backbones and long names"],
)
def test_unusual_comparisons_are_drawn(tmp_path, lines):
    text = write_report(make_comparison(lines), tmp_path / "r.html").read_text()
    drawings = 4 if lines[0].history else 3
    assert Page(text).tags.count("svg") == drawings * len(WIDTHS)


def test_long_names_are_shortened_in_the_middle():
    room = drawing.text_width("abcdefgh")
    short = drawing.shortened("lightgcn-with-a-long-name-kmeans", room)
    assert drawing.text_width(short) <= room
    assert short.startswith("li") and short.endswith("ns") and short.count("…") == 1
    assert drawing.shortened("short", 1000) == "short"


def test_recall_by_band_has_a_panel_per_band_and_a_section(tmp_path):
    bands = {"recall_head@20": 0.1, "recall_torso@20": 0.02, "recall_tail@20": 0.0}
    lines = [alone(str(n)) for n in range(3)]
    for line in lines:
        line.metrics.update(bands)
    text = write_report(make_comparison(lines), tmp_path / "r.html").read_text()
    assert "Recall@20 by popularity</h2>" in text
    assert Page(text).tags.count("svg") == 5 * len(WIDTHS)
    wide, narrow = (
        ElementTree.fromstring(plot_bands(lines, 20, width)).attrib["viewBox"].split()
        for width in WIDTHS.values()
    )
    # Beside each other or below each other: three times the height.
    assert float(narrow[3]) == pytest.approx(3 * float(wide[3]))


def test_memory_is_shown_where_it_was_recorded(tmp_path):
    known = alone("a")
    known.training["peak_resident_bytes"] = 612_000_000.0
    lines = [known, alone("b")]
    text = write_report(make_comparison(lines), tmp_path / "r.html").read_text()
    hint = "resident: 612,000,000 bytes, allocated on the GPU: not recorded"
    assert f'<td title="{hint}">612 MB' in text
    assert '<td title="resident: not recorded, allocated on the GPU: not recorded">–' in text


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="path must end in .html; got report.pdf"):
        write_report(make_comparison(), tmp_path / "report.pdf")
    item = {"title": "cup", "picture": "https://example.org/cup.png"}
    extras = [{"user": "u", "past": [], "recommended": [item]}]
    with pytest.raises(InputError, match="picture must be a data:image/… URI; got 'https"):
        write_report(make_comparison(), tmp_path / "report.html", extras)
    assert not list(tmp_path.iterdir())


def test_importing_the_report_does_not_import_matplotlib():
    code = (
        "import sys, urecjpq.report, urecjpq.reporting.curves; print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
