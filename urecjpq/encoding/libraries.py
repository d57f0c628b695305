"""Import what only some encoders need, late, and say what to install where it is missing."""

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

import torch

from urecjpq.errors import InputError

# A definition lives as long as its Library object.
_SCHEMAS: list[torch.library.Library] = []


def import_library(module: str, extra: str, encoder: str) -> ModuleType:
    """Return a module of a package that an extra of urecjpq installs.

    Args:
        module: E.g. ``open_clip``.
        extra: E.g. ``clip``.
        encoder: Name of the card that needs it, for the message.

    Raises:
        InputError: It is not installed; the message has the command.
    """
    if find_spec(module) is None:
        raise InputError(
            f'{module} is needed for the encoder {encoder}; pip install "urecjpq[{extra}]".'
        )
    mend_torchvision()
    return importlib.import_module(module)


def mend_torchvision() -> None:
    """Let torchvision be imported beside a torch that its compiled part was not built for.

    The package index's torchvision is built for CUDA. Beside a CPU build of torch its compiled
    part does not load, and the import fails on two operators whose schemas are then unknown; with
    them defined, all that is not compiled works. open_clip and transformers ask for no more.
    """
    if find_spec("torchvision") is None:
        return
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _SCHEMAS.append(library)
        importlib.import_module("torchvision")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what libraries log while they make a network whose weights are loaded by us."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
