"""Where downloaded and generated files live."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return ``$URECJPQ_HOME`` where it is set, else the user's cache folder of this system."""
    return Path(os.environ.get("URECJPQ_HOME") or platformdirs.user_cache_dir("urecjpq"))
