"""FAISS with our centroids and codes finds what we find."""

import sys

import faiss
import numpy as np
import pytest

from urecjpq.errors import InputError
from urecjpq.index import TopKIndex
from urecjpq.index.export import to_faiss, to_faiss_ivf

K = 10
EXPORTS = {"pq": to_faiss, "ivf": to_faiss_ivf}
every_export = pytest.mark.parametrize("export", EXPORTS.values(), ids=EXPORTS)
every_size = pytest.mark.parametrize(
    ("m", "b"), [(1, 1), (1, 300), (4, 16), (3, 200), (8, 256), (5, 257), (2, 5000)]
)


def made(m=8, b=256, num_items=2000, seed=0):
    """An index of random codes, and queries. Equal codes, so ties, are rare if m is above 2."""
    rng = np.random.default_rng([seed, m, b])
    centroids = rng.normal(size=(m, b, 3)).astype(np.float32)
    codes = rng.integers(0, b, (num_items, m))
    queries = rng.normal(size=(20, m * 3)).astype(np.float32)
    return TopKIndex.from_codes(codes, centroids), queries


def assert_same(found, expected):
    """Equal ids where scores differ by more than rounding; scores equal up to rounding.

    rtol 1e-5 of sums that cancel: atol stands for the size of their terms.
    """
    scores, ids = found
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-5, atol=1e-5)
    gaps = np.abs(np.diff(expected.scores)) > 1e-4
    last = np.zeros((len(gaps), 1), dtype=bool)  # beyond the end of the list there may be an equal
    alone = np.hstack([gaps, last]) & np.hstack([~last, gaps])
    assert np.array_equal(ids[alone], expected.ids[alone])
    return alone.mean()


@every_export
@every_size
def test_faiss_finds_the_same_items(m, b, export):
    index, queries = made(m, b)
    shown = assert_same(export(index).search(queries, K), index.search(queries, K))
    assert shown > 0.7 or m < 3


@every_export
def test_ids_of_items_that_moved_are_ours(export):
    index, queries = made()
    gone = index.search(queries, 3).ids.flatten()
    index.remove(np.unique(gone))
    index.replace(np.array([1999, 7]), index.codes()[1][[5, 6]])
    index.add(index.codes()[1][:300][::-1])
    exported = export(index)
    assert exported.ntotal == index.num_items
    found = exported.search(queries, K)
    assert not np.isin(found[1], gone).any()
    assert assert_same(found, index.search(queries, K)) > 0.3  # added codes are doubles


def test_plain_ids_need_no_map():
    index, _ = made(num_items=100)
    assert isinstance(to_faiss(index), faiss.IndexPQ)
    index.remove([99])
    assert isinstance(to_faiss(index), faiss.IndexPQ)
    index.remove([0])
    assert isinstance(to_faiss(index), faiss.IndexIDMap)


def test_filters_of_faiss_are_our_masks():
    index, queries = made()
    allowed = np.random.default_rng(1).random(index.num_ids) < 0.1
    chosen = faiss.IDSelectorBatch(np.flatnonzero(allowed))
    found = to_faiss_ivf(index).search(queries, K, params=faiss.SearchParametersIVF(sel=chosen))
    assert allowed[found[1]].all()
    assert assert_same(found, index.search(queries, K, allow=allowed)) > 0.7


def test_faiss_can_remove_items():
    index, queries = made()
    exported = to_faiss_ivf(index)
    gone = np.unique(index.search(queries, 2).ids)
    assert exported.remove_ids(gone) == len(gone)
    index.remove(gone)
    assert assert_same(exported.search(queries, K), index.search(queries, K)) > 0.7


@every_export
def test_files_of_faiss_hold_it_all(export, tmp_path):
    index, queries = made()
    index.remove([0])
    faiss.write_index(export(index), str(tmp_path / "index.faiss"))
    found = faiss.read_index(str(tmp_path / "index.faiss")).search(queries, K)
    assert assert_same(found, index.search(queries, K)) > 0.7


@every_export
def test_final_vectors_are_refused(export):
    index = TopKIndex.from_vectors(np.eye(8, dtype=np.float32), code_length=None)
    message = "index must be made of codes to become a PQ index; got final vectors. Use faiss"
    with pytest.raises(InputError, match=message):
        export(index)


@every_export
def test_without_faiss_the_extra_is_named(export, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match=r'faiss is needed .* pip install "urecjpq\[faiss\]"\.'):
        export(made()[0])
