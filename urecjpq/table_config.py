"""How tables are stored, and the kinds of them that recipes compare."""

from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, model_validator

from urecjpq.assignment.factors import POWER, SMOOTHING
from urecjpq.settings import Settings


class TableConfig(Settings):
    """How the user and the item table are stored.

    Args:
        kind: ``full``, ``quotient_remainder`` or ``jpq``; ``rounded`` and ``pruned`` are made of
            trained full tables by `urecjpq.opponents`.
        strategy: How ``jpq`` codes are assigned; ``trained`` ones are those of a trained full
            table, see `urecjpq.quantise_run`.
        start: ``random``, or ``factors``: the factors of the normalised user–item matrix (full) or
            their k-means centroids (jpq with the strategy kmeans); ``trained`` with that strategy.
        embedding_dim: ``d``.
        code_length: ``m``, divides ``embedding_dim``.
        codebook_size: ``b``.
        power: Exponent of the singular values in the factors.
        smoothing: Interactions added to every degree before factors are taken.
        start_norm: Root mean square length of a row at the start, random or not.
        centroid_dtype: How trained centroids are stored; evaluation uses the stored values.
        sides: Whose table ``jpq`` quantises; the other one is full, with the same start.
        centroids: Whether users and items have centroids of their own, or one set for both.
        bits: Of a number in ``rounded`` tables.
        window: Of sequential models: factors are those of items at most so many places apart in a
            history, see `urecjpq.assignment.nearby_pairs`; 0 for those of user–item pairs.
            `urecjpq.describe` takes the model's own where none is given.
        spread: Of models with users: what an interaction hands on to neighbours of its item before
            factors are taken, see `urecjpq.assignment.spread_pairs`; by modality, or one number
            that they share equally, 0 for nothing.
        weight_power: Exponent of an item's interactions in its weight in k-means; 0 for all items
            alike, see `urecjpq.assignment.interaction_weights`. Users are all alike.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset(
        {"sides", "centroids", "bits", "window", "spread", "weight_power"}
    )

    kind: Literal["full", "quotient_remainder", "jpq", "rounded", "pruned"] = "full"
    strategy: Literal["random", "svd", "bpr", "kmeans", "trained"] | None = None
    start: Literal["random", "factors", "trained"] = "random"
    embedding_dim: int = Field(default=64, ge=1)
    code_length: int = Field(default=8, ge=1, le=256)
    codebook_size: int = Field(default=256, ge=1)
    power: float = Field(default=POWER, ge=0)
    smoothing: float = Field(default=SMOOTHING, ge=0)
    start_norm: float = Field(default=0.1, gt=0)
    centroid_dtype: Literal["float32", "float16", "int8"] = "float32"
    sides: Literal["both", "users", "items"] = "both"
    centroids: Literal["separate", "shared"] = "separate"
    bits: Literal[4, 8] | None = None
    window: int = Field(default=0, ge=0)
    spread: NonNegativeFloat | dict[str, NonNegativeFloat] = 0.0
    weight_power: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "TableConfig":
        if (self.kind == "jpq") != (self.strategy is not None):
            raise ValueError("strategy must be given for kind jpq, and for no other kind")
        if self.kind == "jpq" and self.embedding_dim % self.code_length:
            raise ValueError(
                f"embedding_dim must be a multiple of the code length {self.code_length}; "
                f"got {self.embedding_dim}"
            )
        if (self.kind == "rounded") != (self.bits is not None):
            raise ValueError("bits must be given for kind rounded, and for no other kind")
        starts_full = self.kind == "full" or self.is_compressed
        if self.start == "factors" and not (starts_full or self.strategy == "kmeans"):
            raise ValueError("start must be random unless kind is full or strategy is kmeans")
        if (self.strategy == "trained") != (self.start == "trained"):
            raise ValueError("strategy and start must both be trained, or neither")
        if self.kind != "jpq" and (self.sides, self.centroids) != ("both", "separate"):
            raise ValueError("sides and centroids must be left alone unless kind is jpq")
        if self.sides != "both" and self.centroids == "shared":
            raise ValueError("centroids must be separate unless sides is both")
        if self.window and not self.uses_factors:
            raise ValueError("window must be 0 unless start is factors or strategy is kmeans")
        if self.spread and not self.uses_factors:
            raise ValueError("spread must be 0 unless start is factors or strategy is kmeans")
        if self.weight_power and self.strategy not in ("kmeans", "trained"):
            raise ValueError("weight_power must be 0 unless strategy is kmeans or trained")
        return self

    def of(self, side: str) -> "TableConfig":
        """Return the settings of the table of one side, ``users`` or ``items``."""
        if self.sides in ("both", side):
            return self
        full = {"kind": "full", "strategy": None, "sides": "both"}
        return self.model_copy(update=full)

    @property
    def is_compressed(self) -> bool:
        """Whether the tables were made of trained full ones."""
        return self.kind in ("rounded", "pruned")

    @property
    def uses_factors(self) -> bool:
        """Whether factors of user–item pairs, or of nearby items, are needed."""
        return self.start == "factors" or self.strategy == "kmeans"


TABLES = {
    "full": TableConfig(),
    "full-factors": TableConfig(start="factors"),
    "quotient-remainder": TableConfig(kind="quotient_remainder"),
    "jpq-random": TableConfig(kind="jpq", strategy="random"),
    "jpq-svd": TableConfig(kind="jpq", strategy="svd"),
    "jpq-bpr": TableConfig(kind="jpq", strategy="bpr"),
    "jpq-kmeans": TableConfig(kind="jpq", strategy="kmeans", start="factors"),
    "full-spread": TableConfig(start="factors", spread=0.5),
    "jpq-spread": TableConfig(kind="jpq", strategy="kmeans", start="factors", spread=0.5),
}
"""The tables that recipes compare, by the name they carry in run folders and reports."""
