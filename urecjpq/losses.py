"""Losses shared by the backbones."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from urecjpq.sampling import Triples

SCORES_AT_ONCE = 2**19
"""Few enough that a block of them stays in a core's caches."""
QUERIES_AT_ONCE = 64
"""With fewer the product takes longer: 17 ns a score with 8 queries at a time, 7 with these."""


def rows_of(batch: Triples, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows of a batch's users, positives and negatives, each of shape ``(batch, d)``.

    Args:
        batch: Triples.
        users: A vector per user, shape ``(num_users, d)``.
        items: A vector per item, shape ``(num_items, d)``.
    """
    positives, negatives = F.embedding(torch.stack([batch.positives, batch.negatives]), items)
    return F.embedding(batch.users, users), positives, negatives


def bpr_loss(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the mean of ``−log σ(u·p − u·n)``; all shapes ``(batch, d)``.

    Source: Rendle et al., BPR, UAI 2009 (arXiv:1205.2618).
    """
    return F.softplus((users * (negatives - positives)).sum(-1)).mean()


def half_squared_norm(*rows: Tensor) -> Tensor:
    """Return half the squared norm of a batch's rows, averaged over the batch.

    Each of ``rows`` has shape ``(batch, d)``.

    Source: LightGCN (arXiv:2002.02126). MMRec and RecBole take the norm without the square.
    """
    return sum(((row**2).sum(-1).mean() for row in rows), start=rows[0].new_zeros(())) / 2


def info_nce(anchors: Tensor, others: Tensor, temperature: float) -> Tensor:
    """Return the mean of ``−log softmax_j(a_i · o_j / τ)`` at ``j = i``; all shapes ``(batch, d)``.

    Make the rows unit vectors for cosines.

    Source: van den Oord et al., CPC, 2018 (arXiv:1807.03748).
    """
    own = torch.arange(len(anchors), device=anchors.device)
    return cross_entropy(anchors / temperature, others, own)


def cross_entropy(queries: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
    """Return the mean of ``log Σ_j exp(q · r_j) − q · r⁺``. Scalar.

    Gradients are taken in the same pass, a block of queries at a time, while its scores are at
    hand: torch's product and cross entropy write the matrix of scores four times, and keep it.

    Args:
        queries: Shape ``(n, d)``.
        rows: What is scored, shape ``(num_rows, d)``.
        positives: Row of each query that is wanted, shape ``(n,)``.
    """
    return _CrossEntropy.apply(queries, rows, positives)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, queries: Tensor, rows: Tensor, positives: Tensor) -> Tensor:
        total = queries.new_zeros(())
        of_queries, of_rows = torch.empty_like(queries), torch.zeros_like(rows)
        block = max(QUERIES_AT_ONCE, SCORES_AT_ONCE // len(rows))
        for start in range(0, len(queries), block):
            part, wanted = queries[start : start + block], positives[start : start + block, None]
            scores = part @ rows.T
            highest = scores.amax(dim=1, keepdim=True)
            total -= (scores.gather(1, wanted) - highest).sum()
            sums = scores.sub_(highest).exp_().sum(dim=1, keepdim=True)
            total += sums.log().sum()
            shares = scores.div_(sums)
            shares.scatter_add_(1, wanted, -torch.ones_like(sums))
            torch.mm(shares, rows, out=of_queries[start : start + block])
            of_rows.addmm_(shares.T, part)
        ctx.save_for_backward(of_queries.div_(len(queries)), of_rows.div_(len(queries)))
        return total / len(queries)

    @staticmethod
    @once_differentiable
    def backward(ctx, *grads: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        of_queries, of_rows = ctx.saved_tensors
        return grads[0] * of_queries, grads[0] * of_rows, None
