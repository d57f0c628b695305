"""One process at a time works on a run folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from urecjpq.errors import InputError

LOCK = ".lock"


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Refuse a folder that another process works on, and hold it meanwhile.

    Two that train the same run would write one history and one checkpoint in turns. A process that
    is killed lets go of the folder; the file that it leaves means nothing.

    Args:
        folder: Exists.

    Raises:
        InputError: Another process holds it.
    """
    try:
        held = filelock.FileLock(folder / LOCK).acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(
            f"{folder} must be worked on by one process at a time; got a second one. "
            "Wait for the first to end, or choose another folder."
        ) from None
    with held:
        yield
    (folder / LOCK).unlink(missing_ok=True)
