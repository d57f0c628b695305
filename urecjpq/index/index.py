"""Exact top-K over the items of a quantised table, or over final vectors."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from urecjpq.errors import require
from urecjpq.index import store, updates
from urecjpq.index.filters import Allowed, Exclude, read_allow, read_exclude
from urecjpq.index.inputs import (
    Array,
    as_numpy,
    checked_codes,
    finite,
    per_query,
    query_rows,
    require_count,
    require_rows,
)
from urecjpq.index.native import path
from urecjpq.index.search import Request, SearchStatistics, choose_method, describe, run
from urecjpq.index.segment import State
from urecjpq.index.source import TableSource, VectorSource, pad_lanes
from urecjpq.index.vectors import encode_vectors, fit_vectors, unquantised
from urecjpq.tables import JPQEmbedding

METHODS = ("auto", "scan", "prune", "pqtopk", "dense")


@dataclass(frozen=True)
class TopK:
    """The best items of each query, best first.

    Args:
        ids: int64, -1 where candidates ran out. Shape ``(q, k)``, or ``(k,)`` for one query.
        scores: float32, -inf where candidates ran out. Same shape.
        statistics: What the search did.
    """

    ids: np.ndarray
    scores: np.ndarray
    statistics: SearchStatistics


class TopKIndex:
    """Exact top-K: the ids and the float32 scores of scoring everything, ties to the lower id.

    Made by `from_table`, `from_codes`, `from_vectors` or `load`. Ids are rows of what it was made
    of; those of removed items are never given again. Threads may search and change it at the same
    time: a search sees the index as it was when the search began, changes wait for each other.

        index = TopKIndex.from_table(model.item_table)
        index.search(queries, k=10, exclude=seen).ids

    Source: PQTopK (arXiv:2408.09992), RecJPQPrune (arXiv:2505.00560); ``scan`` is our own, after
    Quick ADC (André et al., TPAMI 2019): sums of sub-scores rounded to bytes bound the scores.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._changing = threading.Lock()

    @classmethod
    def from_table(cls, table: JPQEmbedding) -> "TopKIndex":
        """Return an index of the coded rows of a table; special tokens and padding are no items."""
        index = cls.from_codes(table.codes, table.centroids)
        if table.padding_idx is not None and table.padding_idx < len(table.codes):
            index.remove(np.array([table.padding_idx]))
        return index

    @classmethod
    def from_codes(cls, codes: Array, centroids: Array) -> "TopKIndex":
        """Return an index of items given as codes.

        Args:
            codes: Sub-ids, whole numbers. Shape ``(num_items, m)``.
            centroids: Finite. Shape ``(m, b, d/m)``.

        Raises:
            InputError: A sub-id without a centroid, shapes that do not fit, or values not finite.
        """
        values = finite(centroids, "centroids").copy()  # they may be trained on
        require(values.ndim == 3, "centroids must have shape (m, b, d/m)", values.shape)
        source = TableSource(values)
        checked = checked_codes(as_numpy(codes), source)
        items = updates.Items(np.arange(len(checked)), checked)
        return cls(updates.build(items, source, values.shape[1], len(checked)))

    @classmethod
    def from_vectors(
        cls,
        vectors: Array,
        code_length: int | None = 8,
        codebook_size: int = 64,
        seed: int = 0,
    ) -> "TopKIndex":
        """Return an index of final vectors, which have no product structure.

        The vectors are kept; product k-means codes and the lengths of what they leave bound the
        scores, so that a search touches few vectors.

        Args:
            vectors: Finite. Shape ``(num_items, d)``.
            code_length: ``m``, a divisor of ``d``; None skips codes and scores every vector: for
                few items or few searches.
            codebook_size: ``b``, at most 65,536. Codes are only bounds here: fewer, coarser
                centroids cost less per item than they let through.
            seed: Of k-means.

        Raises:
            InputError: Values not finite, or sizes that do not fit.
        """
        values = finite(vectors, "vectors")
        require(values.ndim == 2 and len(values) > 0, "vectors must be (n, d)", values.shape)
        if code_length is None:
            source, codes = unquantised(values)
        else:
            source, codes = fit_vectors(values, code_length, codebook_size, seed)
        held = pad_lanes(values)
        if np.may_share_memory(held, as_numpy(vectors)):
            held = held.copy()  # changed later, they would break the bounds
        items = updates.Items(np.arange(len(values)), codes, held)
        return cls(updates.build(items, source, source.centroids.shape[1], len(values)))

    @property
    def num_items(self) -> int:
        """Items that can be listed."""
        return self._state.num_items

    @property
    def num_ids(self) -> int:
        """Ids are in ``[0, num_ids)``."""
        return self._state.num_ids

    @property
    def embedding_dim(self) -> int:
        """``d`` of queries."""
        return self._state.source.embedding_dim

    def search(
        self,
        queries: Array,
        k: int = 10,
        exclude: Exclude | None = None,
        allow: np.ndarray | Allowed | None = None,
        method: str = "auto",
        threads: int = 1,
    ) -> TopK:
        """Return the k best items of each query.

        Args:
            queries: float32, finite. Shape ``(q, d)``, or ``(d,)`` for one.
            k: At least 1; what lies beyond the candidates is -1.
            exclude: Ids that each query must not list: one list per query (None for nothing), for
                one query of shape ``(d,)`` the list itself, or a sparse matrix of shape
                ``(q, num_ids)`` whose stored entries are excluded.
            allow: Items that may be listed at all: bool of shape ``(num_ids,)``, or what `allow`
                returned.
            method: ``auto``; ``scan``, ``prune`` and ``pqtopk`` agree bit for bit; ``dense``
                reconstructs and multiplies, equal up to rounding.
            threads: Queries are shared among so many; the bits do not change.

        Raises:
            InputError: A query that is not finite, of the wrong dimension or type; k or threads
                below 1; an id out of range; scores beyond float32.
        """
        started = time.perf_counter_ns()
        state = self._state
        rows = query_rows(queries, state.source.embedding_dim)
        require_count("k", k)
        require_count("threads", threads)
        require(method in METHODS, f"method must be one of {', '.join(METHODS)}", repr(method))
        request = Request(
            rows,
            int(k),
            read_exclude(per_query(exclude, queries), len(rows), state.num_ids),
            None if allow is None else read_allow(allow, state.num_ids),
            choose_method(state, method),
            threads,
            path(),
        )
        scores = state.source.scores(rows, threads, request.path)
        overflow = "queries times centroids must fit float32"
        require(bool(np.isfinite(scores.tables).all()), overflow, "infinity", "Scale them down.")
        table = time.perf_counter_ns() - started
        (ids, values), counts = run(state, request, scores)
        total = time.perf_counter_ns() - started
        statistics = describe(state, request, counts, table, total)
        one = queries.ndim == 1
        return TopK(ids[0] if one else ids, values[0] if one else values, statistics)

    def allow(self, mask: np.ndarray) -> Allowed:
        """Return a mask made ready for many searches. bool, shape ``(num_ids,)``."""
        state = self._state
        allowed = read_allow(mask, state.num_ids)
        for segment, _ in state.parts():
            allowed.words(segment, state.num_ids)
        return allowed

    def add(self, items: Array) -> np.ndarray:
        """Add items and return their ids, the next ones, int64.

        They go to a small part that every change builds again, so add many at once, and `compact`
        when the part has grown beyond a tenth of the index.

        Args:
            items: Codes, shape ``(n, m)``; vectors, shape ``(n, d)``, where it was made of such.
        """
        require_rows(items)
        with self._changing:
            ids = np.arange(self._state.num_ids, self._state.num_ids + len(items))
            self._put(ids, items)
        return ids

    def replace(self, ids: Array, items: Array) -> None:
        """Give items that are in the index other codes or vectors.

        Args:
            ids: Whole numbers, each once. Shape ``(n,)``.
            items: As for `add`.
        """
        require_rows(items)
        with self._changing:
            checked = self._listable(ids)
            self._put(checked, items)

    def remove(self, ids: Array) -> None:
        """Remove items; their ids are never given again.

        Args:
            ids: Whole numbers, each once. Shape ``(n,)``.
        """
        with self._changing:
            checked = self._listable(ids)
            left = self._state.num_items - len(checked)
            require(left > 0, "an index must keep at least one item", f"{left} left")
            self._state = updates.remove(self._state, checked)

    def compact(self) -> None:
        """Build the index again from the items it has; ids stay."""
        with self._changing:
            self._state = updates.compact(self._state)

    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ids, ascending, and codes. Shapes ``(num_items,)`` and ``(num_items, m)``."""
        items = updates.all_items(self._state)
        return items.ids, items.codes[:, : self._state.source.centroids.shape[0]]

    @property
    def centroids(self) -> np.ndarray:
        """Centroids, float32. Shape ``(m, b, d/m)``."""
        return self._state.source.centroids

    def memory(self) -> dict[str, int]:
        """Return bytes by part, postings of ``prune`` not counted (4 m per item)."""
        return updates.memory(self._state)

    def save(self, folder: Path | str) -> Path:
        """Write the index, compacted, as safetensors and a manifest; see `load`."""
        with self._changing:
            state = updates.compact(self._state)
        return store.save(state, Path(folder))

    @classmethod
    def load(cls, folder: Path | str, memory_map: bool = True, verify: bool = True) -> "TopKIndex":
        """Return an index that `save` wrote.

        Args:
            folder: Where it is.
            memory_map: Map the file instead of reading it: opening takes milliseconds, and
                processes share the pages.
            verify: Compare every byte with the manifest, which reads the file once. Without it
                sizes and structure are checked: a flipped sub-id or id gives wrong answers, ids
                beyond `num_ids` among them, but nothing outside the file is read.

        Raises:
            InputError: A file that is missing, cut, flipped or of another version.
        """
        return cls(store.load(Path(folder), memory_map, verify))

    def _put(self, ids: np.ndarray, items: Array) -> None:
        state = self._state
        require(len(ids) == len(items), "items must be one per id", f"{len(items)} for {len(ids)}")
        if len(ids) == 0:
            return
        if isinstance(state.source, VectorSource):
            values = finite(items, "items")
            d = state.source.embedding_dim
            fits = values.ndim == 2 and values.shape[1] == d
            require(fits, f"items must be vectors of shape (n, {d})", values.shape)
            source, codes = encode_vectors(values, state.source)
            new = updates.Items(ids, codes, pad_lanes(values))
        else:
            source = state.source
            new = updates.Items(ids, checked_codes(as_numpy(items), source))
        self._state = updates.put(state, new.select(np.argsort(ids)), source)

    def _listable(self, ids: Array) -> np.ndarray:
        given = as_numpy(ids)
        whole = given.ndim == 1 and given.dtype.kind in "iu"
        require(whole, "ids must be whole numbers", f"{given.dtype} of shape {given.shape}")
        given = given.astype(np.int64)
        require(len(np.unique(given)) == len(given), "ids must be given once", "a repeated id")
        self._state.require_listable(given)
        return given
