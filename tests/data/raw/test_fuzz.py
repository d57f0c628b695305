"""Whatever a file holds, a reader gives interactions or an InputError, and nothing else."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from urecjpq.data import load_card
from urecjpq.errors import InputError
from urecjpq.testing_fuzz import CARD, LINES, read_anything, read_card_text

pieces = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(LINES),
    st.tuples(st.sampled_from(LINES), st.integers(0, 200), st.binary(max_size=3)).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
    ),
)
files = st.lists(pieces, max_size=4).map(b"\n".join)
# A file is written for each example: the disk, not the reader, decides how long that takes.
fuzzed = settings(max_examples=400, deadline=None)


@fuzzed
@given(files, st.booleans())
def test_readers_raise_declared_errors_only(data, packed):
    with tempfile.TemporaryDirectory() as folder:
        read_anything(data, Path(folder), packed)


@fuzzed
@given(
    st.one_of(
        st.text(max_size=300),
        st.tuples(st.integers(0, len(CARD)), st.text(max_size=8), st.integers(0, 30)).map(
            lambda t: CARD[: t[0]] + t[1] + CARD[t[0] + t[2] :]
        ),
    )
)
def test_cards_raise_declared_errors_only(text):
    with tempfile.TemporaryDirectory() as folder:
        read_card_text(text, Path(folder))


def test_the_fuzzed_card_is_a_good_one(tmp_path):
    (tmp_path / "tiny.toml").write_text(CARD)
    assert load_card(tmp_path / "tiny.toml").name == "tiny"


def test_the_fuzzed_lines_are_good_ones_for_someone(tmp_path):
    for line in LINES:
        assert read_anything(line, tmp_path, False) > 0, line


def test_other_errors_would_be_seen(tmp_path, monkeypatch):
    from urecjpq.data.raw import EVENTS

    def broken(files, bad):
        raise KeyError("undeclared")

    monkeypatch.setitem(EVENTS, "yelp", broken)
    with pytest.raises(KeyError):
        read_anything(b"x", tmp_path, False)
    with pytest.raises(InputError):
        load_card(tmp_path / "no.toml")
