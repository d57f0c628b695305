"""Picture files as pixels: every picture is read here, and only here.

| file | outcome |
|---|---|
| animated (GIF, WebP, APNG) | its first frame |
| palette, grey, transparent | colours on a white page |
| CMYK | converted to RGB |
| 16 bits per channel | the upper eight of them |
| turned by its EXIF tag | turned upright |
| empty, cut, not a picture, float pixels, too many bytes or pixels | `PictureError` |
"""

import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from urecjpq.errors import Unreadable

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 50_000_000
MAX_PIXELS = 50_000_000
# Pillow warns of large pictures through a filter that all threads share.
_OPENING = threading.Lock()


class PictureError(Unreadable):
    """A file cannot be read as a picture; ``reason`` says why in a few words that can be counted.

    Args:
        path: The file.
        reason: E.g. ``empty file``; the same words for all files of the kind.
        detail: What is particular to this file.
    """

    def __init__(self, path: Path | str, reason: str, detail: str = "") -> None:
        more = f" ({detail})" if detail else ""
        super().__init__(f"picture must be a readable image; got {path}: {reason}{more}.", reason)


def read_picture(
    path: Path | str, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> "Image":
    """Return a picture as it is meant to be seen, in RGB; see the table above.

    Args:
        path: Any format that Pillow reads.
        max_bytes: Size of the file that is still read.
        max_pixels: Width times height that is still decoded: a small file can hold billions.

    Raises:
        PictureError: The file is missing, or cannot be read within these limits.
    """
    # Imported late, as every heavier library.
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        size = Path(path).stat().st_size
        if size == 0:
            raise PictureError(path, "empty file")
        if size > max_bytes:
            raise PictureError(path, "too many bytes", f"{size:,} of at most {max_bytes:,}")
        with _open(path) as opened:
            pixels = opened.width * opened.height
            if pixels > max_pixels:
                raise PictureError(path, "too many pixels", f"{pixels:,} of at most {max_pixels:,}")
            opened.load()
            return _on_white(ImageOps.exif_transpose(_eight_bits(path, opened)))
    except FileNotFoundError:
        raise PictureError(path, "no such file") from None
    except UnidentifiedImageError:
        raise PictureError(path, "not a picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(path, "too many pixels", str(error)) from None
    except PictureError:
        raise
    # Decoders raise whatever they stumble over: SyntaxError for broken PNG chunks, and more.
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError) as error:
        raise PictureError(path, "damaged picture", str(error)) from None


def _open(path: Path | str) -> "Image":
    from PIL import Image

    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # Tags that break their format's rules do not spoil the picture.
        warnings.simplefilter("ignore", UserWarning)
        return Image.open(path)


def _eight_bits(path: Path | str, picture: "Image") -> "Image":
    import numpy as np
    from PIL import Image

    if picture.mode == "F":
        raise PictureError(path, "float pixels", "no range from black to white")
    if not picture.mode.startswith("I"):
        return picture
    # Pillow's own conversion cuts at 255: nearly all of a 16-bit picture would be white.
    upper = (np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
    grey = Image.fromarray(upper)
    grey.getexif().update(picture.getexif())
    return grey


def _on_white(picture: "Image") -> "Image":
    from PIL import Image

    if picture.mode == "RGB":
        return picture.copy()
    coloured = picture.convert("RGBA")
    page = Image.new("RGBA", coloured.size, "white")
    page.alpha_composite(coloured)
    return page.convert("RGB")
