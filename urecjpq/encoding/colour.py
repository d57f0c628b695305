"""Pictures as vectors without a neural network: which colours, which edges, which outline."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from urecjpq.data.catalogue import Features
from urecjpq.data.pictures import read_picture

SIDE = 64
HUES, GREYS = 16, 4
EDGE_CELLS, EDGE_ANGLES = 8, 8
GRID_CELLS = 16
# Width of each part, and its share of the squared length of a vector.
WIDTHS = (HUES + GREYS, EDGE_CELLS**2 * EDGE_ANGLES, GRID_CELLS**2)
SHARES = (0.3, 0.35, 0.35)
PICTURES_PER_BLOCK = 128


def encode_pictures(paths: Sequence[Path | None]) -> Features:
    """Return colour histogram, edge directions and coarse outline of each picture, at unit length.

    A pixel counts by how far it is from the background, the median of the picture's border, so a
    white page says nothing; a picture of one colour is a zero row. Each is encoded by itself.

    Args:
        paths: One per item, None where there is no picture.

    Returns:
        float32 values, rows of length 1, zero where absent. Shape ``(len(paths), 788)``.

    Raises:
        PictureError: A file is missing or damaged; the message names it.

    Source: edge directions after Dalal & Triggs, Histograms of Oriented Gradients, CVPR 2005,
    without overlapping blocks.
    """
    present = np.array([path is not None for path in paths], dtype=bool)
    values = np.zeros((len(paths), sum(WIDTHS)), dtype=np.float32)
    rows = np.flatnonzero(present)
    for start in range(0, len(rows), PICTURES_PER_BLOCK):
        block = rows[start : start + PICTURES_PER_BLOCK]
        pixels = np.stack([_read_picture(paths[row]) for row in block])
        values[block] = describe(pixels)
    return Features(values, present)


def _read_picture(path: Path | None) -> np.ndarray:
    # Imported late, as every heavier library of this room.
    from PIL import Image

    small = read_picture(str(path)).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255


def describe(pixels: np.ndarray) -> np.ndarray:
    """Return the vectors of pictures.

    Args:
        pixels: RGB in [0, 1], shape ``(n, SIDE, SIDE, 3)``.

    Returns:
        float32 rows of length 1. Shape ``(n, sum(WIDTHS))``.
    """
    rim = [pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]]
    background = np.median(np.concatenate(rim, axis=1), axis=1)
    distance = np.abs(pixels - background[:, None, None]).mean(axis=-1)
    parts = (_colours(pixels, distance), _edges(distance), _outline(distance))
    weighted = [share**0.5 * _unit(part) for share, part in zip(SHARES, parts, strict=True)]
    return _unit(np.concatenate(weighted, axis=1)).astype(np.float32)


def _colours(pixels: np.ndarray, distance: np.ndarray) -> np.ndarray:
    high, low = pixels.max(axis=-1), pixels.min(axis=-1)
    chroma = high - low
    red, green, blue = np.moveaxis(pixels, -1, 0)
    # Hue as an angle without the six cases of the textbook: the colour's direction off grey.
    turn = np.arctan2(3**0.5 * (green - blue), 2 * red - green - blue) / (2 * np.pi) % 1
    hues = _soft_histogram(turn * HUES, chroma * distance, HUES, circular=True)
    greys = _soft_histogram(high * (GREYS - 1), (1 - chroma) * distance, GREYS, circular=False)
    return np.concatenate([hues, 0.3 * greys], axis=1)


def _edges(distance: np.ndarray) -> np.ndarray:
    down, right = np.gradient(distance, axis=(1, 2))
    strength = np.hypot(down, right)
    # An edge has no front: directions are counted modulo half a turn.
    angle = np.arctan2(down, right) / np.pi % 1 * EDGE_ANGLES
    angles, strengths = (
        _cells(plane, EDGE_CELLS).reshape(-1, (SIDE // EDGE_CELLS) ** 2)
        for plane in (angle, strength)
    )
    histogram = _soft_histogram(angles, strengths, EDGE_ANGLES, circular=True)
    # The square root keeps one strong edge from drowning all others.
    return np.sqrt(histogram).reshape(len(distance), -1)


def _outline(distance: np.ndarray) -> np.ndarray:
    filled = np.minimum(distance / 0.15, 1)
    grid = _cells(filled, GRID_CELLS).mean(axis=-1).reshape(len(distance), -1)
    # Without its mean, an outline can be unlike another, not just less like.
    return grid - grid.mean(axis=1, keepdims=True)


def _cells(planes: np.ndarray, cells: int) -> np.ndarray:
    """Return the pixels of each cell of a grid, shape ``(n, cells ** 2, pixels)``."""
    step = SIDE // cells
    tiles = planes.reshape(-1, cells, step, cells, step).swapaxes(2, 3)
    return tiles.reshape(len(planes), cells**2, step**2)


def _soft_histogram(
    places: np.ndarray, weights: np.ndarray, bins: int, circular: bool
) -> np.ndarray:
    """Return weights summed into bins; between two bins a pixel counts in both, by nearness."""
    rows = len(places)
    places, weights = places.reshape(rows, -1), weights.reshape(rows, -1)
    lower = np.floor(places).astype(np.intp)
    rest = places - lower
    upper = (lower + 1) % bins if circular else np.minimum(lower + 1, bins - 1)
    first = np.arange(rows)[:, None] * bins
    flat = np.concatenate([(first + lower % bins).ravel(), (first + upper).ravel()])
    shares = np.concatenate([(weights * (1 - rest)).ravel(), (weights * rest).ravel()])
    return np.bincount(flat, shares, minlength=rows * bins).reshape(rows, bins)


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, 1e-12)
