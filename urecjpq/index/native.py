"""The compiled kernels where there are any, and which path of them to take."""

import functools
import os
import warnings
from types import ModuleType

from urecjpq.errors import require

REFERENCE = "reference"
VARIABLE = "URECJPQ_SIMD"


@functools.cache
def kernels() -> ModuleType | None:
    """Return the compiled module, or None, with one warning, where it was not built."""
    try:
        from urecjpq.index import _kernels  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError:
        warnings.warn(
            "urecjpq.index runs without its compiled kernels: the same answers, many times slower. "
            "Install a C++ compiler, then urecjpq again.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return _kernels


@functools.cache
def paths() -> tuple[str, ...]:
    """Return the paths that this machine can run, best first; the reference runs everywhere."""
    module = kernels()
    return (*(module.simd_paths() if module else ()), REFERENCE)


def path() -> str:
    """Return the path to take: the best one, or what the variable URECJPQ_SIMD says.

    Raises:
        InputError: The variable names a path that this machine cannot run.
    """
    forced = os.environ.get(VARIABLE)
    if forced is None:
        return paths()[0]
    if forced == REFERENCE:
        return REFERENCE
    rule = f"{VARIABLE} must be one of {', '.join(paths())} on this machine"
    require(forced in paths(), rule, repr(forced))
    return forced
