"""Frozen features and their projections; contracts/ has the refusals for every backbone."""

import numpy as np
import pytest
import torch

from urecjpq.data.catalogue import Features
from urecjpq.errors import InputError
from urecjpq.graphs.features import FrozenFeatures, FrozenProjection, by_modality, frozen_features

PRESENT = np.array([True, False, True])


def given(dtype=np.float32):
    values = np.arange(6, dtype=dtype).reshape(3, 2)
    values[1] = np.nan
    return Features(values, PRESENT)


def test_rows_without_content_are_zeros_and_nothing_is_shared():
    features = given()
    frozen = FrozenFeatures(features)
    assert frozen().tolist() == [[0, 1], [0, 0], [4, 5]]
    assert frozen(torch.tensor([2, 1])).tolist() == [[4, 5], [0, 0]]
    assert frozen.mask().tolist() == [[1], [0], [1]]
    assert np.isnan(features.values[1]).all()
    assert frozen.width == 2


def test_half_precision_is_widened():
    assert FrozenFeatures(given(np.float16))().dtype == torch.float32


def test_a_projection_is_zero_without_content():
    projection = FrozenProjection(FrozenFeatures(given()), 3)
    everything = projection()
    expected = projection.linear(torch.tensor([[0.0, 1.0], [4.0, 5.0]]))
    torch.testing.assert_close(everything[[0, 2]], expected)
    assert not everything[1].any()
    assert torch.equal(projection(torch.tensor([2, 1])), everything[[2, 1]])


def test_only_projections_are_trained_and_saved():
    projection = FrozenProjection(FrozenFeatures(given()), 3)
    assert set(projection.state_dict()) == {"linear.weight", "linear.bias"}
    assert {name for name, _ in projection.named_parameters()} == set(projection.state_dict())


def test_modalities_come_in_the_order_of_their_names():
    found = frozen_features({"text": given(), "audio": given(), "image": given()}, 3)
    assert list(found) == ["audio", "image", "text"]


@pytest.mark.parametrize("name", ["", "a.b", "keys", "forward"])
def test_names_that_a_module_cannot_have_are_refused(name):
    with pytest.raises(InputError, match="modalities must have plain names"):
        by_modality({name: torch.nn.Linear(1, 1)})
