"""Helpers of the tests, here because importlib mode does not let tests import each other."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def shared_data() -> Path:
    """Return the folder of real data sets, or skip the test where there is none."""
    named = os.environ.get("URECJPQ_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        import pytest

        pytest.skip(f"no real data sets at {folder}; set URECJPQ_SHARED_DATA")
    return folder
