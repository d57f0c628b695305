"""What a run is made of, checked before anything is computed."""

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, NonNegativeFloat, ValidationError, model_validator

from urecjpq.assignment.factors import POWER, SMOOTHING
from urecjpq.backbones import BackboneConfig
from urecjpq.errors import InputError
from urecjpq.settings import Settings

SCHEMA: Literal[1] = 1


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


class TrainingConfig(Settings):
    """The training loop.

    Args:
        learning_rate: Of Adam. `urecjpq.describe` takes the model's own where none is given and
            tables start from factors.
        batch_size: Triples per step.
        max_epochs: Upper limit.
        patience: Stop after this many epochs without a better validation Recall@20.
        warmup_epochs: Epochs in which the learning rate rises from 0, step by step; 0 for none.
        averaging: In the moving average of trained values over epochs an epoch weighs this times
            as much as the next one, in [0, 1); the average is validated and kept. 0 keeps the
            values of one epoch.
        weight_decay: Share of every trained value that Adam adds to its gradient.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"warmup_epochs", "averaging", "weight_decay"})
    learning_rate: float = Field(default=1e-3, gt=0)
    batch_size: int = Field(default=2048, ge=1)
    max_epochs: int = Field(default=1000, ge=1)
    patience: int = Field(default=20, ge=1)
    warmup_epochs: int = Field(default=0, ge=0)
    averaging: float = Field(default=0, ge=0, lt=1)
    weight_decay: float = Field(default=0, ge=0)


class CatalogueReference(Settings):
    """Which data a run was trained on; equal digests mean comparable results.

    Args:
        digest: Sha256 of ids, pairs and partitions.
        content: Sha256 of the features and neighbours that the backbone uses, by modality.
    """

    name: str
    digest: str
    content: dict[str, str] = {}


class RunConfig(Settings):
    """Everything that decides a run's bits.

    Args:
        name: Runs that differ in the seed alone share it.
        exclude: What is never recommended: items of ``train`` (the rule of the multimodal
            literature) or ``train+valid``; ``none`` where people come back to what they know.
        source: Sha256 of the trained values of another run that this one starts from: that of the
            same seed.
    """

    ADDED: ClassVar[frozenset[str]] = frozenset({"source"})

    schema_version: Literal[1] = Field(SCHEMA, alias="schema")
    version: str
    name: str
    seed: int = Field(ge=0)
    catalogue: CatalogueReference
    backbone: BackboneConfig
    tables: TableConfig
    training: TrainingConfig = TrainingConfig()
    exclude: Literal["train", "train+valid", "none"] = "train"
    source: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _from_a_source(self) -> "RunConfig":
        if (self.tables.start == "trained") != (self.source is not None):
            raise ValueError("source must be given where tables start from trained ones only")
        return self

    @property
    def stores_vectors(self) -> bool:
        """Whether a run folder holds final vectors: the rest of it does not give them."""
        return self.backbone.MODEL.VECTORS_NEED_FEATURES or self.tables.is_compressed

    def to_json(self) -> str:
        """Return the configuration as it is written to ``config.json``."""
        return self.model_dump_json(indent=2, by_alias=True) + "\n"

    @property
    def digest(self) -> str:
        """Sha256 of the configuration: a resumed run must have the same."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


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


def read_config(folder: Path) -> RunConfig:
    """Return the configuration of a run folder.

    Raises:
        InputError: See `parse_config`.
    """
    path = folder / "config.json"
    return parse_config(path.read_text(), str(path))


def parse_config(text: str, source: str) -> RunConfig:
    """Return the configuration in ``text``, or refuse it by the name of its ``source``.

    Raises:
        InputError: Not JSON, a missing or unknown field, or a value out of range.
    """
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        raise refuse_field(error, source) from None


def refuse_field(error: ValidationError, source: str) -> InputError:
    """Return the first thing that pydantic found wrong in ``source``, as one line."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"])) or "all of it"
    message = first["msg"].removeprefix("Value error, ")
    found = "" if isinstance(first["input"], dict) else f"; got {first['input']!r}"
    return InputError(f"{source}: {field}: {message}{found}.")
