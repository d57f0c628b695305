"""Items as the kernels search them, and the whole of an index at one moment."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from urecjpq.errors import require
from urecjpq.index.dense import Exclusions
from urecjpq.index.layout import BLOCK, Layout
from urecjpq.index.native import kernels
from urecjpq.index.source import TableSource


@dataclass(frozen=True, eq=False)
class Segment:
    """A layout that never changes, with what is derived from it once.

    Args:
        layout: Codes and rows of the items; a row is an id, unless `ids` says otherwise.
        vectors: Final vectors by row, float32, padded to a multiple of 8 dimensions; None where
            codes say everything. Shape ``(num_rows, d8)``.
        ids: Id of each row, ascending, int64; None where a row is its id. Shape ``(num_rows,)``.
    """

    layout: Layout
    vectors: np.ndarray | None = None
    ids: np.ndarray | None = None

    @cached_property
    def native(self):
        """The compiled view of the layout."""
        module, layout = kernels(), self.layout
        if module is None:
            raise RuntimeError("the compiled kernels are not there")
        wide = layout.lines.dtype == np.uint16
        return (module.WideSegment if wide else module.Segment)(
            layout.lines,
            layout.first_line,
            layout.keys,
            layout.id_base,
            layout.id_first,
            layout.id_planes,
            layout.num_items,
            layout.split_order,
            layout.codebook_size,
        )

    @cached_property
    def decoded(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows, ascending, and their codes: what the reference reads."""
        return self.layout.codes()

    def decoded_now(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what `decoded` holds, without keeping it."""
        return self.__dict__.get("decoded") or self.layout.codes()

    def allowed_words(self, mask: np.ndarray) -> np.ndarray:
        """Return a bit per position for a mask by id, one uint64 per block."""
        rows = self.layout.ids()
        used = rows < (len(mask) if self.ids is None else len(self.ids))  # NO_ID is higher
        rows = np.where(used, rows, 0)
        allowed = mask[rows if self.ids is None else self.ids[rows]] & used
        bits = np.packbits(allowed.reshape(-1, BLOCK), axis=1, bitorder="little")
        return bits.view("<u8").reshape(-1)

    def exclusions(self, given: Exclusions | None) -> Exclusions | None:
        """Return exclusions by row; ids that are not here fall away."""
        if given is None or self.ids is None:
            return given
        first, rows = given.within(self.ids)
        return Exclusions(first, rows.astype(np.uint32))


@dataclass(frozen=True, eq=False)
class State:
    """All that a search reads: changes make a new one.

    Args:
        base: Items of the last build; rows are ids.
        tail: Items added or replaced since, or None.
        hidden: A bit for each id that `base` must not list any more (or never held), uint64 words;
            None where there is none.
        num_ids: One more than the highest id ever given.
        num_items: Items that can be listed.
        source: Where scores come from.
    """

    base: Segment
    tail: Segment | None
    hidden: np.ndarray | None
    num_ids: int
    num_items: int
    source: TableSource

    @property
    def base_ids(self) -> int:
        """Ids that `base` may hold lie below this."""
        return self.base.layout.num_items if self.hidden is None else len(self.hidden) * 64

    def parts(self) -> Iterator[tuple[Segment, np.ndarray | None]]:
        """Give each segment and the rows it must hide."""
        yield self.base, self.hidden
        if self.tail is not None:
            yield self.tail, None

    @cached_property
    def listable(self) -> np.ndarray:
        """Which ids can be listed, bool. Shape ``(num_ids,)``."""
        found = np.zeros(self.num_ids, dtype=bool)
        if self.hidden is None:
            found[: self.base.layout.num_items] = True
        else:
            bits = np.unpackbits(self.hidden.view(np.uint8), bitorder="little")
            count = min(len(bits), self.num_ids)
            found[:count] = bits[:count] == 0
        if self.tail is not None and self.tail.ids is not None:
            found[self.tail.ids] = True
        return found

    def require_listable(self, ids: np.ndarray, name: str = "ids") -> None:
        """Refuse ids that are out of range or not there any more."""
        self.require_ids(ids, name)
        gone = ids[~self.listable[ids]]
        require(len(gone) == 0, f"{name} must be in the index", f"{gone[:5].tolist()}, removed")

    def require_ids(self, ids: np.ndarray, name: str) -> None:
        """Refuse ids out of range."""
        wrong = ids[(ids < 0) | (ids >= self.num_ids)]
        require(len(wrong) == 0, f"{name} must be ids in [0, {self.num_ids})", wrong[:5].tolist())


def hidden_words(listable: np.ndarray) -> np.ndarray:
    """Return the bits of ids that cannot be listed; so are all beyond the last id."""
    bits = np.pad(~listable, (0, -len(listable) % 64), constant_values=True)
    return np.packbits(bits, bitorder="little").view("<u8")


def are_hidden(words: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return whether the bit of each row is set, bool."""
    return (words[rows >> 6] >> (rows & 63).astype(np.uint64) & np.uint64(1)) == 1
