"""Cosine neighbours against the obvious full matrix."""

import numpy as np
import pytest

from urecjpq.data.catalogue import Features
from urecjpq.graphs import neighbours
from urecjpq.graphs.neighbours import cosine_neighbours, with_neighbours
from urecjpq.testing import tiny_catalogue


def features(num_items=50, absent=(3, 17)):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((num_items, 6)).astype(np.float32)
    present = np.ones(num_items, dtype=bool)
    present[list(absent)] = False
    return Features(values, present)


@pytest.mark.parametrize("block", [7, 1024])
def test_equals_the_full_matrix(monkeypatch, block):
    monkeypatch.setattr(neighbours, "BLOCK", block)
    given = features()
    found = cosine_neighbours(given, k=5)
    unit = given.values / np.linalg.norm(given.values, axis=1, keepdims=True)
    cosines = unit @ unit.T
    cosines[:, ~given.present] = -np.inf
    expected = np.argsort(-cosines, axis=1)[:, :5]
    np.testing.assert_array_equal(found.item_ids[given.present], expected[given.present])
    np.testing.assert_allclose(
        found.similarities[given.present],
        np.take_along_axis(cosines, expected, axis=1)[given.present],
        rtol=1e-5,
    )


def test_absent_items_have_and_are_no_neighbours():
    found = cosine_neighbours(features(), k=5)
    assert (found.item_ids[[3, 17]] == -1).all()
    assert not np.isin(found.item_ids, [3, 17]).any()


def test_fewer_present_items_than_k_leave_gaps():
    found = cosine_neighbours(features(6, absent=(0, 1, 2, 3)), k=4)
    assert (found.item_ids[4] >= 0).sum() == 2
    assert (found.similarities[4, 2:] == 0).all()


def test_given_graphs_are_kept():
    catalogue = tiny_catalogue()
    assert with_neighbours(catalogue).neighbours["image"] is catalogue.neighbours["image"]


def test_k_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"k must lie in \[1, 50\], the number of items; got 51"):
        cosine_neighbours(features(), k=51)
