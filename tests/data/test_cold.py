import numpy as np
import pytest

from urecjpq.data.cold import hold_out_items
from urecjpq.errors import InputError
from urecjpq.testing import tiny_catalogue


def test_cold_items_occur_in_nothing_that_is_trained_on():
    catalogue = tiny_catalogue()
    cold = hold_out_items(catalogue, 0.25, seed=1)
    assert not np.isin(cold.catalogue.interactions.items, cold.items).any()
    # Items without features or interactions cannot be cold: 3 has no picture, the last no user.
    assert len(cold.items) == round(0.25 * 38) and not {3, 39} & set(cold.items.tolist())
    held = set(zip(*cold.touched.nonzero(), strict=True))
    pairs = zip(catalogue.interactions.users, catalogue.interactions.items, strict=True)
    known = np.diff(cold.catalogue.matrix("train").indptr) > 0
    assert held == {(u, i) for u, i in pairs if i in cold.items and known[u]}
    assert cold.catalogue.num_items == catalogue.num_items
    assert len(held) + len(cold.catalogue.interactions) <= len(catalogue.interactions)
    again = hold_out_items(catalogue, 0.25, seed=1)
    assert np.array_equal(again.items, cold.items)
    assert not np.array_equal(hold_out_items(catalogue, 0.25, seed=2).items, cold.items)


def test_refusals():
    catalogue = tiny_catalogue()
    for share in (0, 1, -0.5):
        with pytest.raises(InputError, match=f"share must lie between 0 and 1; got {share}"):
            hold_out_items(catalogue, share)
    with pytest.raises(InputError, match="share must leave at least one cold item; got 0.001"):
        hold_out_items(catalogue, 0.001)
    with pytest.raises(InputError, match="catalogue must have features; got none"):
        hold_out_items(tiny_catalogue(modalities=()), 0.1)
