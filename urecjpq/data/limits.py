"""What an archive may unpack to, so that a small file cannot fill the memory."""

from pathlib import Path

MAX_RATIO, FREE_BYTES = 200, 2**28
"""A file may unpack to so many times its size, and to `FREE_BYTES` in any case. Reviews shrink to a
third or a quarter, gzip bombs to a thousandth."""


def unpacked_limit(path: Path) -> int:
    """Return how many bytes a packed file may unpack to."""
    return max(FREE_BYTES, MAX_RATIO * path.stat().st_size)
