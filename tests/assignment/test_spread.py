"""Interactions spread over neighbours, by hand, and through a run's configuration."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from urecjpq import describe
from urecjpq.assignment import spread_pairs
from urecjpq.build import build_model
from urecjpq.errors import InputError
from urecjpq.graphs import LightGCNConfig
from urecjpq.sequential import SASRecConfig
from urecjpq.starts import user_item_pairs
from urecjpq.table_config import TABLES, TableConfig
from urecjpq.testing import tiny_catalogue

SIZES = {"embedding_dim": 16, "code_length": 4, "codebook_size": 16}
SPREAD = TABLES["jpq-spread"].model_copy(update=SIZES)
TAKEN = csr_matrix(np.float32([[1, 0, 0], [0, 1, 1]]))
GRAPH = csr_matrix(np.float32([[0.5, 0.5, 0], [0, 0, 1], [0, 0, 0]]))


def test_a_neighbour_is_taken_a_little():
    found = spread_pairs(TAKEN, 0.5 * GRAPH)
    assert found.toarray().tolist() == [[1.25, 0.25, 0], [0, 1, 1.5]]
    assert found.dtype == np.float32


def test_a_graph_of_other_items_is_refused():
    with pytest.raises(InputError, match=r"item_graph must have shape \(3, 3\); got \(2, 3\)"):
        spread_pairs(TAKEN, GRAPH[:2])


def test_one_number_is_shared_equally():
    catalogue = tiny_catalogue()
    names = list(catalogue.neighbours)
    each = SPREAD.model_copy(update={"spread": {name: 0.5 / len(names) for name in names}})
    pairs = [user_item_pairs(tables, catalogue) for tables in (SPREAD, each)]
    assert len(names) > 1
    assert (pairs[0] != pairs[1]).nnz == 0
    for user, item in zip(*catalogue.matrix("train").nonzero(), strict=True):
        assert pairs[0][user, item] >= 1


def test_codes_of_a_model_without_features_then_know_them():
    catalogue = tiny_catalogue()
    without = SPREAD.model_copy(update={"spread": 0.0})
    configs = [
        describe(catalogue, name="l", seed=0, backbone=LightGCNConfig(), tables=tables)
        for tables in (SPREAD, without)
    ]
    codes = [build_model(config, catalogue).get_buffer("item_table.codes") for config in configs]
    assert not torch.equal(*codes)
    content = [set(config.catalogue.content) for config in configs]
    assert content == [{f"neighbours.{name}" for name in catalogue.neighbours}, set()]


def test_one_modality_of_several():
    catalogue = tiny_catalogue()
    name, *others = catalogue.neighbours
    alone = replace(catalogue, neighbours={name: catalogue.neighbours[name]})
    tables = SPREAD.model_copy(update={"spread": {name: 0.5}})
    assert others
    assert (user_item_pairs(tables, catalogue) != user_item_pairs(tables, alone)).nnz == 0
    with pytest.raises(InputError, match="tables.spread must name modalities that have neighbours"):
        user_item_pairs(SPREAD.model_copy(update={"spread": {"smell": 0.5}}), catalogue)


def test_neighbours_are_asked_for():
    catalogue = replace(tiny_catalogue(), neighbours={})
    config = describe(catalogue, name="l", seed=0, backbone=LightGCNConfig(), tables=SPREAD)
    with pytest.raises(InputError, match="neighbours must hold at least one modality; got none"):
        build_model(config, catalogue)


def test_sequential_models_refuse_it():
    catalogue = tiny_catalogue()
    config = describe(catalogue, name="s", seed=0, backbone=SASRecConfig(), tables=SPREAD)
    rule = "tables.spread must be 0 for a model without a user table; got 0.5"
    with pytest.raises(InputError, match=rule):
        build_model(config, catalogue)


def test_spreading_without_factors_is_refused():
    with pytest.raises(ValueError, match="spread must be 0 unless start is factors"):
        TableConfig(kind="jpq", strategy="svd", spread=0.5)
