"""The one matrix product and its top-k: what evaluation does not ask of it."""

import numpy as np
import pytest
import torch

from urecjpq.index.dense import Exclusions, search_dense


def whole(rng, *shape):
    """Small whole numbers: sums are exact in any order, and most scores have an equal."""
    return torch.from_numpy(rng.integers(-2, 3, shape)).float()


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_ids_and_scores_equal_a_stable_sort(seed, alike):
    rng = np.random.default_rng(seed)
    num_queries, num_items, k = rng.integers(1, 300), rng.integers(1, 60), int(rng.integers(1, 70))
    queries, items = whole(rng, num_queries, 5), whole(rng, num_items, 5)
    excluded = rng.random((num_queries, num_items)) < rng.random()
    listable = torch.from_numpy(rng.random(num_items) < 0.8)
    first = np.concatenate([[0], np.cumsum(excluded.sum(1))])
    exclude = Exclusions(first, excluded.nonzero()[1])
    ids, scores = search_dense(queries, items, k, exclude, listable, alike)

    expected = (queries @ items.T).masked_fill(torch.from_numpy(excluded) | ~listable, -torch.inf)
    expected, order = expected.sort(dim=1, descending=True, stable=True)
    order[expected == -torch.inf] = -1
    unused = k - min(k, num_items)
    assert ids.dtype == torch.int64
    assert torch.equal(ids, torch.nn.functional.pad(order[:, :k], (0, unused), value=-1))
    assert torch.equal(
        scores, torch.nn.functional.pad(expected[:, :k], (0, unused), value=-torch.inf)
    )


def test_no_queries_give_no_lists():
    ids, scores = search_dense(torch.empty(0, 3), torch.ones(4, 3), 2)
    assert ids.shape == scores.shape == (0, 2)
