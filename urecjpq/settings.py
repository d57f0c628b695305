"""The base of everything that a run is configured with."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Checked when made and never changed; a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
