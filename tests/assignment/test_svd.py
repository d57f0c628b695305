import gzip

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr

from urecjpq.assignment import assign_by_svd
from urecjpq.assignment.assignment import equal_count_bins
from urecjpq.testing import shared_data


def test_codes_are_ranks_along_singular_directions():
    pairs = np.random.default_rng(0).random((80, 48)) < 0.3
    codes, centroids = assign_by_svd(csr_matrix(pairs, dtype=np.float32), 3, 16)
    assert centroids is None
    right = np.linalg.svd(pairs.astype(float))[2][:3]
    for split in range(3):
        ranks = right[split].argsort().argsort() * 16 // 48
        assert np.array_equal(codes[:, split], ranks) or np.array_equal(codes[:, split], 15 - ranks)


def test_split_zero_is_popularity():
    path = shared_data() / "amazon-baby" / "baby.inter.tsv.gz"
    with gzip.open(path, "rt") as lines:
        users, items, labels = np.loadtxt(lines, dtype=np.int64, skiprows=1, unpack=True)
    train = labels == 0
    matrix = csr_matrix((np.ones(train.sum(), np.float32), (users[train], items[train])))
    popularity = np.asarray(matrix.sum(axis=0)).ravel()
    codes, _ = assign_by_svd(matrix, 8)
    by_split = [abs(spearmanr(sub_ids, popularity).statistic) for sub_ids in codes.T]
    assert by_split[0] > 0.85  # 0.873
    assert by_split[0] == max(by_split)


def test_ties_go_by_id():
    column = np.array([[2.0], [1.0], [2.0], [1.0], [1.0], [2.0]])
    np.testing.assert_array_equal(equal_count_bins(column, 3).ravel(), [1, 0, 2, 0, 1, 2])


@pytest.mark.parametrize("num_entities, num_bins", [(256, 256), (1000, 256), (7050, 300), (5, 1)])
def test_bin_sizes_differ_by_at_most_one(num_entities, num_bins):
    values = np.random.default_rng(0).integers(4, size=(num_entities, 2)).astype(np.float32)
    codes = equal_count_bins(values, num_bins)
    for sub_ids, column in zip(codes.T, values.T, strict=True):
        counts = np.bincount(sub_ids, minlength=num_bins)
        assert len(counts) == num_bins and counts.max() - counts.min() <= 1
        highest = [column[sub_ids == bin].max() for bin in range(num_bins)]
        lowest = [column[sub_ids == bin].min() for bin in range(num_bins)]
        assert all(below <= above for below, above in zip(highest, lowest[1:], strict=False))


def test_more_splits_than_the_smaller_side_are_refused():
    matrix = csr_matrix(np.ones((4, 30), dtype=np.float32))
    with pytest.raises(
        ValueError, match="code_length must be at most 4, the smaller side.*; got 5"
    ):
        assign_by_svd(matrix, 5, 8)
