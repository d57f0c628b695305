"""LightGCN by hand on a graph small enough to see; parity/ has the dense reference."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from urecjpq.graphs import LightGCN
from urecjpq.losses import bpr_loss, half_squared_norm
from urecjpq.sampling import Triples

PAIRS = csr_matrix(np.array([[1, 0], [0, 0]], dtype=np.float32))  # user 1 and item 1 are alone
BATCH = Triples(torch.tensor([0]), torch.tensor([0]), torch.tensor([1]))


def model(**options):
    backbone = LightGCN(nn.Embedding(2, 1), nn.Embedding(2, 1), PAIRS, **options)
    with torch.no_grad():
        backbone.user_table.weight.copy_(torch.tensor([[2.0], [3.0]]))
        backbone.item_table.weight.copy_(torch.tensor([[4.0], [5.0]]))
    return backbone


def test_vectors_by_hand():
    users, items = model(num_layers=2).vectors()
    # The pair's edge weighs 1: layers of user 0 are 2, 4, 2 and of item 0 are 4, 2, 4.
    torch.testing.assert_close(users, torch.tensor([[8 / 3], [3 / 3]]))
    torch.testing.assert_close(items, torch.tensor([[10 / 3], [5 / 3]]))


def test_loss_by_hand():
    loss = model(num_layers=0, l2=0.1).loss(BATCH)
    expected = np.log1p(np.exp(2 * (5 - 4))) + 0.1 * (2**2 + 4**2 + 5**2) / 2
    np.testing.assert_allclose(float(loss.detach()), expected, rtol=1e-6)


def test_a_batch_is_left_as_it_was():
    batch = Triples(torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([1, 0]))
    model().loss(batch)
    assert [column.tolist() for column in batch] == [[0, 1], [0, 1], [1, 0]]


def test_nothing_changes_between_epochs():
    backbone = model()
    before = backbone.loss(BATCH)
    backbone.start_epoch(np.random.default_rng(0))
    assert torch.equal(backbone.loss(BATCH), before)


def test_only_the_tables_are_trained():
    names = {name for name, _ in model().named_parameters()}
    assert names == {"user_table.weight", "item_table.weight"}
    assert set(model().state_dict()) == names


def test_bpr_loss_by_hand_and_far_out():
    users, positives = (
        torch.tensor([[1.0, 2.0], [1.0, 0.0]]),
        torch.tensor([[1.0, 0.0], [0.0, 0.0]]),
    )
    negatives = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    expected = (np.log1p(np.exp(2 - 1)) + np.log(2)) / 2
    np.testing.assert_allclose(float(bpr_loss(users, positives, negatives)), expected, rtol=1e-6)
    assert torch.isfinite(bpr_loss(1e3 * users, -1e3 * positives, 1e3 * negatives))


def test_half_squared_norm_is_a_mean_over_the_batch():
    rows = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert float(half_squared_norm(rows)) == (25 + 1) / 2 / 2
    assert float(half_squared_norm(rows, rows, rows)) == 3 * (25 + 1) / 2 / 2
