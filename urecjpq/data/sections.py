"""The sections of a data set card, each checked by itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from urecjpq.data.raw import EVENTS, ITEMS


def _inside(file: str) -> str:
    """A card may come from anywhere: what it names must stay in its data folder."""
    path = Path(file)
    if not file or path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path inside the data folder")
    return file


DataFile = Annotated[str, AfterValidator(_inside)]
Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A part of a card; unknown keys are refused, so that a typing error is not a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Files(Section):
    """Files of the data folder. The maps are those of `read_mmrec`, ``items`` of `with_items`."""

    interactions: DataFile
    user_map: DataFile | None = None
    item_map: DataFile | None = None
    items: DataFile | None = None


class Columns(Section):
    """Names of columns: the first five for ``reader = "table"``, the others for ``files.items``."""

    user: str = "user"
    item: str = "item"
    timestamp: str | None = None
    rating: str | None = None
    partition: str | None = None
    item_id: str = "item_id"
    title: str | None = None
    text: str | None = None
    image: str | None = None


class Filter(Section):
    """Arguments of `filter_k_core`, applied before the partition is drawn."""

    k_users: Count = 0
    k_items: Count = 0


class Partition(Section):
    """Which rule draws the partitions, and its arguments; ``given`` takes those of the file."""

    method: Literal["given", "leave_one_out", "random_per_user", "by_time"]
    valid: Share = 0.1
    test: Share = 0.1
    seed: Count = 0
    drop_untrained: bool = False
    validation_users: Annotated[int, Field(ge=1)] | None = None


class Expected(Section):
    """What `Catalogue.counts` must say once the card is loaded; None is not checked."""

    users: Count | None = None
    items: Count | None = None
    interactions: Count | None = None
    train: Count | None = None
    valid: Count | None = None
    test: Count | None = None


class Generator(Section):
    """Arguments of `generate_toy_shop`."""

    num_users: Count
    num_items: Count
    num_interactions: Count
    taste_strength: float
    seed: Count


class RawFile(Section):
    """A file of the publisher: where it is, and its size and sum where they are known."""

    url: str = Field(pattern="^https?://[^ ]+$")
    num_bytes: Count | None = None
    sha256: Sha256 | None = None


class Raw(Section):
    """What `urecjpq.data.preparation` needs to make a catalogue from a publisher's raw files.

    Args:
        events: Reader of interactions, a key of `urecjpq.data.raw.EVENTS`.
        items: Reader of what items are, a key of `urecjpq.data.raw.ITEMS`; None for nothing.
        text: Fields of the metadata that make an item's text, in this order.
        repeats: ``first`` keeps the earliest interaction of a pair, ``keep`` all of them.
        files: File by the role that the readers ask for. In addresses ``{category}`` stands for
            the publisher's name of a category.
        item_roles: Roles of the files that only ``items`` reads.
    """

    events: str
    items: str | None = None
    text: list[str] = ["title"]
    repeats: Literal["first", "keep"] = "first"
    files: dict[str, RawFile] = Field(min_length=1)
    item_roles: list[str] = []

    @model_validator(mode="after")
    def _known(self) -> "Raw":
        if self.events not in EVENTS:
            raise ValueError(f"events must be one of {', '.join(EVENTS)}; got {self.events!r}")
        if self.items is not None and self.items not in ITEMS:
            raise ValueError(f"items must be one of {', '.join(ITEMS)}; got {self.items!r}")
        if unknown := set(self.item_roles) - set(self.files):
            raise ValueError(f"item_roles must name files; got {sorted(unknown)}")
        return self


class Category(Section):
    """A part of a data set that stands by itself, and the counts it must have."""

    name: str
    users: Count | None = None
    items: Count | None = None
    interactions: Count | None = None
