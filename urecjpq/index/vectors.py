"""Codes for final vectors, whose scores have no product structure: k-means and what it leaves."""

import numpy as np

from urecjpq.assignment.kmeans import assign_factors, nearest_centroids
from urecjpq.errors import require
from urecjpq.index.layout import sub_id_type
from urecjpq.index.source import VectorSource

CHUNK = 2**16
LONGEST = 1e38  # a residual may be twice as long, and must be a float32


def fit_vectors(vectors: np.ndarray, code_length: int, codebook_size: int, seed: int):
    """Return the source and the codes that bound products with ``vectors``.

    Args:
        vectors: float32, finite. Shape ``(n, d)``.
        code_length: ``m``, a divisor of ``d``.
        codebook_size: ``b``; fewer where there are fewer vectors.
        seed: Of k-means.

    Returns:
        `VectorSource`, and codes of ``m`` splits and the bin of the residual's length.
    """
    codebook_size = min(codebook_size, len(vectors))
    longest = _longest(vectors)
    scale = _power_of_two(longest)
    fitted = assign_factors(vectors / scale, code_length, codebook_size, seed=seed)
    centroids = np.asarray(fitted.centroids, dtype=np.float32) * scale
    lengths = _residual_lengths(vectors, fitted.codes, centroids)
    radii = _radii(lengths, codebook_size)
    return VectorSource(centroids, radii, longest), _with_bins(fitted.codes, lengths, radii)


def unquantised(vectors: np.ndarray) -> tuple[VectorSource, np.ndarray]:
    """Return a source that bounds nothing: every vector is scored."""
    longest = _longest(vectors)
    centroids = np.zeros((1, 1, vectors.shape[1]), dtype=np.float32)
    codes = np.zeros((len(vectors), 2), dtype=np.uint8)
    return VectorSource(centroids, _up(np.full(1, longest)), longest), codes


def encode_vectors(vectors: np.ndarray, source: VectorSource) -> tuple[VectorSource, np.ndarray]:
    """Return codes of more vectors, and the source with room for them.

    A residual longer than any before widens the last bin, which holds for older items too.
    """
    m, _, split_dim = source.centroids.shape
    longest = max(source.longest, _longest(vectors))
    scale = _power_of_two(longest)
    parts = (vectors / scale).reshape(len(vectors), m, split_dim)
    centroids = source.centroids / scale
    codes = np.stack([nearest_centroids(parts[:, k], centroids[k]) for k in range(m)], axis=1)
    lengths = _residual_lengths(vectors, codes, source.centroids)
    radii = source.radii.copy()
    radii[-1] = max(radii[-1], _up(lengths.max()))
    return VectorSource(source.centroids, radii, longest), _with_bins(codes, lengths, radii)


def _residual_lengths(vectors: np.ndarray, codes: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    splits = np.arange(codes.shape[1])
    lengths = np.empty(len(vectors))
    for start in range(0, len(vectors), CHUNK):
        here = slice(start, start + CHUNK)
        near = centroids[splits, codes[here]].reshape(-1, vectors.shape[1])
        residuals = vectors[here].astype(np.float64) - near
        lengths[here] = np.sqrt((residuals**2).sum(1))
    return lengths


def _radii(lengths: np.ndarray, num_bins: int) -> np.ndarray:
    """Return upper ends of bins with about equally many lengths, each rounded up."""
    ends = np.quantile(lengths, np.arange(1, num_bins + 1) / num_bins, method="higher")
    return _up(ends)


def _up(lengths: np.ndarray) -> np.ndarray:
    # One part in 10^9 covers the doubles' own rounding; then to the next float32.
    return np.nextafter((lengths * (1 + 1e-9)).astype(np.float32), np.float32(np.inf))


def _with_bins(codes: np.ndarray, lengths: np.ndarray, radii: np.ndarray) -> np.ndarray:
    bins = np.searchsorted(radii, lengths)
    require(int(bins.max()) < len(radii), "residuals must fit the bins", float(lengths.max()))
    return np.concatenate([codes, bins[:, None]], axis=1).astype(sub_id_type(len(radii)))


def _longest(vectors: np.ndarray) -> float:
    chunks = (vectors[start : start + CHUNK] for start in range(0, len(vectors), CHUNK))
    longest = float(np.sqrt(max((chunk.astype(np.float64) ** 2).sum(1).max() for chunk in chunks)))
    require(longest < LONGEST, f"vectors must be shorter than {LONGEST:g}", f"{longest:g}")
    return longest


def _power_of_two(size: float) -> np.float32:
    """Return about ``size``: dividing by it keeps every bit, and squares then fit float32."""
    exponent = int(np.clip(np.frexp(size)[1], -126, 127)) if size else 0
    return np.float32(2.0**exponent)
