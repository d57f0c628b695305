"""RecJPQ's default: one singular direction per split, cut in bins of equal count."""

from scipy.sparse import csr_matrix

from urecjpq.assignment.assignment import (
    Assignment,
    equal_count_bins,
    require_code_shape,
    require_interactions,
)
from urecjpq.assignment.factors import truncated_svd
from urecjpq.errors import require


def assign_by_svd(
    interactions: csr_matrix, code_length: int, codebook_size: int = 256, *, seed: int = 0
) -> Assignment:
    """Return codes of the columns: split ``k`` is the rank along the ``k``-th singular direction.

    Entities that the same counterparts touched share sub-ids. Split 0 is close to popularity.

    Args:
        interactions: Training pairs, columns are the entities. Shape ``(num_users, num_items)``.
        code_length: Splits per entity, at most the smaller side.
        codebook_size: Bins per split, at most the number of columns.
        seed: Of the SVD's start block.

    Returns:
        Codes without centroids. Columns without interactions are equal and rank by id.

    Raises:
        InputError: An empty matrix, or a code shape that the matrix cannot fill.

    Source: Petrov & Macdonald, RecJPQ, WSDM 2024 (arXiv:2312.06165). As there, the factors are
    unit singular vectors, not scaled by singular values. Their code adds Gaussian noise of 1e-5
    against ties and bins by a discretiser that samples 200,000 rows; both are random, and bins
    come out unequal. Here ties go by id and bins by rank, so sizes differ by at most one. Signs
    are fixed, and no row is spent on padding or mask.
    """
    num_rows, num_entities = require_interactions(interactions)
    require_code_shape(num_entities, code_length, codebook_size)
    smaller = min(num_rows, num_entities)
    require(
        code_length <= smaller,
        f"code_length must be at most {smaller}, the smaller side of interactions",
        code_length,
        "Choose a smaller code_length.",
    )
    factors = truncated_svd(interactions, code_length, seed)
    return Assignment(equal_count_bins(factors.item_factors, codebook_size))
