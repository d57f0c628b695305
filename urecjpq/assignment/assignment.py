"""What a strategy returns, and what all strategies share."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, issparse

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


def require_interactions(interactions: csr_matrix) -> tuple[int, int]:
    """Return the shape; refuse all but a sparse matrix with a finite, non-zero entry."""
    require(
        issparse(interactions),
        "interactions must be a scipy sparse matrix",
        type(interactions).__name__,
        "Catalogue.matrix('train') returns one.",
    )
    require(
        int(interactions.count_nonzero()) > 0,
        "interactions must hold at least one pair",
        f"an empty matrix of shape {interactions.shape}",
        "Is the training partition empty?",
    )
    require(
        bool(np.isfinite(interactions.data).all()),
        "interactions must be finite",
        "NaN or infinity",
    )
    num_rows, num_columns = interactions.shape  # type: ignore[misc]
    return num_rows, num_columns


def equal_count_bins(values: np.ndarray, num_bins: int) -> np.ndarray:
    """Return the bin of every entity in every column, by rank; equal values rank by row.

    Bin sizes differ by at most one, whatever the values: the bin of rank ``r`` among ``n`` is
    ``⌊r · num_bins / n⌋``.

    Args:
        values: One column per split, shape ``(num_entities, m)``.
        num_bins: At most ``num_entities``.

    Returns:
        Sub-ids in the narrowest type. Shape ``(num_entities, m)``.
    """
    bin_of_rank = np.arange(len(values), dtype=np.int64) * num_bins // len(values)
    codes = np.empty(values.shape, dtype=code_dtype(num_bins))
    for split, column in enumerate(values.T):
        codes[np.argsort(column, kind="stable"), split] = bin_of_rank
    return codes
