"""Codes drawn at random: the baseline that knows nothing of the interactions."""

import numpy as np

from urecjpq.assignment.assignment import Assignment, code_dtype, require_code_shape


def assign_by_random(
    num_entities: int, code_length: int, codebook_size: int = 256, *, seed: int = 0
) -> Assignment:
    """Return random codes in which every sub-id of a split is used equally often.

    Args:
        num_entities: Users or items.
        code_length: Splits per entity.
        codebook_size: Sub-ids per split, at most ``num_entities``.
        seed: Same seed, same codes.

    Returns:
        Codes without centroids; per split, counts of sub-ids differ by at most one.

    Raises:
        InputError: No split, or more sub-ids than entities.

    Source: RecJPQ's random strategy (Petrov & Macdonald, WSDM 2024, arXiv:2312.06165). The
    authors draw every sub-id independently; here each split is a permutation of an equal number
    of each, so no centroid is left without entities and runs differ less.
    """
    require_code_shape(num_entities, code_length, codebook_size)
    rng = np.random.default_rng(seed)
    dtype = code_dtype(codebook_size)
    balanced = (np.arange(num_entities) * codebook_size // num_entities).astype(dtype)
    columns = [rng.permutation(balanced) for _ in range(code_length)]
    return Assignment(np.stack(columns, axis=1))
