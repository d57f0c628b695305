"""Packed centroids: small, near, and the same bits when packed again."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from urecjpq.centroids import packed, unpacked

magnitudes = st.integers(-60, 60).map(lambda exponent: 2.0**exponent)


@given(seed=st.integers(0, 2**32 - 1), magnitude=magnitudes)
@settings(max_examples=200, deadline=None)
def test_packing_what_was_unpacked_gives_the_same_bits(seed, magnitude):
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(magnitude * rng.normal(size=(3, 5, 4))).float()
    for dtype in ("float32", "int8"):
        first = packed("c", values, dtype)
        once = unpacked(first)["c"]
        second = packed("c", once, dtype)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert torch.equal(unpacked(second)["c"], once)


def test_a_byte_is_near_the_value_and_zero_stays_zero():
    values = torch.randn(4, 256, 8, generator=torch.Generator().manual_seed(0))
    found = packed("t.centroids", values, "int8")
    assert found["t.centroids"].dtype == torch.int8
    assert found["t.centroids_scales"].shape == (4,)
    largest = values.abs().amax(dim=(1, 2), keepdim=True)
    error = (unpacked(found)["t.centroids"] - values).abs()
    assert (error <= largest / 127 * 0.51).all()
    nothing = torch.zeros(2, 3, 4)
    assert torch.equal(unpacked(packed("c", nothing, "int8"))["c"], nothing)


@pytest.mark.parametrize(("dtype", "share"), [("float16", 1e-3), ("float32", 0.0)])
def test_floats_are_rounded_to_their_type_alone(dtype, share):
    values = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(1))
    found = unpacked(packed("c", values, dtype))["c"]
    assert found.dtype == torch.float32
    assert ((found - values).abs() <= share * values.abs()).all()
