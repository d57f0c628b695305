"""Codes from the id alone, unique by construction."""

import math

import numpy as np

from urecjpq.assignment.assignment import Assignment, code_dtype
from urecjpq.errors import require


def assign_by_quotient_remainder(num_entities: int, *, scramble: bool = False) -> Assignment:
    """Return each id's quotient and remainder by ``⌈√num_entities⌉``, the codebook size.

    Two sub-ids per entity, and no two entities share both: the classical baseline.

    Args:
        num_entities: Users or items.
        scramble: Hash ``id · a mod n`` instead of the id, ``a`` near ``n / φ`` and coprime to
            ``n``: then neighbours by id share no sub-id for being neighbours.

    Returns:
        Codes without centroids. Shape ``(num_entities, 2)``, all below ``⌈√num_entities⌉``.

    Raises:
        InputError: No entity.

    Source: Shi et al., Compositional Embeddings Using Complementary Partitions, KDD 2020
    (arXiv:1909.02107), as the baseline of RecJPQ. The authors of RecJPQ divide by ``⌈√(n + 2)⌉``
    and size the table by ``⌈√n⌉``, so with 100 items a sub-id falls outside; here both are one.
    """
    require(num_entities >= 1, "num_entities must be at least 1", num_entities)
    codebook_size = quotient_remainder_size(num_entities)
    ids = np.arange(num_entities)
    if scramble:
        ids = ids * _multiplier(num_entities) % num_entities
    codes = np.stack(np.divmod(ids, codebook_size), axis=1)
    return Assignment(codes.astype(code_dtype(codebook_size)))


def quotient_remainder_size(num_entities: int) -> int:
    """Return ``⌈√num_entities⌉``, the codebook size that goes with the codes."""
    return math.isqrt(num_entities - 1) + 1


def _multiplier(num_entities: int) -> int:
    """Return the number nearest above ``n / φ`` that has no factor in common with ``n``."""
    candidate = max(1, round(num_entities * (math.sqrt(5) - 1) / 2))
    while math.gcd(candidate, num_entities) != 1:
        candidate += 1
    return candidate
