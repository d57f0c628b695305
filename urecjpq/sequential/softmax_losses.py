"""Cross-entropy over all items, and over a sample of them."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from urecjpq.losses import cross_entropy
from urecjpq.sequential.loss import Loss, scores_with_shared_negatives
from urecjpq.sequential.scores import ROWS_AT_ONCE, candidate_scores, num_items
from urecjpq.tables import JPQEmbedding, Table

SCORES_AT_ONCE = 2**22
"""Scores that the softmax over a JPQ table too large to reconstruct holds at a time."""


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
        positive, negatives = scores_with_shared_negatives(
            table, queries, positives, generator, self.num_negatives
        )
        negatives = negatives + math.log(num_items(table) / self.num_negatives)
        partition = torch.cat([positive, negatives], dim=1).logsumexp(dim=1, keepdim=True)
        return (partition - positive).mean()


def _log_partition(table: JPQEmbedding, queries: Tensor) -> Tensor:
    """Return ``log Σ_j exp(s_j)`` over all items. Shape ``(n,)``."""

    def of_block(queries: Tensor, ids: Tensor) -> Tensor:
        return candidate_scores(table, queries, ids).logsumexp(dim=1)

    ids = torch.arange(num_items(table), device=queries.device)
    block = max(1, SCORES_AT_ONCE // len(queries))
    parts = [checkpoint(of_block, queries, part, use_reentrant=False) for part in ids.split(block)]
    return torch.stack(parts).logsumexp(dim=0)
