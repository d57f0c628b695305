"""RecJPQ's baseline: a table of two hashes."""

from urecjpq.assignment.quotient_remainder import (
    assign_by_quotient_remainder,
    quotient_remainder_size,
)
from urecjpq.tables import JPQEmbedding


class QuotientRemainderEmbedding(JPQEmbedding):
    """Baseline table: two hashes of the id, quotient and remainder by ``b = ⌈√n⌉``.

    Nothing is stored per row. RecJPQ's baseline joins the two halves, as here; Shi et al. (KDD
    2020, arXiv:1909.02107) multiply them.

    Args:
        num_embeddings: Rows, ``n``.
        embedding_dim: ``d``, even.
        scramble: Hash a fixed permutation of the ids instead of the ids themselves. Row numbers
            can give the answer away: MMRec numbers users in the order of their first item, test
            items included (on Amazon Baby the rank correlation of user row and smallest item row
            is 0.99999), and with plain hashes the quotient then tells which items a user touched.

    Raises:
        InputError: ``d`` is odd.

    Source: RecJPQ (arXiv:2312.06165). The authors' code divides by ``⌈√(n+2)⌉`` but sizes the
    table by ``⌈√n⌉``, so a sub-id can fall outside; here both are ``⌈√n⌉``.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, scramble: bool = False) -> None:
        codes, _ = assign_by_quotient_remainder(num_embeddings, scramble=scramble)
        super().__init__(codes, embedding_dim, quotient_remainder_size(num_embeddings))
        self.scramble = scramble
        # The hashes follow from the row number, so they are not saved.
        self._non_persistent_buffers_set.add("codes")
