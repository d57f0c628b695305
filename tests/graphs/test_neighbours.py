"""Cosine neighbours against the obvious full matrix."""

import numpy as np
import pytest
import torch

from urecjpq.data.catalogue import Features
from urecjpq.errors import InputError
from urecjpq.graphs import cosines, neighbours
from urecjpq.graphs.neighbours import cosine_neighbours, with_neighbours
from urecjpq.testing import tiny_catalogue


def features(num_items=50, absent=(3, 17)):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((num_items, 6)).astype(np.float32)
    present = np.ones(num_items, dtype=bool)
    present[list(absent)] = False
    values[~present] = np.nan
    return Features(values, present)


def expected(given, k):
    """Sort every row of the full matrix of cosines by cosine, then by id."""
    values = np.where(given.present[:, None], given.values, 0).astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    unit = values / np.where(lengths > 0, lengths, 1)
    full = np.round(unit @ unit.T, 6)  # equal cosines may differ in the last bits here
    full[:, ~given.present] = -np.inf
    ids = np.argsort(-full, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(full, ids, axis=1)
    missing = np.isneginf(best) | ~given.present[:, None]
    return np.where(missing, -1, ids), np.where(missing, 0, best)


def assert_expected(found, given, k):
    ids, similarities = expected(given, k)
    np.testing.assert_array_equal(found.item_ids, ids)
    np.testing.assert_allclose(found.similarities, similarities, atol=1e-6)
    assert found.item_ids.dtype == np.int32
    assert found.similarities.dtype == np.float32


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path))
    return tmp_path / "neighbours"


@pytest.fixture(params=[(7, 5), (1, 1), (4096, 2048)], ids=str)
def blocks(request, monkeypatch):
    monkeypatch.setattr(neighbours, "ROWS", request.param[0])
    monkeypatch.setattr(cosines, "COLUMNS", request.param[1])


@pytest.mark.parametrize("k", [1, 5, 48, 50])
def test_equals_the_full_matrix(blocks, k):
    assert_expected(cosine_neighbours(features(), k), features(), k)


def test_equal_items_are_listed_by_id(blocks):
    given = features(60)
    given.values[[40, 20, 55, 8]] = given.values[30]
    given.values[[11, 12]] = 0
    given.values[50] = 2 * given.values[30]
    for k in (1, 3, 10, 60):
        assert_expected(cosine_neighbours(given, k), given, k)
    assert cosine_neighbours(given, 3).item_ids[40].tolist() == [8, 20, 30]


def test_all_items_alike():
    given = Features(np.ones((5000, 4), np.float32), np.ones(5000, bool))
    found = cosine_neighbours(given, 3)
    np.testing.assert_array_equal(found.item_ids, np.tile([0, 1, 2], (5000, 1)))
    np.testing.assert_allclose(found.similarities, 1)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_lengths_do_not_matter(scale):
    given = features()
    found = cosine_neighbours(Features(given.values * np.float32(scale), given.present), 5)
    assert_expected(found, given, 5)


def test_float16_is_widened():
    given = features()
    half = Features(given.values.astype(np.float16), given.present)
    assert_expected(cosine_neighbours(half, 5), half, 5)


def test_absent_items_have_and_are_no_neighbours():
    found = cosine_neighbours(features(), k=5)
    assert (found.item_ids[[3, 17]] == -1).all()
    assert not np.isin(found.item_ids, [3, 17]).any()


def test_fewer_present_items_than_k_leave_gaps():
    found = cosine_neighbours(features(6, absent=(0, 1, 2, 3)), k=4)
    assert (found.item_ids[4] >= 0).sum() == 2
    assert (found.similarities[4, 2:] == 0).all()


def test_no_content_at_all_gives_no_neighbours():
    assert (cosine_neighbours(features(4, absent=range(4)), k=2).item_ids == -1).all()


def test_threads_change_no_bit():
    rng = np.random.default_rng(1)
    given = Features(rng.standard_normal((3000, 96), dtype=np.float32), np.ones(3000, bool))
    one = cosine_neighbours(given)
    torch.set_num_threads(2)
    two = cosine_neighbours(given)
    np.testing.assert_array_equal(one.item_ids, two.item_ids)
    np.testing.assert_array_equal(one.similarities.view(np.int32), two.similarities.view(np.int32))


def test_given_graphs_are_kept():
    catalogue = tiny_catalogue()
    assert with_neighbours(catalogue).neighbours["image"] is catalogue.neighbours["image"]


def without_graphs():
    catalogue = tiny_catalogue()
    catalogue.neighbours.clear()
    return catalogue


def test_lists_are_computed_once(cache, monkeypatch):
    first = with_neighbours(without_graphs(), 4)
    assert len(list(cache.glob("*.safetensors"))) == 2
    assert not list(cache.glob("*.unfinished"))
    monkeypatch.setattr(neighbours, "cosine_neighbours", None)  # a call would fail
    second = with_neighbours(without_graphs(), 4)
    for name, given in first.features.items():
        assert_expected(first.neighbours[name], given, 4)
        assert_expected(second.neighbours[name], given, 4)


def test_other_features_or_lengths_are_other_lists(cache):
    with_neighbours(without_graphs(), 4)
    with_neighbours(without_graphs(), 5)
    changed = without_graphs()
    changed.features["text"].values[0] += 1
    found = with_neighbours(changed, 4)
    assert_expected(found.neighbours["text"], changed.features["text"], 4)
    assert len(list(cache.glob("*.safetensors"))) == 5


def test_an_interrupted_search_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(neighbours, "ROWS", 10)
    search, calls = cosines.nearest, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return search(*arguments)

    monkeypatch.setattr(neighbours, "nearest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cosine_neighbours(features(), 5, folder=tmp_path)
    assert_expected(cosine_neighbours(features(), 5, folder=tmp_path), features(), 5)
    assert len(calls) == 3 + 3  # of five blocks, two were there already


def test_a_damaged_list_is_refused(cache):
    with_neighbours(without_graphs(), 4)
    path = next(cache.glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"must match its own sha256; got other bytes\. Delete it"):
        with_neighbours(without_graphs(), 4)


def test_k_out_of_range_is_refused():
    with pytest.raises(InputError, match=r"k must lie in \[1, 50\], the number of items; got 51"):
        cosine_neighbours(features(), k=51)


def test_less_precise_products_are_refused():
    torch.set_float32_matmul_precision("medium")
    try:
        with pytest.raises(InputError, match="precision must be highest; got medium"):
            cosine_neighbours(features())
    finally:
        torch.set_float32_matmul_precision("highest")
