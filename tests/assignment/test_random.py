import numpy as np
import pytest

from urecjpq.assignment import assign_by_random


@pytest.mark.parametrize("num_entities", [256, 1000, 7050])
def test_sub_ids_are_used_equally_often(num_entities):
    for sub_ids in assign_by_random(num_entities, 4).codes.T:
        counts = np.bincount(sub_ids, minlength=256)
        assert counts.max() - counts.min() <= 1


def test_splits_are_independent():
    codes = assign_by_random(20_000, 4, 16).codes.astype(float)
    off_diagonal = np.corrcoef(codes.T)[np.triu_indices(4, 1)]
    assert np.abs(off_diagonal).max() < 0.03  # four standard errors of 20,000 pairs
