"""Pairs of nearby items, counted by hand and by a plain loop."""

import numpy as np
import pytest
import torch

from urecjpq import describe
from urecjpq.assignment import nearby_pairs
from urecjpq.build import build_model
from urecjpq.errors import InputError
from urecjpq.graphs import LightGCNConfig
from urecjpq.sequential import SASRecConfig
from urecjpq.table_config import TABLES, TableConfig
from urecjpq.testing import tiny_catalogue

SIZES = {"embedding_dim": 16, "code_length": 4, "codebook_size": 16}


def test_two_short_histories():
    starts, items = np.array([0, 3, 3, 5]), np.array([0, 1, 2, 1, 0])
    found = nearby_pairs(starts, items, num_items=4, window=2).toarray()
    assert found.tolist() == [[0, 2, 0.5, 0], [2, 0, 1, 0], [0.5, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("window", [1, 3, 50])
def test_any_histories(window):
    rng = np.random.default_rng(window)
    lengths = rng.integers(0, 9, 40)
    starts, items = np.append(0, lengths.cumsum()), rng.integers(0, 12, lengths.sum())
    expected = np.zeros((12, 12))
    for user in range(40):
        history = items[starts[user] : starts[user + 1]]
        for i, j in zip(*np.triu_indices(len(history), 1), strict=True):
            if j - i <= window:
                expected[history[i], history[j]] += 1 / (j - i)
                expected[history[j], history[i]] += 1 / (j - i)
    np.testing.assert_allclose(nearby_pairs(starts, items, 12, window).toarray(), expected, 1e-5)


def test_window_must_be_positive():
    with pytest.raises(InputError, match="window must be at least 1; got 0"):
        nearby_pairs(np.array([0, 1]), np.array([0]), 1, 0)


def test_sequential_models_take_it_by_default_and_graph_models_refuse_it():
    catalogue = tiny_catalogue()
    tables = TABLES["jpq-kmeans"].model_copy(update=SIZES)
    config = describe(catalogue, name="s", seed=0, backbone=SASRecConfig(), tables=tables)
    assert (config.tables.window, config.tables.start_norm) == (5, 0.5)
    pairs = tables.model_copy(update={"window": 0})
    of_pairs = describe(catalogue, name="s", seed=0, backbone=SASRecConfig(), tables=pairs)
    assert of_pairs.tables.window == 0
    models = [build_model(each, catalogue) for each in (config, of_pairs)]
    codes = [model.get_buffer("item_table.codes") for model in models]
    assert not torch.equal(*codes)
    graph = describe(catalogue, name="g", seed=0, backbone=LightGCNConfig(), tables=tables)
    assert graph.tables.window == 0
    with pytest.raises(InputError, match="tables.window must be 0 for a model with a user table"):
        build_model(graph.model_copy(update={"tables": config.tables}), catalogue)


def test_a_window_without_factors_is_refused():
    with pytest.raises(ValueError, match="window must be 0 unless start is factors"):
        TableConfig(kind="jpq", strategy="svd", window=5)
