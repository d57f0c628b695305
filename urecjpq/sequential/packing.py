"""Rows of different lengths without their padding: models compute on real cells alone."""

import torch.nn.functional as F
from torch import Tensor


class Packing:
    """Where the real cells of left-padded rows are.

    Values of real cells are joined row by row, ``(num_real, d)``. Where a model needs rows it takes
    them with their padding moved to the end: what sees the past alone then never sees padding.

    Args:
        real: True where a cell is no padding; padding is on the left. Shape ``(n, width)``.
    """

    def __init__(self, real: Tensor) -> None:
        self.shape = num_rows, width = real.shape
        self.cells = real.flatten().nonzero().flatten()
        self.lengths = real.sum(1)
        gaps = (width - self.lengths).repeat_interleave(self.lengths, output_size=len(self.cells))
        self.places = self.cells - gaps
        self.from_end = width - 1 - self.cells % width
        self.last = self.lengths.cumsum(0) - 1

    def take(self, grid: Tensor) -> Tensor:
        """Return the real cells of left-padded rows ``(n, width)``. Shape ``(num_real,)``."""
        return grid.flatten()[self.cells]

    def rows(self, values: Tensor) -> Tensor:
        """Return values as rows, padded on the right with zeros. Shape ``(n, width, d)``."""
        num_rows, width = self.shape
        grid = values.new_zeros(num_rows * width, values.shape[1])
        return grid.index_copy(0, self.places, values).view(num_rows, width, values.shape[1])

    def join(self, rows: Tensor) -> Tensor:
        """Return the real cells of right-padded rows. Shape ``(num_real, d)``."""
        return F.embedding(self.places, rows.flatten(0, 1))

    def last_of_rows(self, values: Tensor) -> Tensor:
        """Return the value of the last cell of each row. Shape ``(n, d)``."""
        return F.embedding(self.last, values)
