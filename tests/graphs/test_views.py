"""MGCN, SMORE and LGMRec where content is missing, and what they refuse; parity/ has the rest."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import nn

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.errors import InputError
from urecjpq.graphs import MGCN, SMORE, LGMRec, LightGCN, SLMRec
from urecjpq.graphs.smore import greatest
from urecjpq.sampling import TripleSampler
from urecjpq.testing import tiny_catalogue

DIM = 8
BARE = 10


def without_content(catalogue, item, names):
    """The catalogue in which an item has no content in these modalities."""
    features, neighbours = dict(catalogue.features), dict(catalogue.neighbours)
    for name in names:
        present = features[name].present.copy()
        present[item] = False
        features[name] = Features(features[name].values, present)
        ids = neighbours[name].item_ids.copy()
        ids[item], ids[ids == item] = -1, -1
        neighbours[name] = Neighbours(ids, neighbours[name].similarities)
    return replace(catalogue, features=features, neighbours=neighbours)


@pytest.fixture
def catalogue():
    return tiny_catalogue()


@pytest.fixture
def tables(catalogue):
    return nn.Embedding(catalogue.num_users, DIM), nn.Embedding(catalogue.num_items, DIM)


def build(model, catalogue, tables, **options):
    given = {"features": catalogue.features, "neighbours": catalogue.neighbours}
    return model(*tables, catalogue.matrix("train"), **given, **options)


@pytest.mark.parametrize("model", [MGCN, SMORE])
def test_an_item_without_any_content_is_as_in_lightgcn(model, catalogue, tables):
    poor = without_content(catalogue, BARE, ("image", "text"))
    plain = LightGCN(*tables, poor.matrix("train"), num_layers=2).vectors()[1]
    items = build(model, poor, tables, num_layers=2).vectors()[1]
    assert torch.equal(items[BARE], plain[BARE])
    assert not torch.isclose(items, plain).all(dim=1)[BARE + 1]


@pytest.mark.parametrize("model", [MGCN, SMORE])
def test_a_missing_modality_leaves_the_others(model, catalogue, tables):
    poor = without_content(catalogue, BARE, ("image",))
    plain = LightGCN(*tables, poor.matrix("train"), num_layers=2).vectors()[1]
    items = build(model, poor, tables, num_layers=2).vectors()[1]
    assert not torch.isclose(items[BARE], plain[BARE]).all()


@pytest.mark.parametrize("model", [MGCN, SMORE])
def test_neighbours_of_other_modalities_are_refused(model, catalogue, tables):
    fewer = replace(catalogue, neighbours={"image": catalogue.neighbours["image"]})
    rule = r"neighbours must be of the modalities of the features, \['image', 'text'\]; got \["
    with pytest.raises(InputError, match=rule):
        build(model, fewer, tables)


def test_smore_takes_the_greatest_value_of_each_cell():
    one = sp.csr_matrix(([0.5, -0.2, 0.1], ([0, 0, 2], [1, 2, 0])), shape=(3, 3))
    other = sp.csr_matrix(([0.7, -0.4], ([0, 1], [1, 1])), shape=(3, 3))
    expected = [[0, 0.7, -0.2], [0, -0.4, 0], [0.1, 0, 0]]
    np.testing.assert_allclose(greatest([one, other]).toarray(), expected)
    np.testing.assert_array_equal(greatest([one]).toarray(), one.toarray())
    assert greatest([sp.csr_matrix((3, 3))]).nnz == 0


def test_lgmrec_ties_items_without_content_to_no_hyperedge(catalogue, tables):
    poor = without_content(catalogue, BARE, ("image",))
    model = LGMRec(*tables, poor.matrix("train"), features=poor.features)
    _, _, passed = model._propagate(training=False)
    of_image, of_text = (q[catalogue.num_users + BARE] for q in passed)
    assert (of_image == 0).all()
    assert of_text.abs().sum() > 0


def test_a_batch_of_items_without_content_is_no_trouble(catalogue, tables):
    poor = without_content(catalogue, BARE, ("image",))
    model = SLMRec(*tables, poor.matrix("train"), features=poor.features)
    batch = next(TripleSampler(poor.matrix("train"), 8, 0).epoch(1))
    batch = batch._replace(positives=torch.full_like(batch.positives, BARE))
    loss = model.loss(batch)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
