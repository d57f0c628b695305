"""Changes of an index: each takes a state and returns a new one, so a search never sees half.

Items that came after the last build lie in a small segment of their own, the tail, which every
change builds again; the base only learns which of its ids not to list any more.
"""

from dataclasses import dataclass, replace

import numpy as np

from urecjpq.errors import require
from urecjpq.index.keys import order_splits
from urecjpq.index.layout import NO_ID, build_layout
from urecjpq.index.segment import Segment, State, are_hidden, hidden_words
from urecjpq.index.source import TableSource


@dataclass(frozen=True)
class Items:
    """Items to put into an index.

    Args:
        ids: Ascending, int64. Shape ``(n,)``.
        codes: Checked sub-ids. Shape ``(n, m)``.
        vectors: Padded final vectors where the index holds them. Shape ``(n, d8)``.
    """

    ids: np.ndarray
    codes: np.ndarray
    vectors: np.ndarray | None = None

    def select(self, rows: np.ndarray) -> "Items":
        """Return the items at ``rows``."""
        vectors = None if self.vectors is None else self.vectors[rows]
        return Items(self.ids[rows], self.codes[rows], vectors)

    def joined(self, other: "Items") -> "Items":
        """Return both, by id."""
        ids = np.concatenate([self.ids, other.ids])
        order = np.argsort(ids, kind="stable")
        vectors = None
        if self.vectors is not None and other.vectors is not None:
            vectors = np.concatenate([self.vectors, other.vectors])[order]
        codes = np.concatenate([self.codes, other.codes])[order]
        return Items(ids[order], codes, vectors)


def build(items: Items, source: TableSource, codebook_size: int, num_ids: int) -> State:
    """Return an index of ``items`` alone; rows of its vectors are ids."""
    require(len(items.ids) > 0, "an index must hold at least one item", "none")
    require(num_ids < int(NO_ID), f"ids must be below {int(NO_ID):,}", num_ids)
    everything = len(items.ids) == num_ids
    ids = None if everything else items.ids
    layout = build_layout(
        items.codes, codebook_size, ids, order_splits(items.codes, source.centroids)
    )
    vectors = items.vectors
    if vectors is not None and not everything:
        vectors = np.zeros((num_ids, vectors.shape[1]), dtype=np.float32)
        vectors[items.ids] = items.vectors
    hidden = None
    if not everything:
        listable = np.zeros(num_ids, dtype=bool)
        listable[items.ids] = True
        hidden = hidden_words(listable)
    return State(Segment(layout, vectors), None, hidden, num_ids, len(items.ids), source)


def put(state: State, items: Items, source: TableSource) -> State:
    """Return the index with ``items`` added, or in the place of those of the same ids.

    Args:
        state: Before.
        items: With ids in use or new.
        source: Where scores come from now: new vectors may widen the bounds.
    """
    known = items.ids[items.ids < state.num_ids]
    num_new = len(items.ids) - int(state.listable[known].sum())
    num_ids = max(state.num_ids, int(items.ids.max()) + 1)
    require(num_ids < int(NO_ID), f"ids must be below {int(NO_ID):,}", num_ids)
    tail = tail_items(state)
    joined = items if tail is None else tail.select(~np.isin(tail.ids, items.ids)).joined(items)
    return replace(
        state,
        tail=_tail(joined, source, state.base.layout.codebook_size),
        hidden=_hide(state, known),
        num_ids=num_ids,
        num_items=state.num_items + num_new,
        source=source,
    )


def remove(state: State, ids: np.ndarray) -> State:
    """Return the index without ``ids``, which it must hold."""
    tail = tail_items(state)
    if tail is not None:
        tail = tail.select(~np.isin(tail.ids, ids))
    return replace(
        state,
        tail=_tail(tail, state.source, state.base.layout.codebook_size),
        hidden=_hide(state, ids),
        num_items=state.num_items - len(ids),
    )


def compact(state: State) -> State:
    """Return the same items in one base."""
    everything = state.hidden is None and state.base_ids == state.num_ids
    if state.tail is None and everything:
        return state
    size = state.base.layout.codebook_size
    return build(all_items(state), state.source, size, state.num_ids)


def memory(state: State) -> dict[str, int]:
    """Return bytes by part."""
    parts = {"layout": 0, "vectors": 0, "tail ids": 0}
    for segment, _ in state.parts():
        parts["layout"] += segment.layout.nbytes
        parts["vectors"] += 0 if segment.vectors is None else segment.vectors.nbytes
        parts["tail ids"] += 0 if segment.ids is None else segment.ids.nbytes
    parts["centroids"] = state.source.centroids.nbytes
    parts["hidden"] = 0 if state.hidden is None else state.hidden.nbytes
    return parts


def all_items(state: State) -> Items:
    """Return every listable item, by id."""
    rows, codes = state.base.decoded_now()
    if state.hidden is not None:
        kept = ~are_hidden(state.hidden, rows)
        rows, codes = rows[kept], codes[kept]
    vectors = state.base.vectors
    items = Items(rows, codes, None if vectors is None else vectors[rows])
    tail = tail_items(state)
    return items if tail is None else items.joined(tail)


def tail_items(state: State) -> Items | None:
    """Return the items of the tail."""
    if state.tail is None or state.tail.ids is None:
        return None
    return Items(state.tail.ids, state.tail.decoded[1], state.tail.vectors)


def _tail(items: Items | None, source: TableSource, codebook_size: int) -> Segment | None:
    if items is None or len(items.ids) == 0:
        return None
    layout = build_layout(
        items.codes, codebook_size, None, order_splits(items.codes, source.centroids)
    )
    return Segment(layout, items.vectors, items.ids)


def _hide(state: State, ids: np.ndarray) -> np.ndarray | None:
    """Return the base's hidden bits with those of ``ids`` set."""
    ids = ids[ids < state.base_ids]
    if len(ids) == 0:
        return state.hidden
    hidden = state.hidden
    words = hidden_words(np.ones(state.base_ids, bool)) if hidden is None else hidden.copy()
    np.bitwise_or.at(words, ids >> 6, np.uint64(1) << (ids & 63).astype(np.uint64))
    return words
