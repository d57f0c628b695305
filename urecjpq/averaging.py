"""A moving average of trained values over epochs, validated and kept in place of the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Values = dict[str, Tensor]


def copied(module: nn.Module) -> Values:
    """Return a copy of every value of a module's ``state_dict``."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def averaged(average: Values, module: nn.Module, decay: float) -> Values:
    """Return ``decay · average + (1 − decay) · values``; what is no float (codes) is the last.

    Args:
        average: What an earlier call returned; empty at first, when the values start it.
        module: Holds the values after one more epoch.
        decay: Share of the past, in [0, 1).
    """
    values = copied(module)
    return {
        name: torch.lerp(value, average[name], decay)
        if name in average and value.is_floating_point()
        else value
        for name, value in values.items()
    }


@contextmanager
def holding(module: nn.Module, values: Values) -> Iterator[None]:
    """Give the module other values, and its own back afterwards; none given changes nothing."""
    if not values:
        yield
        return
    own = copied(module)
    module.load_state_dict(values)
    try:
        yield
    finally:
        module.load_state_dict(own)
