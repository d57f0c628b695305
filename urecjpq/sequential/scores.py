"""Scores of a table's rows, by whichever way costs less.

A score of a JPQ table is the sum of ``m`` entries of the query's ``(m, b)`` sub-score table, or a
dot product with the reconstructed row. The first costs ``b · d`` multiplications per query and then
``m`` look-ups per candidate; the second ``d`` multiplications per candidate and, where each query
has candidates of its own, ``d`` floats of memory. Of a small catalogue the scores of all items are
one product, and candidates are picked from them. benchmarks/candidates.py measures all three, and
the constants below are where they cross.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from urecjpq.tables import JPQEmbedding, Table

CANDIDATES_PER_CENTROID = 4
"""Fewer shared candidates per centroid of a split, or floats of own ones, go by rows."""
FEW_QUERIES = 16
"""So few queries share their candidates' look-ups at less than the cost of making rows."""
WIDE_SPLIT_DIM = 48
"""From so many dimensions per split on, looking up costs less than multiplying, at any number."""
ITEMS_PER_CANDIDATE = 64
"""Up to so many items per own candidate, a full table is multiplied as a whole."""
MULTIPLICATIONS_PER_LOOK_UP = 80
"""In a product of matrices they take as long as one look-up of a sub-score and its gradient."""
ROWS_AT_ONCE = 2**16
"""A larger JPQ table is never reconstructed as a whole."""

Way = Callable[[Any, Tensor, Tensor], Tensor]
"""From a table, queries and candidates to scores; sub-scores are those of JPQ tables alone."""


def num_items(table: Table) -> int:
    """Return how many rows of ``table`` are items: all but its special tokens."""
    return len(table.codes) if isinstance(table, JPQEmbedding) else table.num_embeddings


def all_scores(table: Table, queries: Tensor) -> Tensor:
    """Return the score of every item for every query.

    Args:
        table: ``num_items`` rows; special tokens after them are left out.
        queries: Shape ``(n, d)``.

    Returns:
        Shape ``(n, num_items)``.
    """
    count = num_items(table)
    if isinstance(table, JPQEmbedding):
        if sub_scores_are_cheaper(table, len(queries), (count,)):
            return _SubScores.apply(queries, table.centroids, table.codes.unsqueeze(0))
        if count > ROWS_AT_ONCE:
            blocks = torch.arange(count, device=queries.device).split(ROWS_AT_ONCE)
            return torch.cat([scores_by_rows(table, queries, ids) for ids in blocks], dim=1)
    return queries @ table.weight[:count].T


def candidate_scores(table: Table, queries: Tensor, ids: Tensor) -> Tensor:
    """Return the scores of some items for every query.

    Args:
        table: Any table.
        queries: Shape ``(n, d)``.
        ids: Items of each query, shape ``(n, c)``, or of all queries alike, shape ``(c,)``.

    Returns:
        Shape ``(n, c)``.
    """
    return cheapest_way(table, len(queries), ids.shape)(table, queries, ids)


def cheapest_way(table: Table, num_queries: int, ids_shape: tuple[int, ...]) -> Way:
    """Return the function that `candidate_scores` calls for candidates of a shape."""
    if len(ids_shape) == 2 and all_scores_are_cheaper(table, num_queries, ids_shape[1]):
        return picked_scores
    if isinstance(table, JPQEmbedding) and sub_scores_are_cheaper(table, num_queries, ids_shape):
        return scores_by_sub_scores
    return scores_by_rows


def all_scores_are_cheaper(table: Table, num_queries: int, own_candidates: int) -> bool:
    """Return whether each query's own candidates are picked from the scores of all items."""
    count = num_items(table)
    if count > ITEMS_PER_CANDIDATE * own_candidates:
        return False
    if not isinstance(table, JPQEmbedding):
        return True
    if num_queries <= FEW_QUERIES or count > ROWS_AT_ONCE:
        return False
    # Sub-scores cost as much as look-ups of a quarter of the codebook before the first of them.
    look_ups = table.code_length * (own_candidates + table.codebook_size // 4)
    return count * table.embedding_dim <= MULTIPLICATIONS_PER_LOOK_UP * look_ups


def sub_scores_are_cheaper(
    table: JPQEmbedding, num_queries: int, ids_shape: tuple[int, ...]
) -> bool:
    """Return whether candidates of the shape that `candidate_scores` takes go by sub-scores."""
    candidates, least = ids_shape[-1], CANDIDATES_PER_CENTROID * table.codebook_size
    if len(ids_shape) == 2:
        return candidates * table.embedding_dim >= least
    split_dim = table.embedding_dim // table.code_length
    return candidates >= least and (num_queries <= FEW_QUERIES or split_dim >= WIDE_SPLIT_DIM)


def picked_scores(table: Table, queries: Tensor, ids: Tensor) -> Tensor:
    """Return what `candidate_scores` does of own candidates, out of the scores of all items."""
    return all_scores(table, queries).gather(1, ids)


def scores_by_rows(table: Table, queries: Tensor, ids: Tensor) -> Tensor:
    """Return what `candidate_scores` does, from the rows of ``ids``."""
    rows = table(ids)
    return queries @ rows.T if ids.ndim == 1 else torch.einsum("nd,ncd->nc", queries, rows)


def scores_by_sub_scores(table: JPQEmbedding, queries: Tensor, ids: Tensor) -> Tensor:
    """Return what `candidate_scores` does, from the sub-score tables of ``queries``."""
    sub_ids = F.embedding(ids if ids.ndim == 2 else ids.unsqueeze(0), table.codes)
    return _SubScores.apply(queries, table.centroids, sub_ids)


class _SubScores(torch.autograd.Function):
    """``Σ_k S[q, k, g_ik]``, holding the sub-scores of one split at a time, and no gradient of all.

    The sub-ids come as ``(n, c, m)``, or as ``(1, c, m)`` for all queries.
    """

    @staticmethod
    def forward(ctx, queries: Tensor, centroids: Tensor, sub_ids: Tensor) -> Tensor:
        ctx.save_for_backward(queries, centroids, sub_ids)
        scores = queries.new_zeros(len(queries), sub_ids.shape[1])
        for split, slices in enumerate(_slices(queries, centroids)):
            sub_scores = slices @ centroids[split].T
            scores += sub_scores.gather(1, _index(sub_ids, split, len(queries)))
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        queries, centroids, sub_ids = ctx.saved_tensors
        grad_queries, grad_centroids = torch.empty_like(queries), torch.empty_like(centroids)
        per_split = zip(_slices(queries, centroids), _slices(grad_queries, centroids), strict=True)
        for split, (slices, grad_slices) in enumerate(per_split):
            index = _index(sub_ids, split, len(queries))
            grad = queries.new_zeros(len(queries), centroids.shape[1])
            grad.scatter_add_(1, index, grads[0])
            grad_slices.copy_(grad @ centroids[split])
            grad_centroids[split] = grad.T @ slices
        return grad_queries, grad_centroids, None


def _slices(queries: Tensor, centroids: Tensor) -> tuple[Tensor, ...]:
    return queries.unflatten(1, (len(centroids), -1)).unbind(1)


def _index(sub_ids: Tensor, split: int, num_queries: int) -> Tensor:
    # A sub-id of one byte would be taken for a mask.
    return sub_ids[..., split].long().expand(num_queries, -1)
