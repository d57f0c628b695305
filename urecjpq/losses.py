"""Losses shared by the backbones."""

import torch.nn.functional as F
from torch import Tensor


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
