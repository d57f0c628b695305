"""What BERT4Rec learns from: histories cut at a random action."""

from collections import Counter

import pytest
import torch

from urecjpq.sequential.bert4rec import cut
from urecjpq.sequential.histories import PADDING

HISTORIES = torch.tensor([[PADDING, PADDING, 7, 8], [1, 2, 3, 4], [PADDING, 5, 6, 5]])


def actions(row):
    return [item for item in row.tolist() if item != PADDING]


def test_a_cut_history_is_the_same_one_earlier():
    torch.manual_seed(0)
    for _ in range(20):
        for before, after in zip(HISTORIES, cut(HISTORIES, 1.0), strict=True):
            kept = actions(after)
            assert after.tolist() == [PADDING] * (4 - len(kept)) + kept  # still padded on the left
            assert 2 <= len(kept) and kept == actions(before)[: len(kept)]


def test_every_end_is_as_probable_as_another():
    torch.manual_seed(0)
    rows = HISTORIES[1].expand(3000, 4)
    lengths = Counter((cut(rows, 1.0) != PADDING).sum(1).tolist())
    assert lengths.keys() == {2, 3, 4}
    assert all(count == pytest.approx(1000, abs=100) for count in lengths.values())


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_share_of_cut_histories(share):
    torch.manual_seed(0)
    rows = torch.arange(100).expand(2000, 100)
    shorter = (cut(rows, share)[:, 0] == PADDING).float().mean()
    assert shorter == pytest.approx(share, abs=0.03)
