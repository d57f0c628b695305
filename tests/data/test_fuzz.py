"""Whatever a file holds, a reader gives its content or an InputError, and nothing else."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from urecjpq.data.raw import EVENTS, ITEMS
from urecjpq.errors import InputError
from urecjpq.testing_fuzz import METADATA, RAW, Target, read_anything, targets

TARGETS = targets()


@st.composite
def damaged(draw, good: bytes) -> bytes:
    """Draw a file near a good one: pieces cut out, put in, repeated; or no such file at all."""
    data = good
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        piece = draw(st.one_of(st.binary(max_size=8), st.just(data[start:end] * 2)))
        data = data[:start] + piece + data[end:]
    return draw(st.one_of(st.just(data), st.just(data + b"\n" + good), st.binary(max_size=200)))


@pytest.mark.parametrize("name", TARGETS)
def test_readers_raise_declared_errors_only(name):
    # A file is written for each example: the disk, not the reader, decides how long that takes.
    @settings(max_examples=30, deadline=None)
    @given(damaged(TARGETS[name].good))
    def check(data):
        with tempfile.TemporaryDirectory() as folder:
            read_anything(TARGETS[name], data, Path(folder))

    check()


@pytest.mark.parametrize("name", TARGETS)
def test_the_file_to_begin_with_is_a_good_one(tmp_path, name):
    assert read_anything(TARGETS[name], TARGETS[name].good, tmp_path)


def test_every_raw_reader_is_fuzzed():
    assert RAW.keys() == EVENTS.keys() and METADATA.keys() == ITEMS.keys()


def test_other_errors_would_be_seen(tmp_path):
    def broken(path):
        raise KeyError("undeclared")

    def declared(path):
        raise InputError("declared")

    with pytest.raises(KeyError):
        read_anything(Target(broken, b""), b"x", tmp_path)
    assert not read_anything(Target(declared, b""), b"x", tmp_path)
