"""LambdaRank: pairs weighted by what they change in the ranking."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from urecjpq.sequential.loss import Loss, scores_with_shared_negatives
from urecjpq.tables import Table


class LambdaRank(Loss):
    """Pairwise logistic loss, each pair weighted by what its exchange would change in NDCG.

    ``Σ_j |1/log₂(1 + r⁺) − 1/log₂(1 + r_j)| · softplus(s_j − s⁺)``, where ``r`` are the ranks
    among the positive and one uniform sample of ``k`` items for the whole batch.

    Args:
        num_negatives: ``k``.

    Source: Burges et al., LambdaRank, NIPS 2006. RecJPQ's GRU4Rec ranks the whole catalogue, cuts
    NDCG at 50 and takes all items of a random rest of the history as relevant; here one item is.
    """

    name: Literal["lambdarank"] = "lambdarank"
    num_negatives: int = Field(default=256, ge=1)

    def __call__(
        self, table: Table, queries: Tensor, positives: Tensor, generator: torch.Generator
    ) -> Tensor:
        positive, negatives = scores_with_shared_negatives(
            table, queries, positives, generator, self.num_negatives
        )
        gains = _exchange_gains(positive.detach(), negatives.detach())
        return (gains * F.softplus(negatives - positive)).sum(dim=1).mean()


def _exchange_gains(positive: Tensor, negatives: Tensor) -> Tensor:
    """Return how much NDCG changes if the positive and a negative change places. Shape ``(n, k)``.

    Among equal scores the positive comes last: ties earn nothing.
    """
    order = negatives.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(1, negatives.shape[1] + 1, device=negatives.device).expand_as(order)
    above = negatives >= positive
    ranks = torch.empty_like(order).scatter_(1, order, places) + ~above
    own_rank = 1 + above.sum(dim=1, keepdim=True)
    discounts = [1 / (1 + rank.to(positive.dtype)).log2() for rank in (own_rank, ranks)]
    return (discounts[0] - discounts[1]).abs()
