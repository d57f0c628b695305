"""What training, saving and the command line ask of every model, graph or sequence."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from torch import Tensor, nn

from urecjpq.data.catalogue import Catalogue
from urecjpq.tables import JPQEmbedding

Uses = tuple[Literal["features", "neighbours"], ...]


class Batches(Protocol):
    """Batches of an epoch, a pure function of seed and epoch."""

    seed: int

    def __len__(self) -> int:
        """Return the number of batches of an epoch."""
        ...

    def epoch(self, epoch: int) -> Iterator[Any]:
        """Yield the batches of ``epoch``."""
        ...


class Recommender(nn.Module):
    """A model whose scores are products of final vectors, trained on batches of its own kind."""

    USES: ClassVar[Uses] = ()
    """What the constructor takes by keyword beside the tables, each a mapping by modality."""
    VECTORS_NEED_FEATURES: ClassVar[bool] = False
    """Whether final vectors are made of features; a run folder then stores the vectors."""
    TRAINING_ONLY: ClassVar[tuple[str, ...]] = ()
    """Prefixes of values that final vectors do not need."""
    STOP_METRIC: ClassVar[str] = "recall@20"
    """Validation metric that says when to stop, and which values to keep."""
    EXCLUDE: ClassVar[Literal["train", "train+valid", "none"]] = "train"
    """What is never recommended, unless a run says otherwise."""
    BATCH_SIZE: ClassVar[int] = 2048
    """Size of a batch, unless a run says otherwise."""
    FACTORS_RATE: ClassVar[float] = 1e-3
    """Learning rate of tables that start from factors, unless a run says otherwise."""
    FACTORS: ClassVar[Mapping[str, float]] = {}
    """Settings of tables that are made of factors, unless a run says otherwise."""

    def start_epoch(self, rng: np.random.Generator) -> None:
        """Prepare an epoch, with all randomness from ``rng``; most models have nothing to do."""

    def batches(self, catalogue: Catalogue, batch_size: int, seed: int) -> Batches:
        """Return the batches that `loss` takes."""
        raise NotImplementedError

    def loss(self, batch: Any) -> Tensor:
        """Return the loss of a batch. Scalar."""
        raise NotImplementedError

    def vectors_for(self, catalogue: Catalogue, partition: str) -> tuple[Tensor, Tensor]:
        """Return a vector per user and per item that answer for ``partition``.

        A function of the trained values and what is known before ``partition``: training mode and
        random numbers change nothing.
        """
        raise NotImplementedError

    def index_source(self) -> JPQEmbedding | None:
        """Return the item table if it is quantised and its rows are the final item vectors.

        An index may then add sub-scores; with None, it scores final vectors.
        """
        return None
