"""A moving average of trained values over epochs, validated and kept in place of the last ones."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Values = dict[str, Tensor]


def copied(module: nn.Module) -> Values:
    """Return a copy of every value of a module's ``state_dict``."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def past_share(decay: float, epoch: int) -> float:
    """Return the share that the average of earlier epochs has in that of ``epoch``, from 1.

    It rises from 0 to ``decay``, so that the weights of all epochs stay in the ratio ``decay``, as
    in Adam (Kingma & Ba, arXiv:1412.6980): with the same share from the start, the values of the
    first epoch, which has learned least, would weigh most for many epochs.
    """
    return decay * (1 - decay ** (epoch - 1)) / (1 - decay**epoch)


def averaged(average: Values, module: nn.Module, share: float) -> Values:
    """Return ``share · average + (1 − share) · values``; what is no float (codes) is the last.

    Args:
        average: What an earlier call returned; empty at first, when the values start it.
        module: Holds the values after one more epoch.
        share: Of the average, see `past_share`.
    """
    values = copied(module)
    return {
        name: torch.lerp(value, average[name], share)
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
