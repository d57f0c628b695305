"""What a run is made of, checked before anything is computed."""

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from urecjpq.backbones import BackboneConfig
from urecjpq.errors import InputError
from urecjpq.settings import Settings
from urecjpq.table_config import TableConfig

SCHEMA: Literal[1] = 1


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
