"""Losses that tell each positive from negatives of its own: BCE and gBCE."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from urecjpq.errors import require
from urecjpq.sequential.loss import Loss, draw
from urecjpq.sequential.scores import candidate_scores, num_items
from urecjpq.tables import Table


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


def _weighted_bce(
    table: Table,
    queries: Tensor,
    positives: Tensor,
    generator: torch.Generator,
    num_negatives: int,
    weight: float,
) -> Tensor:
    negatives = draw(table, (len(queries), num_negatives), generator).to(positives.device)
    ids = torch.cat([positives.unsqueeze(1), negatives], dim=1)
    scores = candidate_scores(table, queries, ids) + math.log(weight / num_negatives)
    positive, negative = scores.split([1, num_negatives], dim=1)
    total = weight * F.softplus(-positive).sum() + F.softplus(negative).sum()
    return total / ids.numel()
