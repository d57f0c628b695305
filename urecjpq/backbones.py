"""The settings of every model by its name: graphs over users and items, and sequences."""

from typing import Annotated

from pydantic import Field

from urecjpq.graphs import BACKBONES as GRAPH_BACKBONES
from urecjpq.graphs import BackboneConfig as GraphConfig
from urecjpq.graphs.backbone import BackboneSettings
from urecjpq.sequential import SEQUENTIAL_BACKBONES, SequentialConfig
from urecjpq.sequential.backbone import SequentialSettings

BackboneConfig = Annotated[GraphConfig | SequentialConfig, Field(discriminator="name")]

BACKBONES: dict[str, type[BackboneSettings] | type[SequentialSettings]] = {
    **GRAPH_BACKBONES,
    **SEQUENTIAL_BACKBONES,
}
"""``MODEL`` of the settings is the class."""
