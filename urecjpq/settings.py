"""The base of everything that a run is configured with."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Settings(BaseModel):
    """Checked when made and never changed; a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    ADDED: ClassVar[frozenset[str]] = frozenset()
    """Fields of later versions, written only where they are not at their default.

    So what was written without them keeps its digest, and counts as the same settings.
    """

    @model_serializer(mode="wrap")
    def _without_added_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        default = {name for name in self.ADDED if getattr(self, name) == fields[name].default}
        return {name: value for name, value in write(self).items() if name not in default}
