"""Codes for final vectors, whose scores have no product structure: k-means and what it leaves."""

from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from urecjpq.assignment.kmeans import assign_factors, nearest_centroids
from urecjpq.errors import require
from urecjpq.index.layout import sub_id_type
from urecjpq.index.source import VectorSource

CHUNK = 2**16
LONGEST = 1e38  # a residual may be twice as long, and must be a float32


def fit_vectors(
    vectors: np.ndarray, code_length: int, codebook_size: int, seed: int
) -> tuple[VectorSource, np.ndarray]:
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
    longest = longest_of(vectors)
    scale = _power_of_two(longest)
    rotation = _principal_axes(vectors, scale)
    rotated = np.concatenate(
        [part.astype(np.float32) for part in _rotated(vectors, rotation, scale)]
    )
    fitted = assign_factors(rotated, code_length, codebook_size, seed=seed)
    del rotated
    centroids = np.asarray(fitted.centroids, dtype=np.float32) * np.float32(scale)
    lengths = _residual_lengths(vectors, rotation, fitted.codes, centroids)
    source = VectorSource(centroids, rotation, _radii(lengths, codebook_size), longest)
    return source, _with_bins(fitted.codes, lengths, source.radii)


def unquantised(vectors: np.ndarray) -> tuple[VectorSource, np.ndarray]:
    """Return a source that bounds nothing: every vector is scored."""
    longest = longest_of(vectors)
    centroids = np.zeros((1, 1, vectors.shape[1]), dtype=np.float32)
    codes = np.zeros((len(vectors), 2), dtype=np.uint8)
    return VectorSource(centroids, None, _up(np.full(1, longest)), longest), codes


def encode_vectors(vectors: np.ndarray, source: VectorSource) -> tuple[VectorSource, np.ndarray]:
    """Return codes of more vectors, and the source with room for them.

    A residual longer than any before widens the last bin, which holds for older items too.
    """
    m, _, split_dim = source.centroids.shape
    longest = max(source.longest, longest_of(vectors))
    scale = _power_of_two(longest)
    parts = np.concatenate(list(_rotated(vectors, source.rotation, scale)))
    parts = parts.astype(np.float32).reshape(len(vectors), m, split_dim)
    centroids = source.centroids / np.float32(scale)
    codes = np.stack([nearest_centroids(parts[:, k], centroids[k]) for k in range(m)], axis=1)
    lengths = _residual_lengths(vectors, source.rotation, codes, source.centroids)
    radii = source.radii.copy()
    radii[-1] = max(radii[-1], _up(lengths.max()))
    wider = VectorSource(source.centroids, source.rotation, radii, longest)
    return wider, _with_bins(codes, lengths, radii)


def longest_of(vectors: np.ndarray) -> float:
    """Return the length of the longest vector, which must leave room for sums."""
    longest = float(np.sqrt(max((part**2).sum(1).max() for part in _rotated(vectors))))
    require(longest < LONGEST, f"vectors must be shorter than {LONGEST:g}", f"{longest:g}")
    return longest


def _principal_axes(vectors: np.ndarray, scale: float) -> np.ndarray:
    """Return the axes of greatest mean square, the greatest first, as columns.

    Leading splits of rotated vectors hold most of a score, so fewer lines tell an item apart. At
    500,000 vectors of a trained LightGCN 4.1 lines per block are read instead of 6.9 and a search
    takes half the time; Gowalla's factors come in such axes already.
    """
    with threadpool_limits(1):  # the bits then depend on no thread count
        moment = sum(part.T @ part for part in _rotated(vectors, scale=scale))
        axes = np.linalg.eigh(moment)[1][:, ::-1]
    signs = np.sign(axes[np.abs(axes).argmax(0), np.arange(len(axes))])
    return np.ascontiguousarray(axes * signs)


def _rotated(
    vectors: np.ndarray, rotation: np.ndarray | None = None, scale: float = 1.0
) -> Iterator[np.ndarray]:
    """Give chunks of vectors divided by ``scale`` along the axes of ``rotation``, float64."""
    for start in range(0, len(vectors), CHUNK):
        part = vectors[start : start + CHUNK] / np.float64(scale)
        yield part if rotation is None else part @ rotation


def _residual_lengths(
    vectors: np.ndarray, rotation: np.ndarray | None, codes: np.ndarray, centroids: np.ndarray
) -> np.ndarray:
    splits, lengths = np.arange(codes.shape[1]), np.empty(len(vectors))
    for i, part in enumerate(_rotated(vectors, rotation)):
        here = slice(i * CHUNK, i * CHUNK + len(part))
        near = centroids[splits, codes[here]].reshape(part.shape)
        lengths[here] = np.sqrt(((part - near) ** 2).sum(1))
    return lengths


def _radii(lengths: np.ndarray, num_bins: int) -> np.ndarray:
    """Return upper ends of bins of lengths, ascending, each rounded up.

    Half of the bins hold equally many lengths. The others share the longest ones ever finer, down
    to the single longest: bins of a few thousand lengths with a long tail would bound nothing.
    """
    half = num_bins // 2
    count = num_bins - half
    shrink = (max(half, 1) / max(len(lengths), 2 * half)) ** (np.arange(1, count + 1) / count)
    tail = 1 - shrink / max(half, 1)
    levels = np.concatenate([np.arange(1, half) / max(half, 1), tail, [1.0]])[-num_bins:]
    return _up(np.quantile(lengths, levels, method="higher"))


def _up(lengths: np.ndarray) -> np.ndarray:
    # One part in 10^9 covers the doubles' own rounding; then to the next float32.
    return np.nextafter((lengths * (1 + 1e-9)).astype(np.float32), np.float32(np.inf))


def _with_bins(codes: np.ndarray, lengths: np.ndarray, radii: np.ndarray) -> np.ndarray:
    bins = np.searchsorted(radii, lengths)
    require(int(bins.max()) < len(radii), "residuals must fit the bins", float(lengths.max()))
    return np.concatenate([codes, bins[:, None]], axis=1).astype(sub_id_type(len(radii)))


def _power_of_two(size: float) -> float:
    """Return about ``size``: dividing by it keeps every bit, and squares then fit float32."""
    return 2.0 ** int(np.clip(np.frexp(size)[1], -126, 127)) if size else 1.0
