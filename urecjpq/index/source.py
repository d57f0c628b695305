"""Where scores come from: a quantised table, or final vectors with codes beside them."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from urecjpq.errors import require
from urecjpq.index.native import REFERENCE, kernels
from urecjpq.index.reference import score_table

LANES = 8  # partial sums of a product, see kernels/query.hpp
LARGEST = 1e38  # of a score that codes bound: residuals come on top, and must be float32 too
SCALE = "Scale them down."


class Scores(NamedTuple):
    """What one batch of queries needs in a search.

    Args:
        tables: Sub-scores, float32. Shape ``(q, m, b)``.
        slack: How far a float32 score may lie above its bound, float64. Shape ``(q,)``.
        queries: Padded queries where items are final vectors. Shape ``(q, d8)``.
    """

    tables: np.ndarray
    slack: np.ndarray | None = None
    queries: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class TableSource:
    """Scores are sums of sub-scores.

    Args:
        centroids: float32. Shape ``(m, b, d/m)``.
    """

    centroids: np.ndarray

    @property
    def embedding_dim(self) -> int:
        """``d``."""
        return self.centroids.shape[0] * self.centroids.shape[2]

    @cached_property
    def columns(self) -> np.ndarray:
        """Centroids as ``(m, d/m, b)``: a sub-score table adds up rows of it."""
        return np.ascontiguousarray(self.centroids.transpose(0, 2, 1))

    def scores(self, queries: np.ndarray, threads: int, path: str) -> Scores:
        """Return the sub-score tables of queries. Shape ``(q, d)``."""
        return Scores(self._tables(queries, threads, path))

    def _tables(self, queries: np.ndarray, threads: int, path: str) -> np.ndarray:
        module = None if path == REFERENCE else kernels()
        if module is None:
            return score_table(queries, self.columns)
        return module.score_table(queries, self.columns, threads)


@dataclass(frozen=True, eq=False)
class VectorSource(TableSource):
    """Scores are products with final vectors; codes bound them.

    Codes are those of rotated vectors ``x' = xR``, whose first splits hold most of the variance, so
    that few of them tell most items apart. With ``x' = c + r``, ``q'·x' ≤ q'·c + ‖q'‖‖r‖``: lengths
    of residuals are one more split, whose entries are rounded up.

    Args:
        rotation: ``R``, orthogonal up to rounding, float64; None for none. Shape ``(d, d)``.
        radii: Upper ends of the bins of ``‖r‖``, ascending, float32. Shape ``(b,)``.
        longest: Length of the longest vector.
    """

    rotation: np.ndarray | None
    radii: np.ndarray
    longest: float

    def scores(self, queries: np.ndarray, threads: int, path: str) -> Scores:
        """Return tables with the split of residuals, and the room that rounding needs.

        With ε = 2⁻²⁴ and C the longest thinkable ``c``: a product of ``d8`` values in 8 lanes errs
        by at most ``(d8/8 + 4) ε ‖q‖‖x‖``, the sub-scores together by ``(d/m + 2) ε ‖q‖ C`` and by
        one more ε for rounding ``q'``; a rotation that is none, by ``‖I - RRᵀ‖ ‖q‖‖x‖``; whatever
        falls below the normal numbers, by 2⁻¹⁴⁹ for each of both's products, and for each value of
        ``q'``, which a long ``c`` multiplies.
        """
        wide = queries.astype(np.float64)
        lengths = np.sqrt((wide**2).sum(1)) * (1 + self._defect)
        largest = float(lengths.max(initial=0.0)) * max(self.longest, self._longest_sum)
        require(largest < LARGEST, "queries times vectors must fit float32", f"{largest:g}", SCALE)
        turned = queries
        if self.rotation is not None:
            turned = (wide @ self.rotation).astype(np.float32)
        up = np.nextafter(np.float32(1), np.float32(2))
        residuals = (lengths[:, None] * self.radii).astype(np.float32) * up
        tables = np.concatenate(
            [self._tables(turned, threads, path), residuals[:, None]], axis=1, dtype=np.float32
        )
        padded = pad_lanes(queries)
        rounding = (padded.shape[1] / LANES + 4) * self.longest
        rounding += (self.centroids.shape[2] + 3) * self._longest_sum
        slack = lengths * (rounding * 2.0**-24 * 1.01 + self._defect * self.longest)
        smallest = 2 * padded.shape[1] + 2 + np.sqrt(queries.shape[1]) * self._longest_sum
        return Scores(tables, slack + smallest * 2.0**-149, padded)

    @cached_property
    def _defect(self) -> float:
        if self.rotation is None:
            return 0.0
        product = self.rotation @ self.rotation.T
        return float(np.linalg.norm(product - np.eye(len(product)))) + 1e-12

    @cached_property
    def _longest_sum(self) -> float:
        squares = (self.centroids.astype(np.float64) ** 2).sum(2)
        return float(np.sqrt(squares.max(1).sum()))


def pad_lanes(vectors: np.ndarray) -> np.ndarray:
    """Return float32 vectors with zeros up to a multiple of eight dimensions."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    extra = -vectors.shape[1] % LANES
    return np.pad(vectors, ((0, 0), (0, extra))) if extra else vectors
