"""Sequential backbones: each takes its item table as an argument, and there is no user table.

Adding one: a file with the model and its settings, and a line here in each of two places.

- The model is a `SequentialBackbone`, or a `CausalBackbone` if it learns to name the next item at
  every position (backbone.py says what each must have). Its constructor takes the item table and by
  keyword ``max_length``, ``tied``, ``loss`` and its hyper-parameters.
- Its settings are a `SequentialSettings` with the same hyper-parameters and defaults, a ``name``
  and ``MODEL``.
- Padding must change nothing: `Packing` leaves it out.

tests/contracts/test_sequential.py runs over every model that is registered here.
"""

from typing import Annotated, get_args

from pydantic import Field

from urecjpq.sequential.backbone import SequentialBackbone as SequentialBackbone
from urecjpq.sequential.backbone import SequentialSettings
from urecjpq.sequential.bert4rec import BERT4Rec as BERT4Rec
from urecjpq.sequential.bert4rec import BERT4RecConfig as BERT4RecConfig
from urecjpq.sequential.gru4rec import GRU4Rec as GRU4Rec
from urecjpq.sequential.gru4rec import GRU4RecConfig as GRU4RecConfig
from urecjpq.sequential.sasrec import GSASRecConfig as GSASRecConfig
from urecjpq.sequential.sasrec import SASRec as SASRec
from urecjpq.sequential.sasrec import SASRecConfig as SASRecConfig

SequentialConfig = Annotated[
    SASRecConfig | GSASRecConfig | BERT4RecConfig | GRU4RecConfig, Field(discriminator="name")
]

_SETTINGS: tuple[type[SequentialSettings], ...] = get_args(get_args(SequentialConfig)[0])
SEQUENTIAL_BACKBONES = {each.model_fields["name"].default: each for each in _SETTINGS}
"""The settings of every sequential backbone by its name; ``MODEL`` of the settings is the class."""
