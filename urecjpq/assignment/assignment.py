"""What a strategy returns, and what all strategies share."""

from typing import NamedTuple

import numpy as np

from urecjpq.errors import require


class Assignment(NamedTuple):
    """Codes of all entities and, where the strategy has them, centroids to start from.

    Args:
        codes: Sub-ids, narrowest unsigned or signed integer type, shape ``(num_entities, m)``.
        centroids: float32, shape ``(m, b, d/m)``, or None (the table draws its own).
    """

    codes: np.ndarray
    centroids: np.ndarray | None = None


def code_dtype(codebook_size: int) -> type[np.unsignedinteger] | type[np.signedinteger]:
    """Return the narrowest integer type that holds every sub-id and that torch can store."""
    for dtype in (np.uint8, np.int16, np.int32):
        if codebook_size - 1 <= np.iinfo(dtype).max:
            return dtype
    raise ValueError(f"codebook_size must fit in 32 bits; got {codebook_size}.")


def require_code_shape(num_entities: int, code_length: int, codebook_size: int) -> None:
    """Refuse code lengths and codebook sizes that cannot describe ``num_entities`` rows."""
    require(code_length >= 1, "code_length must be at least 1", code_length)
    require(
        1 <= codebook_size <= num_entities,
        f"codebook_size must lie in [1, {num_entities}], the number of entities",
        codebook_size,
        "Choose a smaller codebook_size.",
    )
