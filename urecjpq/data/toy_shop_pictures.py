"""Product pictures of the generated shop: the shape tells the category, the colour the colour."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import maximum_filter

from urecjpq.data.toy_shop_items import Items
from urecjpq.data.toy_shop_shapes import BACKGROUND, BODY, DARK, PAINTS, SHAPES, Stroke
from urecjpq.data.toy_shop_words import CATEGORIES, PATTERNS

SIDE = 64
# Drawn large and averaged down: Pillow's own outlines have jagged edges.
OVERSAMPLING = 4
# Each category is drawn this often, tilted and scaled differently; an item takes one at random.
POSES = 8
# Few enough that a block of planes stays in the processor's cache.
PICTURES_PER_BLOCK = 32

# One colour per entry of COLOURS, in its order.
PALETTE = np.array(
    [
        (217, 59, 56),
        (242, 138, 41),
        (246, 208, 60),
        (86, 171, 76),
        (43, 170, 166),
        (58, 104, 206),
        (131, 79, 183),
        (240, 128, 176),
    ],
    dtype=np.float32,
)
WHITE = np.array((255, 255, 255), dtype=np.float32)
CREAM = np.array((255, 249, 232), dtype=np.float32)


def write_pictures(
    folder: Path, items: Items, names: np.ndarray, pictured: np.ndarray, rng: np.random.Generator
) -> None:
    """Write ``<name>.png`` for every pictured item, 64 × 64 RGB.

    Args:
        folder: Where the pictures go; made if missing.
        items: What the toys are, ``num_items`` of them.
        names: File stems, shape ``(num_items,)``.
        pictured: True where there is a picture, shape ``(num_items,)``.
        rng: Draws poses, shades and backgrounds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    coverage, inked = draw_poses(rng), pattern_masks()
    poses = items.category * POSES + rng.integers(POSES, size=len(names))
    shades = (PALETTE[items.colour] + rng.normal(0, 7, (len(names), 3))).clip(0, 255)
    papers = rng.uniform(240, 253, (len(names), 3))
    rows = np.flatnonzero(pictured)
    for block in np.split(rows, range(PICTURES_PER_BLOCK, len(rows), PICTURES_PER_BLOCK)):
        ink = inked[items.pattern[block]]
        pixels = paint(coverage[poses[block]], ink, shades[block], papers[block])
        for row, picture in zip(block, pixels, strict=True):
            Image.fromarray(picture).save(folder / f"{names[row]}.png", compress_level=6)


def paint(
    coverage: np.ndarray, ink: np.ndarray, shades: np.ndarray, papers: np.ndarray
) -> np.ndarray:
    """Return pictures mixed from how much of each pixel every paint covers.

    Args:
        coverage: Shares that sum to 1 over paints, shape ``(n, num_paints, SIDE, SIDE)``.
        ink: How much of the body's pattern shows, in [0, 1], shape ``(n, SIDE, SIDE)``.
        shades: RGB of each item in [0, 255], shape ``(n, 3)``.
        papers: RGB of the backgrounds, shape ``(n, 3)``.

    Returns:
        Pictures, uint8. Shape ``(n, SIDE, SIDE, 3)``.
    """
    cream = np.broadcast_to(CREAM, shades.shape)
    colours = np.stack([papers, shades, shades * 0.72, shades * 0.3 + 12, cream])
    colours = colours.astype(np.float32)[..., None, None]
    pattern = WHITE[:, None, None] - colours[BODY]
    planes = pattern * (0.62 * coverage[:, BODY] * ink)[:, None]
    for paint_ in PAINTS:
        planes += colours[paint_] * coverage[:, paint_, None]
    return np.rint(planes).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def draw_poses(rng: np.random.Generator) -> np.ndarray:
    """Return the coverage of every pose, shape ``(16 · POSES, num_paints, SIDE, SIDE)``."""
    sketches = [sketch(SHAPES[category]) for category in CATEGORIES]
    return np.stack([_pose(picture, rng) for picture in sketches for _ in range(POSES)])


def sketch(strokes: list[Stroke]) -> Image.Image:
    """Return the large drawing of a toy with one paint's number per pixel, outlined in dark."""
    size = SIDE * OVERSAMPLING
    picture = Image.new("L", (size, size), BACKGROUND)
    pen = ImageDraw.Draw(picture)
    for paint_, kind, numbers in strokes:
        _stroke(pen, paint_, kind, numbers)
    pixels = np.array(picture)
    near = maximum_filter(pixels, size=2 * OVERSAMPLING + 1)
    pixels[(near != BACKGROUND) & (pixels == BACKGROUND)] = DARK
    return Image.fromarray(pixels)


def _stroke(pen: ImageDraw.ImageDraw, paint_: int, kind: str, numbers: tuple[float, ...]) -> None:
    # Six units of margin on each side, so that no pose is cut off.
    scale, margin = SIDE * OVERSAMPLING * 0.88 / 100, SIDE * OVERSAMPLING * 0.06
    points = [scale * number + margin for number in numbers]
    if kind == "slice":
        pen.pieslice(points[:4], numbers[4], numbers[5], fill=paint_)
    elif kind == "rounded":
        pen.rounded_rectangle(points, radius=5 * scale, fill=paint_)
    elif kind == "line":
        pen.line(points, fill=paint_, width=round(4 * scale), joint="curve")
    else:
        draw = {"ellipse": pen.ellipse, "box": pen.rectangle, "polygon": pen.polygon}[kind]
        draw(points, fill=paint_)


def _pose(picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
    size = picture.width
    tilt, zoom = np.deg2rad(rng.uniform(-9, 9)), rng.uniform(1.0, 1.14)
    shift = rng.uniform(-0.03, 0.03, 2) * size
    cosine, sine = zoom * np.cos(tilt), zoom * np.sin(tilt)
    # Turn about the centre: the offset puts the middle of the picture back where it was.
    right, down = size / 2 * (1 - np.array([cosine + sine, cosine - sine])) + shift
    matrix = (cosine, sine, right, -sine, cosine, down)
    posed = np.array(picture.transform(picture.size, Image.Transform.AFFINE, matrix))
    return _average_down(np.stack([posed == paint_ for paint_ in PAINTS]))


def pattern_masks() -> np.ndarray:
    """Return how much of the pattern shows at each pixel, shape ``(4, SIDE, SIDE)``."""
    grid = np.arange(SIDE * OVERSAMPLING) / OVERSAMPLING
    y, x = np.meshgrid(grid, grid, indexing="ij")
    masks = {
        "plain": np.zeros_like(x, dtype=bool),
        "striped": (x + y) % 11 < 5,
        "dotted": np.hypot(x % 10 - 5, y % 10 - 5) < 2.6,
        "checked": (x % 14 < 7) == (y % 14 < 7),
    }
    return _average_down(np.stack([masks[pattern] for pattern in PATTERNS]))


def _average_down(layers: np.ndarray) -> np.ndarray:
    # Sixteen strided sums are several times faster than one mean over two inner axes.
    total = np.zeros((len(layers), SIDE, SIDE), dtype=np.float32)
    for y, x in np.ndindex(OVERSAMPLING, OVERSAMPLING):
        total += layers[:, y::OVERSAMPLING, x::OVERSAMPLING]
    return total / OVERSAMPLING**2
