"""Losses shared by the backbones."""

import torch
import torch.nn.functional as F
from torch import Tensor

from urecjpq.sampling import Triples


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
    return _InfoNCE.apply(anchors / temperature, others)


class _InfoNCE(torch.autograd.Function):
    """The gradient comes with the loss, a block of anchors at a time, while logits are at hand.

    torch's product and cross entropy write the square of logits four times, and keep it.
    """

    BLOCK = 256

    @staticmethod
    def forward(ctx, anchors: Tensor, others: Tensor) -> Tensor:
        of_anchors, of_others = torch.empty_like(anchors), torch.zeros_like(others)
        losses = []
        for start in range(0, len(anchors), _InfoNCE.BLOCK):
            rows = anchors[start : start + _InfoNCE.BLOCK]
            logits = rows @ others.T
            own = logits.diagonal(start)
            highest = logits.amax(dim=1, keepdim=True)
            own_above = own - highest.squeeze(1)
            shares = logits.sub_(highest).exp_()
            sums = shares.sum(dim=1, keepdim=True)
            losses.append(sums.log().squeeze(1) - own_above)
            shares.div_(sums)
            own -= 1
            of_anchors[start : start + len(rows)] = shares @ others
            of_others.addmm_(shares.T, rows)
        ctx.save_for_backward(of_anchors, of_others)
        return torch.cat(losses).mean()

    @staticmethod
    def backward(ctx, *grads: Tensor):
        of_anchors, of_others = ctx.saved_tensors
        scale = grads[0] / len(of_anchors)
        return of_anchors * scale, of_others * scale
