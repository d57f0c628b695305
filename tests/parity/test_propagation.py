"""Both graph backbones against dense code written from the papers, forward and backward."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from urecjpq.graphs import FREEDOM, LightGCN
from urecjpq.sampling import TripleSampler
from urecjpq.testing import tiny_catalogue
from urecjpq.testing_dense import (
    assert_equal_training,
    bpr,
    dense_adjacency,
    dense_item_graph,
    mean_of_layers,
)

DIM = 8


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture
def tables(catalogue):
    return nn.Embedding(catalogue.num_users, DIM), nn.Embedding(catalogue.num_items, DIM)


@pytest.fixture
def batch(catalogue):
    return next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(1))


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_lightgcn(catalogue, tables, batch, num_layers):
    interactions = catalogue.matrix("train")
    backbone = LightGCN(*tables, interactions, num_layers=num_layers, l2=0.01)
    users, items = (table.weight for table in tables)
    adjacency = dense_adjacency(interactions.toarray())
    final = mean_of_layers(adjacency, torch.cat([users, items]), num_layers)
    vectors = final.split([len(users), len(items)])
    loss = bpr(vectors[0][batch.users], vectors[1][batch.positives], vectors[1][batch.negatives])
    rows = users[batch.users], items[batch.positives], items[batch.negatives]
    penalty = sum(row.norm(2).pow(2) for row in rows) / 2 / len(batch.users)
    assert_equal_training(backbone, backbone.loss(batch), loss + 0.01 * penalty, vectors)


@pytest.mark.parametrize(("num_layers", "num_item_layers"), [(0, 0), (2, 1), (1, 2)])
def test_freedom(catalogue, tables, batch, num_layers, num_item_layers):
    interactions = catalogue.matrix("train")
    weights = {"image": 0.1, "text": 0.9}
    backbone = FREEDOM(
        *tables,
        interactions,
        neighbours=catalogue.neighbours,
        features=catalogue.features,
        modality_weights=weights,
        num_layers=num_layers,
        num_item_layers=num_item_layers,
        edge_dropout=0.5,
        feature_weight=0.3,
    )
    backbone.start_epoch(np.random.default_rng(3))
    kept = backbone.epoch_graph.matrix.to_dense()[: catalogue.num_users, catalogue.num_users :] > 0
    users, items = (table.weight for table in tables)
    similar = items
    for _ in range(num_item_layers):
        similar = dense_item_graph(catalogue.neighbours, weights) @ similar

    def final_vectors(pairs):
        final = mean_of_layers(dense_adjacency(pairs), torch.cat([users, items]), num_layers)
        return final[: len(users)], final[len(users) :] + similar

    user_vectors, item_vectors = final_vectors(kept.float().numpy())
    chosen = user_vectors[batch.users]
    expected = bpr(chosen, item_vectors[batch.positives], item_vectors[batch.negatives])
    for modality, given in catalogue.features.items():
        linear = backbone.projections[modality].linear
        projected = linear(torch.from_numpy(np.nan_to_num(given.values)))
        present = torch.from_numpy(given.present)
        known = present[batch.positives] & present[batch.negatives]
        differences = (chosen * (projected[batch.positives] - projected[batch.negatives])).sum(1)
        expected = expected - 0.3 * (F.logsigmoid(differences) * known).mean()
    vectors = final_vectors(interactions.toarray())
    assert_equal_training(backbone, backbone.loss(batch), expected, vectors)
