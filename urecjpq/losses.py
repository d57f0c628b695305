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
    logits = (anchors / temperature) @ others.T
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
