"""Codes for final vectors, whose scores have no product structure: k-means and what it leaves."""

import numpy as np

from urecjpq.assignment.kmeans import assign_factors, nearest_centroids
from urecjpq.errors import require
from urecjpq.index.layout import sub_id_type
from urecjpq.index.source import VectorSource

CHUNK = 2**16


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
    fitted = assign_factors(vectors, code_length, codebook_size, seed=seed)
    centroids = np.asarray(fitted.centroids, dtype=np.float32)
    lengths = _residual_lengths(vectors, fitted.codes, centroids)
    radii = _radii(lengths, codebook_size)
    longest = float(np.sqrt(max((part**2).sum(1).max() for part in _chunks(vectors))))
    source = VectorSource(centroids, radii, longest)
    return source, _with_bins(fitted.codes, lengths, radii)


def unquantised(vectors: np.ndarray) -> tuple[VectorSource, np.ndarray]:
    """Return a source that bounds nothing: every vector is scored."""
    require_lengths = np.sqrt(max((part**2).sum(1).max() for part in _chunks(vectors)))
    centroids = np.zeros((1, 1, vectors.shape[1]), dtype=np.float32)
    radii = np.full(1, np.nextafter(np.float32(require_lengths), np.float32(np.inf)))
    codes = np.zeros((len(vectors), 2), dtype=np.uint8)
    return VectorSource(centroids, radii, float(require_lengths)), codes


def encode_vectors(vectors: np.ndarray, source: VectorSource) -> tuple[VectorSource, np.ndarray]:
    """Return codes of more vectors, and the source with room for them.

    A residual longer than any before widens the last bin, which holds for older items too.
    """
    m, _, split_dim = source.centroids.shape
    parts = vectors.reshape(len(vectors), m, split_dim)
    codes = np.stack(
        [nearest_centroids(parts[:, k], source.centroids[k]) for k in range(m)], axis=1
    )
    lengths = _residual_lengths(vectors, codes, source.centroids)
    radii = source.radii.copy()
    radii[-1] = max(radii[-1], _up(lengths.max()))
    longest = float(np.sqrt((vectors.astype(np.float64) ** 2).sum(1).max()))
    wider = VectorSource(source.centroids, radii, max(source.longest, longest))
    return wider, _with_bins(codes, lengths, radii)


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


def _chunks(vectors: np.ndarray):
    for start in range(0, len(vectors), CHUNK):
        yield vectors[start : start + CHUNK].astype(np.float64)
