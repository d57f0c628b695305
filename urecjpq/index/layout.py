"""Codes in blocks of 64 items, ordered so that whole blocks can be skipped.

Items are sorted by their sub-ids in two *key splits*. A block of 64 neighbours stores one *line*
of 64 sub-ids per split; a key split whose 64 sub-ids are all equal stores no line, since the block
knows that one sub-id. What sorting saves there pays for most of what it costs, the ids: those of a
block ascend, and their differences lie in bit planes, where a popcount per plane adds up any
prefix of them. At 100 million items, m = 8, lines and ids together are within 10 % of the codes.
"""

from dataclasses import dataclass, fields

import numpy as np

from urecjpq.errors import require

BLOCK = 64
NO_ID = np.uint32(0xFFFFFFFF)
CHUNK = 2**14  # blocks handled at once: about a million items


def sub_id_type(codebook_size: int) -> type[np.uint8] | type[np.uint16]:
    """Return how the kernels read sub-ids: tables of torch have signed ones beyond a byte."""
    return np.uint8 if codebook_size <= 256 else np.uint16


@dataclass(frozen=True)
class Layout:
    """Codes of items as the kernels read them; arrays may be memory-mapped.

    Args:
        lines: Sub-ids, uint8 (uint16 beyond 256 centroids). Shape ``(num_lines, 64)``.
        first_line: First line of each block, uint32. Shape ``(num_blocks + 1,)``.
        keys: Lowest and highest sub-id of each key split. Shape ``(num_blocks, num_keys, 2)``.
        id_base: Lowest id of each block, uint32. Shape ``(num_blocks,)``.
        id_first: First plane of each block, uint32. Shape ``(num_blocks + 1,)``.
        id_planes: Bit ``i`` of plane ``j`` is bit ``j`` of the step from id ``i - 1`` to id ``i``,
            uint64. Shape ``(num_planes,)``.
        split_order: Splits as stored, key splits first, int32. Shape ``(m,)``.
        num_items: Items in it; the last block may have unused positions.
        codebook_size: ``b``.
        num_ids: Ids must lie below; an unverified file may hold others.
    """

    lines: np.ndarray
    first_line: np.ndarray
    keys: np.ndarray
    id_base: np.ndarray
    id_first: np.ndarray
    id_planes: np.ndarray
    split_order: np.ndarray
    num_items: int
    codebook_size: int
    num_ids: int = int(NO_ID)

    @property
    def num_blocks(self) -> int:
        """Blocks of 64 items, the last one filled up."""
        return len(self.id_base)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays().values())

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def ids(self) -> np.ndarray:
        """Return the id at each position, `NO_ID` at unused ones, uint32."""
        found = np.empty((self.num_blocks, BLOCK), dtype=np.uint32)
        for start in range(0, self.num_blocks, CHUNK):
            stop = min(start + CHUNK, self.num_blocks)
            found[start:stop] = self._ids_of(start, stop)
        found.reshape(-1)[self.num_items :] = NO_ID
        return found.reshape(-1)

    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ids, ascending, and their codes. Shapes ``(num_items,)``, ``(num_items, m)``."""
        ids = self.ids()[: self.num_items]
        require(int(ids.max()) < self.num_ids, f"ids must be below {self.num_ids}", int(ids.max()))
        code_length, num_keys = len(self.split_order), self.keys.shape[1]
        codes = np.empty((self.num_blocks, BLOCK, code_length), dtype=self.lines.dtype)
        stored = np.ones((self.num_blocks, code_length), dtype=bool)
        stored[:, :num_keys] = self.keys[:, :, 0] != self.keys[:, :, 1]
        rows = self.first_line[:-1, None] + np.cumsum(stored, axis=1) - 1
        for place, split in enumerate(self.split_order):
            has = stored[:, place]
            codes[has, :, split] = self.lines[rows[has, place]]
            if place < num_keys:
                codes[~has, :, split] = self.keys[~has, place, :1]
        largest, size = int(codes.max()), self.codebook_size
        require(largest < size, f"sub-ids must have a centroid, in [0, {size})", largest)
        order = np.argsort(ids, kind="stable")
        return ids[order].astype(np.int64), codes.reshape(-1, code_length)[: self.num_items][order]

    def _ids_of(self, start: int, stop: int) -> np.ndarray:
        first = self.id_first[start : stop + 1].astype(np.int64)
        steps = np.zeros((stop - start, BLOCK), dtype=np.uint32)
        for plane in range(int(np.diff(first).max(initial=0))):
            has = np.flatnonzero(np.diff(first) > plane)
            words = np.ascontiguousarray(self.id_planes[first[has] + plane])
            bits = np.unpackbits(words.view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
            steps[has] |= bits.astype(np.uint32) << np.uint32(plane)
        return self.id_base[start:stop, None] + np.cumsum(steps, axis=1, dtype=np.uint32)


def build_layout(
    codes: np.ndarray,
    codebook_size: int,
    ids: np.ndarray | None = None,
    split_order: np.ndarray | None = None,
) -> Layout:
    """Return items in blocks, sorted by two key splits.

    Args:
        codes: Sub-ids, checked. Shape ``(num_items, m)``.
        codebook_size: ``b``, at most 65,536.
        ids: Ids of the items, ascending, each below 2**32 - 1; their rows if None.
        split_order: Splits as they are to be stored, key splits first, see `order_splits`; as they
            come if None. Shape ``(m,)``.
    """
    num_items, code_length = codes.shape
    require(0 < num_items < 2**32 - 1, "items must number 1 … 4,294,967,294", num_items)
    if split_order is None:
        split_order = np.arange(code_length, dtype=np.int32)
    order = _sorted_rows(codes, split_order[:2], ids)
    num_blocks = -(-num_items // BLOCK)
    parts = [
        _blocks(codes, ids, order[start * BLOCK : (start + CHUNK) * BLOCK], split_order)
        for start in range(0, num_blocks, CHUNK)
    ]
    lines, num_lines, keys, id_base, id_planes, num_planes = zip(*parts, strict=True)
    return Layout(
        lines=np.concatenate(lines).astype(sub_id_type(codebook_size), copy=False),
        first_line=_offsets(num_lines),
        keys=np.concatenate(keys).astype(sub_id_type(codebook_size), order="C"),
        id_base=np.concatenate(id_base),
        id_first=_offsets(num_planes),
        id_planes=np.concatenate(id_planes),
        split_order=split_order,
        num_items=num_items,
        codebook_size=codebook_size,
    )


def _sorted_rows(codes: np.ndarray, key_splits: np.ndarray, ids: np.ndarray | None) -> np.ndarray:
    """Return rows sorted by the key splits, then by id; ids ascend inside each block."""
    if ids is not None:
        require(bool(np.all(ids[1:] > ids[:-1])), "ids must ascend", "an unsorted or repeated id")
    order = np.arange(len(codes), dtype=np.uint32)
    for split in key_splits[::-1]:  # stable sorts of small integers are radix sorts in NumPy
        order = order[np.argsort(codes[order, split], kind="stable")]
    full = len(order) // BLOCK * BLOCK
    order[:full].reshape(-1, BLOCK).sort(axis=1)
    order[full:].sort()
    return order


def _blocks(
    codes: np.ndarray, ids: np.ndarray | None, order: np.ndarray, split_order: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return lines, lines per block, keys, lowest ids, planes and planes per block of a chunk."""
    rows = np.pad(order, (0, -len(order) % BLOCK), mode="edge").reshape(-1, BLOCK)
    blocks = codes[rows][:, :, split_order].transpose(0, 2, 1)  # (blocks, m, 64)
    key_lines = blocks[:, :2]
    keys = np.stack([key_lines.min(2), key_lines.max(2)], axis=2)
    stored = np.ones(blocks.shape[:2], dtype=bool)
    stored[:, :2] = keys[:, :, 0] != keys[:, :, 1]
    block_ids = rows if ids is None else ids[rows].astype(np.uint32)
    id_planes, num_planes = _planes(np.diff(block_ids, axis=1, prepend=block_ids[:, :1]))
    return blocks[stored], stored.sum(1), keys, block_ids[:, 0].copy(), id_planes, num_planes


def _planes(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bit planes of each block's steps, one block after the other, and their number."""
    largest = steps.max(1).astype(np.float64)
    num_planes = np.ceil(np.log2(largest + 1)).astype(np.int64)
    first = np.cumsum(num_planes) - num_planes
    planes = np.empty(int(num_planes.sum()), dtype=np.uint64)
    for plane in range(int(num_planes.max(initial=0))):
        has = np.flatnonzero(num_planes > plane)
        bits = ((steps[has] >> np.uint32(plane)) & np.uint32(1)).astype(np.uint8)
        planes[first[has] + plane] = np.packbits(bits, axis=1, bitorder="little").view("<u8")[:, 0]
    return planes, num_planes


def _offsets(counts: tuple[np.ndarray, ...]) -> np.ndarray:
    total = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    require(int(total[-1]) < 2**32, "lines and planes must number below 2**32", int(total[-1]))
    return total.astype(np.uint32)
