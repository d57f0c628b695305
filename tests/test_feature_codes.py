"""Quantised features: codes, their storage, and projections that never decode."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from urecjpq import describe, run_experiment
from urecjpq.build import build_backbone, build_tables
from urecjpq.data.catalogue import Features, QuantisedFeatures
from urecjpq.data.filters import select_rows
from urecjpq.errors import InputError
from urecjpq.feature_codes import (
    quantise_features,
    read_codes,
    with_quantised_features,
    write_codes,
)
from urecjpq.graphs import BACKBONES
from urecjpq.graphs.features import FrozenProjection, frozen_features
from urecjpq.graphs.frozen import FrozenCodes, FrozenFeatures
from urecjpq.graphs.neighbours import cosine_neighbours
from urecjpq.list_metrics import diversity
from urecjpq.sampling import TripleSampler
from urecjpq.table_config import TableConfig
from urecjpq.testing import tiny_catalogue

WITH_FEATURES = [name for name, config in BACKBONES.items() if "features" in config.MODEL.USES]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path))
    return tmp_path / "feature_codes"


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(600, 4)) @ rng.normal(size=(4, 24)) + 0.1 * rng.normal(size=(600, 24))
    present = np.ones(600, dtype=bool)
    present[[3, 500]] = False
    values[~present] = np.nan
    return Features(values.astype(np.float32), present)


@pytest.fixture(scope="module")
def quantised(features):
    return quantise_features(features, code_length=6, codebook_size=32)


def test_the_error_shrinks_with_the_code_length():
    values = np.random.default_rng(0).standard_normal((600, 24), dtype=np.float32)
    given = Features(values, np.ones(600, dtype=bool))
    errors = []
    for code_length in (1, 2, 4, 8, 24):
        decoded = quantise_features(given, code_length, 32).rows(slice(None))
        errors.append(float(np.square(values - decoded).mean()))
    assert all(longer < 0.9 * shorter for shorter, longer in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 0.02  # of a variance of 1


def test_sizes(features, quantised):
    assert quantised.values.dtype == np.uint8
    assert quantised.num_bytes == 600 * 6 + 600 + 32 * 24 * 4
    assert features.num_bytes == 600 * 24 * 4 + 600
    assert (quantised.width, features.width) == (24, 24)
    assert frozen_features({"text": quantised}, 600)["text"].num_bytes == quantised.num_bytes


def test_rows_are_joined_centroids(quantised):
    row = [quantised.centroids[split, code] for split, code in enumerate(quantised.values[7])]
    np.testing.assert_array_equal(quantised.rows(np.array([7]))[0], np.concatenate(row))
    assert quantised.rows(slice(0, 0)).shape == (0, 24)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("items", [None, [5], [3, 4, 599, 4], [[1, 2], [3, 500]]])
def test_a_projection_of_codes_is_that_of_decoded_rows(quantised, unit, bias, items):
    decoded = Features(quantised.rows(slice(None)), quantised.present)
    of_codes = FrozenProjection(FrozenCodes(quantised, unit), 5, bias)
    of_rows = FrozenProjection(FrozenFeatures(decoded, unit), 5, bias)
    of_rows.load_state_dict(of_codes.state_dict())
    items = None if items is None else torch.tensor(items)
    torch.testing.assert_close(of_codes.features(items), of_rows.features(items))
    found, expected = of_codes(items), of_rows(items)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    weights = torch.randn_like(found)
    for result in (found, expected):
        (result * weights).sum().backward()
    for one, other in zip(of_codes.parameters(), of_rows.parameters(), strict=True):
        # Sums of up to 600 rows, in another order.
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-4)
        assert one.grad.abs().sum() > 0


def test_gradients_reach_the_projection_alone(quantised):
    projection = FrozenProjection(FrozenCodes(quantised), 5)
    projection().sum().backward()
    assert {name for name, _ in projection.named_parameters()} == {"linear.weight", "linear.bias"}
    assert set(projection.state_dict()) == {"linear.weight", "linear.bias"}
    assert not any(buffer.requires_grad for buffer in projection.buffers())


def test_threads_and_deterministic_mode_change_no_bit(quantised):
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        projection = FrozenProjection(FrozenCodes(quantised), 5)
        torch.use_deterministic_algorithms(True)
        try:
            projection().square().sum().backward()
        finally:
            torch.use_deterministic_algorithms(False)
        found.append(projection.linear.weight.grad)
    assert torch.equal(*found)


@pytest.mark.parametrize("backbone", WITH_FEATURES)
def test_every_backbone_takes_codes_for_features(backbone):
    catalogue = tiny_catalogue()
    coded = with_quantised_features(replace(catalogue, features=one_width(catalogue)), 3, 16)
    decoded = {
        name: Features(given.rows(slice(None)), given.present)
        for name, given in coded.features.items()
    }
    train, config = catalogue.matrix("train"), BACKBONES[backbone]()
    tables = build_tables(TableConfig(embedding_dim=8), train, 0)
    batch = next(TripleSampler(train, 10_000, 0).epoch(1))
    one, other = (
        build_backbone(config, tables, train, catalogue.neighbours, features, 0).eval()
        for features in (coded.features, decoded)
    )
    torch.testing.assert_close(one.loss(batch), other.loss(batch), rtol=1e-5, atol=1e-6)
    for found, expected in zip(one.vectors(), other.vectors(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def one_width(catalogue):
    """The features cut to a width that 3 divides."""
    return {
        name: Features(given.values[:, :3].copy(), given.present)
        for name, given in catalogue.features.items()
    }


def test_a_run_refers_to_codes_as_other_content(tmp_path):
    catalogue = tiny_catalogue()
    coded = with_quantised_features(replace(catalogue, features=one_width(catalogue)), 3, 16)
    choices = {
        "name": "run",
        "seed": 0,
        "backbone": {"name": "vbpr"},
        "tables": {"embedding_dim": 8},
        "training": {"max_epochs": 1},
    }
    config = describe(coded, **choices)
    assert config != describe(catalogue, **choices)
    run_experiment(coded, config, tmp_path / "run")
    with pytest.raises(InputError, match="must have the features and neighbours that"):
        run_experiment(catalogue, config, tmp_path / "other")


def test_codes_are_fitted_once(cache, monkeypatch):
    catalogue = tiny_catalogue()
    catalogue = replace(catalogue, features=one_width(catalogue))
    first = with_quantised_features(catalogue, 3, 8)
    monkeypatch.setattr("urecjpq.feature_codes.quantise_features", None)  # a call would fail
    second = with_quantised_features(catalogue, 3, 8)
    assert first.content_digests == second.content_digests
    assert len(list(cache.glob("*.safetensors"))) == 2
    with pytest.raises(TypeError):
        with_quantised_features(catalogue, 1, 8)


def test_other_uses_of_features_take_codes(quantised):
    decoded = Features(quantised.rows(slice(None)), quantised.present)
    one, other = cosine_neighbours(quantised, 4), cosine_neighbours(decoded, 4)
    np.testing.assert_array_equal(one.item_ids, other.item_ids)
    lists = np.array([[5, 6, 7, 3]])
    assert diversity(lists, quantised, [4]) == diversity(lists, decoded, [4])
    catalogue = replace(tiny_catalogue(num_items=600), features={"text": quantised})
    kept = np.arange(600) % 2 == 0
    fewer = select_rows(catalogue, np.ones(60, bool), kept).features["text"]
    assert isinstance(fewer, QuantisedFeatures)
    np.testing.assert_array_equal(fewer.rows(slice(None)), decoded.values[kept])


def test_written_codes_are_read_and_damage_is_refused(quantised, tmp_path):
    path = tmp_path / "codes.safetensors"
    write_codes(path, quantised)
    for name, array in vars(read_codes(path)).items():
        np.testing.assert_array_equal(array, vars(quantised)[name])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"must match its own sha256; got other bytes"):
        read_codes(path)


def test_what_does_not_fit_is_refused(features, quantised):
    with pytest.raises(InputError, match="divide 24, the width of the text features; got 7"):
        quantise_features(features, 7, name="text")
    with pytest.raises(InputError, match=r"must lie in \[1, 598\], the number of .*; got 599"):
        quantise_features(features, 6, 599)
    with pytest.raises(InputError, match="given features must be floats; got uint8"):
        quantise_features(quantised, 6)
    wrong = replace(quantised, centroids=quantised.centroids[:, :8])
    with pytest.raises(InputError, match=r"must fit centroids of \(6, 8, 4\); got codes of"):
        frozen_features({"text": wrong}, 600)
    wrong = replace(quantised, centroids=np.full_like(quantised.centroids, np.nan))
    with pytest.raises(InputError, match="centroids of the text features must be finite"):
        frozen_features({"text": wrong}, 600)
