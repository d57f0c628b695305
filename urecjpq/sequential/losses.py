"""Losses over the items of a catalogue; each draws the negatives that it needs.

A loss is its own setting: ``SampledSoftmax(num_negatives=256)`` is checked when made, stands in a
run's configuration, and is called with the vectors of all positions that are not padding.
"""

import math
from abc import abstractmethod
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from urecjpq.errors import require
from urecjpq.losses import cross_entropy
from urecjpq.sequential.scores import ROWS_AT_ONCE, candidate_scores, num_items
from urecjpq.settings import Settings
from urecjpq.tables import JPQEmbedding, Table

SCORES_AT_ONCE = 2**22
"""Scores that the softmax over a JPQ table too large to reconstruct holds at a time."""


class Loss(Settings):
    """What every loss has."""

    @abstractmethod
    def __call__(
        self, table: Table, queries: Tensor, positives: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the mean loss over ``n`` positions. Scalar.

        Args:
            table: Item table that scores; its special tokens are never negatives.
            queries: Vectors of the positions, shape ``(n, d)``.
            positives: Items that follow them, shape ``(n,)``.
            generator: Negatives are drawn from it.
        """


class BCE(Loss):
    """Binary cross-entropy of each positive and ``k`` negatives of its own.

    ``(softplus(−s⁺) + Σ softplus(s⁻)) / (k + 1)`` with ``s = score − log k``; negatives are uniform
    over all items, the positive and items of the history not excepted.

    The constant changes no order. At a score of zero the positive pulls as much as its ``k``
    negatives push; without it all rows first learn one common direction that pushes scores down,
    and with many negatives hardly leave it: on ML-1M gSASRec has a validation NDCG@10 of 0.022
    after three epochs without it, and of 0.120 with it. Neither paper has it.

    Args:
        num_negatives: ``k``.

    Source: Kang & McAuley, SASRec, ICDM 2018 (arXiv:1808.09781), with k = 1; RecJPQ
    (arXiv:2312.06165). SASRec's own code draws no negative that the history holds; RecJPQ's does.
    """

    name: Literal["bce"] = "bce"
    num_negatives: int = Field(default=1, ge=1)

    def __call__(
        self, table: Table, queries: Tensor, positives: Tensor, generator: torch.Generator
    ) -> Tensor:
        return _weighted_bce(table, queries, positives, generator, self.num_negatives, 1.0)


class GBCE(Loss):
    """Binary cross-entropy with the positive's probability raised to ``β``.

    With a share ``α = k / (num_items − 1)`` of all negatives drawn, ``β = α (t (1 − 1/α) + 1/α)``
    undoes the overconfidence that sampling brings: not at all at t = 0 (plain `BCE`), fully at
    t = 1 (β = α). ``log(β / k)`` is added to every score, see `BCE`.

    Args:
        num_negatives: ``k``, at most ``num_items − 1``.
        t: Calibration in [0, 1].

    Source: Petrov & Macdonald, gSASRec, RecSys 2023 (arXiv:2308.07192). Their code transforms the
    positive's score in float64, ``log(1 / (σ(s)^−β − 1))``; since ``−log σ(s)^β = β softplus(−s)``
    the weight β says the same without a loss of precision.
    """

    name: Literal["gbce"] = "gbce"
    num_negatives: int = Field(default=256, ge=1)
    t: float = Field(default=0.75, ge=0, le=1)

    def __call__(
        self, table: Table, queries: Tensor, positives: Tensor, generator: torch.Generator
    ) -> Tensor:
        others = num_items(table) - 1
        require(
            self.num_negatives <= others,
            f"num_negatives must be at most {others}, the number of other items",
            self.num_negatives,
            "Draw fewer, or take the softmax over all items.",
        )
        sampled = self.num_negatives / others
        power = sampled * (self.t * (1 - 1 / sampled) + 1 / sampled)
        return _weighted_bce(table, queries, positives, generator, self.num_negatives, power)


class Softmax(Loss):
    """Cross-entropy of the positive over all items: ``log Σ_j exp(s_j) − s⁺``.

    Never more than a block of the scores is held. Gradients are taken in the same pass, block by
    block of positions, so that no score is computed twice; a JPQ table too large to reconstruct
    goes block by block of items, each computed again for its gradient.
    """

    name: Literal["softmax"] = "softmax"

    def __call__(
        self, table: Table, queries: Tensor, positives: Tensor, generator: torch.Generator
    ) -> Tensor:
        if isinstance(table, JPQEmbedding) and num_items(table) > ROWS_AT_ONCE:
            scores = candidate_scores(table, queries, positives.unsqueeze(1)).squeeze(1)
            return (_log_partition(table, queries) - scores).mean()
        rows = table.weight[: num_items(table)]
        return cross_entropy(queries, rows, positives)


class SampledSoftmax(Loss):
    """Cross-entropy of the positive over itself and ``k`` negatives, corrected for the sampling.

    One uniform sample with replacement serves all positions of a batch, so that scores are one
    product. Each negative stands for ``num_items / k`` items, hence ``log(num_items / k)`` is added
    to its score, and where it is the position's positive, it is left out: the sum of exponentials
    then has the expected value of the full one.

    Args:
        num_negatives: ``k``.

    Source: Jean et al., On Using Very Large Target Vocabulary, ACL 2015 (arXiv:1412.2007).
    """

    name: Literal["sampled_softmax"] = "sampled_softmax"
    num_negatives: int = Field(default=256, ge=1)

    def __call__(
        self, table: Table, queries: Tensor, positives: Tensor, generator: torch.Generator
    ) -> Tensor:
        positive, negatives, is_positive = _scores_with_shared_negatives(
            table, queries, positives, generator, self.num_negatives
        )
        correction = math.log(num_items(table) / self.num_negatives)
        negatives = (negatives + correction).masked_fill(is_positive, -torch.inf)
        partition = torch.cat([positive, negatives], dim=1).logsumexp(dim=1, keepdim=True)
        return (partition - positive).mean()


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
        positive, negatives, is_positive = _scores_with_shared_negatives(
            table, queries, positives, generator, self.num_negatives
        )
        negatives = negatives.masked_fill(is_positive, -torch.inf)
        gains = _exchange_gains(positive.detach(), negatives.detach())
        return (gains * F.softplus(negatives - positive)).sum(dim=1).mean()


LossSettings = Annotated[
    BCE | GBCE | Softmax | SampledSoftmax | LambdaRank, Field(discriminator="name")
]
"""Any loss, as a configuration names it."""


def _weighted_bce(
    table: Table,
    queries: Tensor,
    positives: Tensor,
    generator: torch.Generator,
    num_negatives: int,
    weight: float,
) -> Tensor:
    negatives = _draw(table, (len(queries), num_negatives), generator).to(positives.device)
    ids = torch.cat([positives.unsqueeze(1), negatives], dim=1)
    scores = candidate_scores(table, queries, ids) + math.log(weight / num_negatives)
    positive, negative = scores.split([1, num_negatives], dim=1)
    total = weight * F.softplus(-positive).sum() + F.softplus(negative).sum()
    return total / ids.numel()


def _scores_with_shared_negatives(
    table: Table,
    queries: Tensor,
    positives: Tensor,
    generator: torch.Generator,
    num_negatives: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return positive scores ``(n, 1)``, negative ones ``(n, k)``, and where both are one item."""
    negatives = _draw(table, (num_negatives,), generator).to(positives.device)
    positives = positives.unsqueeze(1)
    positive = candidate_scores(table, queries, positives)
    return positive, candidate_scores(table, queries, negatives), positives == negatives


def _draw(table: Table, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(num_items(table), shape, generator=generator, device=generator.device)


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


def _log_partition(table: JPQEmbedding, queries: Tensor) -> Tensor:
    """Return ``log Σ_j exp(s_j)`` over all items. Shape ``(n,)``."""

    def of_block(queries: Tensor, ids: Tensor) -> Tensor:
        return candidate_scores(table, queries, ids).logsumexp(dim=1)

    ids = torch.arange(num_items(table), device=queries.device)
    block = max(1, SCORES_AT_ONCE // len(queries))
    parts = [checkpoint(of_block, queries, part, use_reentrant=False) for part in ids.split(block)]
    return torch.stack(parts).logsumexp(dim=0)
