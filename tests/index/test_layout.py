"""Blocks of 64 items: what goes in comes out, ids are the catalogue's, and bytes stay few."""

import numpy as np
import pytest

from urecjpq.errors import InputError
from urecjpq.index.layout import BLOCK, NO_ID, Layout, build_layout, sub_id_type
from urecjpq.index.native import kernels

SIZES = (1, 2, 63, 64, 65, 127, 128, 129, 1000, 5000)
KINDS = ("uniform", "equal", "skewed", "one key varies")


def codes_of(kind, num_items, m, b, seed=0):
    rng = np.random.default_rng([seed, num_items, m, b])
    if kind == "equal":
        return np.repeat(rng.integers(0, b, (1, m)), num_items, axis=0).astype(sub_id_type(b))
    codes = rng.integers(0, b, (num_items, m))
    if kind == "skewed":
        codes = np.minimum(rng.zipf(1.3, (num_items, m)) - 1, b - 1)
    if kind == "one key varies":
        codes[:, 0] = b - 1
    return codes.astype(sub_id_type(b))


def native_ids(layout: Layout) -> np.ndarray:
    """The id at each position, as the kernels read it."""
    module = kernels()
    if module is None:
        pytest.skip("no compiled kernels")
    wide = layout.lines.dtype == np.uint16
    arrays = (layout.lines, layout.first_line, layout.keys, layout.id_base, layout.id_first)
    rest = (layout.id_planes, layout.num_items, layout.split_order, layout.codebook_size)
    return (module.WideSegment if wide else module.Segment)(*arrays, *rest).ids()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "b"), [(1, 1), (1, 300), (2, 16), (3, 257), (8, 256), (256, 2)])
def test_codes_and_ids_come_back(kind, m, b):
    for num_items in SIZES[: 6 if m == 256 else None]:
        codes = codes_of(kind, num_items, m, b)
        layout = build_layout(codes, b)
        ids, found = layout.codes()
        assert np.array_equal(ids, np.arange(num_items))
        assert np.array_equal(found, codes)
        assert found.dtype == layout.lines.dtype == layout.keys.dtype == sub_id_type(b)
        assert layout.num_blocks == -(-num_items // BLOCK)


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 400_000])
def test_ids_with_gaps_come_back(step):
    rng = np.random.default_rng(step)
    for num_items in SIZES:
        ids = np.cumsum(rng.integers(1, step + 1, num_items)) - 1
        codes = codes_of("uniform", num_items, 3, 16)
        found, back = build_layout(codes, 16, ids).codes()
        assert np.array_equal(found, ids)
        assert np.array_equal(back, codes)


def test_the_lowest_and_the_highest_id_share_a_block():
    ids = np.array([0, 1, 2**31, 2**32 - 2])
    layout = build_layout(np.zeros((4, 2), dtype=np.uint8), 1, ids)
    assert np.array_equal(layout.ids()[:4], ids)
    assert np.diff(layout.id_first.astype(int)).tolist() == [31]  # planes: the steps are < 2**31
    assert np.array_equal(native_ids(layout), layout.ids())
    layout = build_layout(np.zeros((2, 2), dtype=np.uint8), 1, ids[[0, 3]])
    assert np.diff(layout.id_first.astype(int)).tolist() == [32]
    assert np.array_equal(native_ids(layout), layout.ids())


@pytest.mark.parametrize("num_items", SIZES)
def test_kernels_read_the_same_ids(num_items):
    layout = build_layout(codes_of("skewed", num_items, 4, 256), 256)
    ids = native_ids(layout)
    assert np.array_equal(ids, layout.ids())
    assert (ids[num_items:] == NO_ID).all()


def test_ids_ascend_within_a_block_and_each_occurs_once():
    layout = build_layout(codes_of("skewed", 5000, 4, 256), 256)
    ids = layout.ids()[: layout.num_items]
    full = ids[: len(ids) // BLOCK * BLOCK].reshape(-1, BLOCK)
    assert (np.diff(full.astype(np.int64), axis=1) > 0).all()
    assert np.array_equal(np.sort(ids), np.arange(5000))


def test_the_first_splits_stored_are_the_keys():
    order = np.array([3, 1, 0, 2], dtype=np.int32)
    layout = build_layout(codes_of("uniform", 5000, 4, 8), 8, split_order=order)
    assert layout.split_order.tolist() == [3, 1, 0, 2]
    first = layout.keys[:, 0].astype(int)
    assert (first[1:, 0] >= first[:-1, 1]).all()  # blocks are sorted by the first key split
    assert (first[:, 0] <= first[:, 1]).all()
    assert (first[:, 0] == first[:, 1]).mean() > 0.9  # and few of them straddle two sub-ids


def test_keys_are_the_range_of_a_block():
    codes = codes_of("skewed", 1000, 3, 16)
    layout = build_layout(codes, 16)
    ids = layout.ids()
    for block in range(layout.num_blocks):
        rows = ids[block * BLOCK : (block + 1) * BLOCK]
        here = codes[rows[rows != NO_ID]][:, layout.split_order[:2]]
        assert np.array_equal(layout.keys[block], np.stack([here.min(0), here.max(0)], axis=1))


def test_a_constant_key_stores_no_line():
    layout = build_layout(codes_of("equal", 1000, 4, 16), 16)
    assert len(layout.lines) == layout.num_blocks * 2
    assert len(build_layout(codes_of("equal", 1000, 1, 16), 16).lines) == 0


def test_bytes_are_within_a_tenth_of_the_codes_at_a_hundred_million_items():
    """Computed from parts: a line less per block for the first key split, and for the second.

    At 100 million items and b = 256 there are 24 blocks to each pair of sub-ids of the keys, so a
    block is one of two unless a pair ends in it. Measured here on the share of one sub-id of
    the first key split, whose 390,625 items have ids as far apart as those of the whole.
    """
    num_items, m, b = 100_000_000 // 256, 8, 256
    rng = np.random.default_rng(0)
    codes = rng.integers(0, b, (num_items, m), dtype=np.uint8)
    codes[:, 0] = 3
    ids = np.sort(rng.choice(100_000_000, num_items, replace=False))
    layout = build_layout(codes, b, ids)
    assert layout.nbytes < 1.1 * codes.nbytes
    assert layout.nbytes > codes.nbytes * 0.8


def test_unsorted_or_too_many_ids_are_refused():
    codes = np.zeros((3, 2), dtype=np.uint8)
    for ids in ([0, 2, 1], [0, 1, 1]):
        with pytest.raises(InputError, match="ids must ascend; got an unsorted or repeated id"):
            build_layout(codes, 1, np.array(ids))
    with pytest.raises(InputError, match="items must number 1 … 4,294,967,294; got 0"):
        build_layout(codes[:0], 1)
