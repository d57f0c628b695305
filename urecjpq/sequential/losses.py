"""The losses that a sequential model can be trained with.

A loss is its own setting: ``SampledSoftmax(num_negatives=256)`` is checked when made, stands in a
run's configuration, and is called with the vectors of all positions that are not padding.
"""

from typing import Annotated

from pydantic import Field

from urecjpq.sequential.binary_losses import BCE as BCE
from urecjpq.sequential.binary_losses import GBCE as GBCE
from urecjpq.sequential.lambda_rank import LambdaRank as LambdaRank
from urecjpq.sequential.loss import Loss as Loss
from urecjpq.sequential.softmax_losses import SampledSoftmax as SampledSoftmax
from urecjpq.sequential.softmax_losses import Softmax as Softmax

LossSettings = Annotated[
    BCE | GBCE | Softmax | SampledSoftmax | LambdaRank, Field(discriminator="name")
]
"""Any loss, as a configuration names it."""
