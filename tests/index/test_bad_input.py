"""Bad input that the contract of every index has no room for: refused by one message, no warning.

What every method refuses (queries, k, threads, exclude, allow, codes) is in
tests/contracts/test_index.py; vectors are in test_vectors.py, files in test_store.py.
"""

import numpy as np
import pytest
import torch

from urecjpq.errors import InputError
from urecjpq.index import TopKIndex

CODES = np.arange(6).reshape(3, 2) % 3
CENTROIDS = np.arange(12.0).reshape(2, 3, 2)
VECTORS = np.arange(24.0).reshape(3, 8)


def of_codes():
    return TopKIndex.from_codes(CODES, CENTROIDS)


def of_vectors():
    return TopKIndex.from_vectors(VECTORS, 2, 2)


every_index = pytest.mark.parametrize("make", [of_codes, of_vectors])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e39, -1e300])
def test_values_beyond_float32_are_refused_without_a_warning(wrong):
    for change in (
        lambda: TopKIndex.from_codes(CODES, np.full((2, 3, 2), wrong)),
        lambda: TopKIndex.from_vectors(np.full((3, 8), wrong), 2, 2),
        lambda: of_vectors().add(np.full((3, 8), wrong)),
        lambda: of_vectors().replace(np.array([0]), np.full((1, 8), wrong)),
    ):
        with pytest.raises(InputError, match="must be finite; got NaN or infinity"):
            change()


@pytest.mark.parametrize("wrong", [CENTROIDS + 1j, CENTROIDS.astype(str), CENTROIDS > 0])
def test_centroids_of_another_kind_are_refused(wrong):
    with pytest.raises(InputError, match="centroids must be floating point; got"):
        TopKIndex.from_codes(CODES, wrong)


@every_index
@pytest.mark.parametrize("items", [np.float32(1), np.ones(2), np.ones((1, 2, 2)), torch.ones(8)])
def test_items_that_are_no_rows_are_refused(make, items):
    index = make()
    for change in (lambda: index.add(items), lambda: index.replace(np.array([0]), items)):
        with pytest.raises(InputError, match=r"items must have shape \(n, m\) or \(n, d\); got \("):
            change()
    assert (index.num_items, index.num_ids) == (3, 3)


@every_index
@pytest.mark.parametrize("ids", [[2**63 - 1], [-(2**63)], np.array([2**64 - 1], np.uint64), [3]])
def test_ids_out_of_range_are_refused_at_every_size(make, ids):
    index = make()
    with pytest.raises(InputError, match=r"ids must be ids in \[0, 3\); got \["):
        index.remove(np.array(ids))
    with pytest.raises(InputError, match=r"exclude must hold ids in \[0, 3\); got \["):
        index.search(np.zeros(index.embedding_dim, np.float32), exclude=np.array(ids))


@every_index
def test_an_id_that_is_excluded_may_have_been_removed(make):
    index = make()
    index.remove(np.array([1]))
    found = index.search(np.zeros(index.embedding_dim, np.float32), 3, exclude=[1, 2])
    assert found.ids.tolist() == [0, -1, -1]
    with pytest.raises(InputError, match=r"ids must be in the index; got \[1\], removed"):
        index.remove(np.array([1]))


@every_index
def test_an_old_mask_is_refused_and_a_compiled_one_is_not(make):
    index, mask = make(), np.ones(3, dtype=bool)
    allowed = index.allow(mask)
    query = np.zeros(index.embedding_dim, np.float32)
    rows = CODES if make is of_codes else VECTORS
    index.replace(np.array([0]), rows[:1])
    index.add(rows[:1])
    assert np.sort(index.search(query, 4, allow=allowed).ids).tolist() == [-1, 0, 1, 2]
    with pytest.raises(InputError, match=r"allow must be a bool array of shape \(4,\); got bool"):
        index.search(query, allow=mask)


def test_an_unknown_path_is_refused_by_a_search(monkeypatch):
    monkeypatch.setenv("URECJPQ_SIMD", "sse9")
    with pytest.raises(InputError, match="URECJPQ_SIMD must be one of .*; got 'sse9'"):
        of_codes().search(np.zeros(4, np.float32))
