"""Trained full tables made small afterwards: what quantised tables have to beat.

Both are stored as they are counted, and give back rows of floats. Neither can be trained.
"""

import torch
from torch import Tensor, nn

from urecjpq.errors import require


class CompressedTable(nn.Module):
    """A table whose rows follow from what is stored; reads like ``torch.nn.Embedding``.

    Args:
        weight: The trained rows, finite. Shape ``(n, d)``.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        finite = weight.ndim == 2 and bool(torch.isfinite(weight).all())
        require(finite, "weight must be finite rows", tuple(weight.shape))
        self.num_embeddings, self.embedding_dim = weight.shape

    @property
    def num_bytes(self) -> int:
        """Bytes of what is stored."""
        return sum(buffer.nbytes for buffer in self.buffers())

    @property
    def weight(self) -> Tensor:
        """All rows, float32. Shape ``(n, d)``."""
        raise NotImplementedError

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of ``ids``. Shape ``(*ids.shape, d)``."""
        return self.weight[ids]


class RoundedTable(CompressedTable):
    """Rows as whole numbers of 4 or 8 bits, times a number for each row: rounding after training.

    The greatest number of a row becomes 7 or 127. Scales are bfloat16, and two numbers of 4 bits
    share a byte.

    Args:
        weight: The trained rows, finite. Shape ``(n, d)``.
        bits: 4 or 8.

    Raises:
        InputError: Other bits, or rows that are not finite.
    """

    packed: Tensor
    scales: Tensor

    def __init__(self, weight: Tensor, bits: int) -> None:
        super().__init__(weight)
        require(bits in (4, 8), "bits must be 4 or 8", bits)
        self.bits = bits
        top = 2 ** (bits - 1) - 1
        scales = (weight.abs().amax(1, keepdim=True) / top).bfloat16()
        steps = torch.where(scales > 0, scales.float(), 1)
        whole = (weight / steps).round().clamp(-top, top).to(torch.int8)
        self.register_buffer("packed", _pack(whole) if bits == 4 else whole)
        self.register_buffer("scales", scales)

    @property
    def weight(self) -> Tensor:
        """All rows, float32. Shape ``(n, d)``."""
        whole = self.packed if self.bits == 8 else _unpack(self.packed, self.embedding_dim)
        return whole * self.scales.float()


def _pack(whole: Tensor) -> Tensor:
    """Return two numbers in [−7, 7] per byte, as 1 … 15; an odd last one is alone."""
    shifted = (nn.functional.pad(whole, (0, whole.shape[1] % 2)) + 8).to(torch.uint8)
    return shifted[:, ::2] * 16 + shifted[:, 1::2]


def _unpack(packed: Tensor, width: int) -> Tensor:
    halves = torch.stack([packed // 16, packed % 16], dim=2).flatten(1)
    return halves[:, :width].to(torch.int8) - 8


class PrunedTable(CompressedTable):
    """The numbers of greatest magnitude in the whole table; all others are zero.

    A number is stored as float16 with its column, one byte below d = 256; a row as the count of its
    numbers, of the same type. For few numbers that is less than a bit for each cell would take.

    Args:
        weight: The trained rows, finite. Shape ``(n, d)``, d at most 32,767.
        num_bytes: What the table may take, at most; no row has a number if that is too little.

    Raises:
        InputError: Fewer bytes than the counts of rows take, or rows that are not finite.

    Source: magnitude pruning as in Han et al., NeurIPS 2015 (arXiv:1506.02626), without training
    again; recsys-benchmark (arXiv:2406.17335) finds it hard to beat for graph models.
    """

    numbers: Tensor
    columns: Tensor
    counts: Tensor

    def __init__(self, weight: Tensor, num_bytes: int) -> None:
        super().__init__(weight)
        rows, width = weight.shape
        kind = torch.uint8 if width < 256 else torch.int16
        rule = f"num_bytes must be at least {rows * kind.itemsize}, the counts of {rows} rows"
        require(num_bytes >= rows * kind.itemsize, rule, num_bytes)
        size = min((num_bytes - rows * kind.itemsize) // (2 + kind.itemsize), weight.numel())
        # Of equal magnitudes the first are kept.
        kept = weight.abs().flatten().argsort(descending=True, stable=True)[:size].sort().values
        self.register_buffer("numbers", weight.flatten()[kept].half())
        self.register_buffer("columns", (kept % width).to(kind))
        self.register_buffer("counts", torch.bincount(kept // width, minlength=rows).to(kind))

    @property
    def weight(self) -> Tensor:
        """All rows, float32. Shape ``(n, d)``."""
        rows = torch.arange(self.num_embeddings).repeat_interleave(self.counts.long())
        weight = torch.zeros(self.num_embeddings, self.embedding_dim)
        weight[rows, self.columns.long()] = self.numbers.float()
        return weight
