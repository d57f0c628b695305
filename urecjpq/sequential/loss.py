"""What every loss over the items of a catalogue has, and the negatives that some draw."""

from abc import abstractmethod

import torch
from torch import Tensor

from urecjpq.sequential.scores import candidate_scores, num_items
from urecjpq.settings import Settings
from urecjpq.tables import Table


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


def scores_with_shared_negatives(
    table: Table,
    queries: Tensor,
    positives: Tensor,
    generator: torch.Generator,
    num_negatives: int,
) -> tuple[Tensor, Tensor]:
    """Return positive scores ``(n, 1)`` and negative ones ``(n, k)``, -inf where both are one item.

    One uniform sample serves all positions.
    """
    negatives = draw(table, (num_negatives,), generator).to(positives.device)
    positives = positives.unsqueeze(1)
    positive = candidate_scores(table, queries, positives)
    negative = candidate_scores(table, queries, negatives)
    return positive, negative.masked_fill(positives == negatives, -torch.inf)


def draw(table: Table, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return items drawn uniformly, with replacement."""
    return torch.randint(num_items(table), shape, generator=generator, device=generator.device)
