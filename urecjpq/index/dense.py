"""The ranking that others do: one matrix product, a top-k; equal to the reference up to rounding.

Evaluation ranks every user with it: for thousands of queries at once on few items nothing is
faster than BLAS. The score of an item is that of the library at hand, so its last bits, and the
order of items whose scores differ by less, may be other than those of the other methods.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

BLOCK = 256  # queries per product: the fastest of 64 … 2048 measured on two cores
BLOCK_SCORES = 2**26  # scores held at once (256 MiB); fewer queries a product beyond 262,144 items


class Exclusions(NamedTuple):
    """Items that a query must not list: those of query ``q`` are ``ids[first[q]:first[q + 1]]``."""

    first: np.ndarray
    ids: np.ndarray

    def of_queries(self, part: slice) -> "Exclusions":
        """Return those of some queries."""
        first = self.first[part.start : part.stop + 1]
        return Exclusions(first - first[0], self.ids[first[0] : first[-1]])

    def within(self, rows: np.ndarray) -> "Exclusions":
        """Return exclusions by place in ``rows``, which ascend; other ids fall away."""
        places = np.searchsorted(rows, self.ids)
        known = places < len(rows)
        known[known] = rows[places[known]] == self.ids[known]
        first = np.concatenate([[0], np.cumsum(known)])[self.first]
        return Exclusions(first, places[known])


@torch.no_grad()
def search_dense(
    queries: Tensor,
    item_vectors: Tensor,
    k: int,
    exclude: Exclusions | None = None,
    listable: Tensor | None = None,
    alike: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return the k best items of each query by inner product and their scores, best first.

    Ties go to the lower id.

    Args:
        queries: Finite. Shape ``(q, d)``.
        item_vectors: Finite, on the same device. Shape ``(num_items, d)``.
        k: Length of the lists, at least 1.
        exclude: Items each query must not list; None excludes nothing.
        listable: Items that may be listed at all, bool; None allows all. Shape ``(num_items,)``.
        alike: Give every product the same number of rows, so that a query's list depends neither
            on which others are asked together nor on the number of threads. One question alone
            then costs as much as `BLOCK`.

    Returns:
        Ids, int64, -1 where candidates ran out, and scores, float32, there -inf. Shapes ``(q, k)``.
    """
    num_queries, num_items = len(queries), len(item_vectors)
    block = max(1, min(BLOCK, BLOCK_SCORES // max(num_items, 1)))
    ids = torch.full((num_queries, k), -1, dtype=torch.int64, device=item_vectors.device)
    best = torch.full_like(ids, -torch.inf, dtype=torch.float32)
    columns = item_vectors.float().t()
    block = block if alike else max(1, min(block, num_queries))
    queries = pad(queries.float(), (0, 0, 0, -num_queries % block))
    scores = queries.new_empty((block, num_items))
    positions, first = _positions(exclude, num_queries, num_items, block)
    found = slice(0, min(k, num_items))
    for start in range(0, num_queries, block):
        stop = min(start + block, num_queries)
        torch.mm(queries[start : start + block], columns, out=scores)
        scores.view(-1)[positions[first[start] : first[stop]].to(scores.device)] = -torch.inf
        if listable is not None:
            scores[:, ~listable] = -torch.inf
        ids[start:stop, found], best[start:stop, found] = _best(
            scores[: stop - start], min(k, num_items)
        )
    return ids, best


def _positions(
    exclude: Exclusions | None, num_queries: int, num_items: int, block: int
) -> tuple[Tensor, np.ndarray]:
    """Return the positions to mask in each flattened block, and where each query's begin."""
    if exclude is None:
        return torch.empty(0, dtype=torch.int64), np.zeros(num_queries + 1, dtype=np.int64)
    rows = np.repeat(np.arange(num_queries, dtype=np.int64) % block, np.diff(exclude.first))
    return torch.from_numpy(rows * num_items + exclude.ids), exclude.first


def _best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    # One more than asked for shows whether the last place is contested: topk promises no order
    # among equals, and quantised items with the same codes are equal.
    values, ids = torch.topk(scores, min(k + 1, scores.shape[1]))
    tied = (values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)
    ids, values = ids[:, :k], values[:, :k]
    rows = tied.any(1).nonzero().flatten()
    if len(rows):
        ids[rows] = _best_of_tied(scores[rows], values[rows, -1:], k)
    return ids.masked_fill(values == -torch.inf, -1), values


def _best_of_tied(scores: Tensor, last: Tensor, k: int) -> Tensor:
    """Return the k best where equals go by id; `last` is the score of the k-th place."""
    rows, ids = (scores >= last).nonzero(as_tuple=True)  # at least k a row, ids ascending
    order = scores[rows, ids].sort(descending=True, stable=True).indices
    order = order[rows[order].sort(stable=True).indices]
    begins = torch.searchsorted(rows, torch.arange(len(scores), device=rows.device))
    return ids[order][begins[:, None] + torch.arange(k, device=rows.device)]
