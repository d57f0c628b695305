"""Training steps over a large JPQ table: nothing of the size of a full one comes into being."""

import pytest
import torch

from urecjpq import JPQEmbedding
from urecjpq.assignment import assign_by_random
from urecjpq.sequential import SASRec
from urecjpq.sequential.losses import BCE, GBCE, LambdaRank, SampledSoftmax

NUM_ITEMS = 100_000


@pytest.mark.parametrize("loss", [SampledSoftmax(), BCE(), GBCE(), LambdaRank()])
def test_a_step_makes_neither_a_full_table_nor_its_optimiser_state(monkeypatch, loss):
    def refuse(self):
        raise AssertionError("materialised")

    monkeypatch.setattr(JPQEmbedding, "weight", property(refuse))
    codes, _ = assign_by_random(NUM_ITEMS, 8)
    model = SASRec(JPQEmbedding(codes, 16), max_length=10, loss=loss)
    optimizer = torch.optim.Adam(model.parameters())
    before = [p.detach().clone() for p in model.parameters()]
    model.loss(torch.randint(NUM_ITEMS, (4, 11))).backward()
    optimizer.step()
    assert any(not torch.equal(*pair) for pair in zip(before, model.parameters(), strict=True))
    kept = [value for state in optimizer.state.values() for value in state.values()]
    kept += [p.grad for p in model.parameters()]
    assert max(value.numel() for value in kept) < NUM_ITEMS
