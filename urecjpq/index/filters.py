"""Which items a query may list: exclusions of its own, and a mask that all share."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from scipy.sparse import csr_array, csr_matrix, issparse

from urecjpq.errors import require
from urecjpq.index.dense import Exclusions
from urecjpq.index.segment import Segment

Exclude = Sequence[np.ndarray | Sequence[int] | None] | csr_matrix | csr_array


class Allowed:
    """A mask by id that was made ready for an index once; see `TopKIndex.allow`.

    Searching with it costs the same whether few or most items pass: blocks without an allowed
    item are passed over. It follows changes of its index; ids given later are not allowed.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask
        self._words: WeakKeyDictionary[Segment, np.ndarray] = WeakKeyDictionary()

    def words(self, segment: Segment, num_ids: int) -> np.ndarray:
        """Return a bit for each position of ``segment``, one uint64 per block."""
        words = self._words.get(segment)
        if words is None:
            words = segment.allowed_words(self.padded(num_ids))
            self._words[segment] = words
        return words

    def padded(self, num_ids: int) -> np.ndarray:
        """Return the mask over all ids."""
        return np.pad(self.mask, (0, max(0, num_ids - len(self.mask))))


def read_allow(allow: object, num_ids: int) -> Allowed:
    """Return a checked mask.

    Args:
        allow: bool by id, or what `TopKIndex.allow` returned. Shape ``(num_ids,)``.
        num_ids: Ids of the index.
    """
    if isinstance(allow, Allowed):
        return allow
    mask = np.asarray(allow)
    fits = mask.dtype == bool and mask.shape == (num_ids,)
    rule = f"allow must be a bool array of shape ({num_ids},)"
    require(fits, rule, f"{mask.dtype} of shape {mask.shape}")
    return Allowed(mask.copy())


def read_exclude(exclude: Exclude | None, num_queries: int, num_ids: int) -> Exclusions | None:
    """Return checked exclusions, ascending within each query; None where nothing is excluded.

    Args:
        exclude: Ids by query (None for nothing), or a sparse matrix whose stored entries are
            excluded. Length or shape ``(num_queries,)`` or ``(num_queries, num_ids)``.
        num_queries: Queries of this search.
        num_ids: Ids of the index.
    """
    if exclude is None:
        return None
    if issparse(exclude):
        return _of_matrix(csr_array(exclude), num_queries, num_ids)
    rule = f"exclude must have an entry for each of {num_queries} queries"
    require(len(exclude) == num_queries, rule, len(exclude))
    lists = [_ids(given) for given in exclude]
    first = np.concatenate([[0], np.cumsum([len(ids) for ids in lists])]).astype(np.int64)
    ids = np.concatenate(lists) if lists else np.empty(0, dtype=np.int64)
    _require_ids(ids, num_ids)
    return Exclusions(first, ids.astype(np.uint32))


def _ids(given: np.ndarray | Sequence[int] | None) -> np.ndarray:
    if given is None:
        return np.empty(0, dtype=np.int64)
    ids = np.asarray(given)
    whole = ids.ndim == 1 and (ids.dtype.kind in "iu" or len(ids) == 0)
    rule = "exclude must hold one-dimensional lists of whole ids"
    require(whole, rule, f"{ids.dtype} of shape {ids.shape}")
    return np.unique(ids.astype(np.int64))


def _of_matrix(matrix: csr_array, num_queries: int, num_ids: int) -> Exclusions:
    shape = matrix.shape
    require(shape == (num_queries, num_ids), f"exclude must be {(num_queries, num_ids)}", shape)
    _require_ids(matrix.indices, num_ids)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return Exclusions(matrix.indptr.astype(np.int64), matrix.indices.astype(np.uint32))


def _require_ids(ids: np.ndarray, num_ids: int) -> None:
    if len(ids) and (ids.min() < 0 or ids.max() >= num_ids):
        wrong = ids[(ids < 0) | (ids >= num_ids)][:5].tolist()
        require(False, f"exclude must hold ids in [0, {num_ids})", wrong)
