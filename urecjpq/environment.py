"""What a result was measured with."""

import importlib.metadata
import platform
from pathlib import Path

PACKAGES = ("urecjpq", "torch", "numpy", "scipy")


def environment() -> dict[str, str]:
    """Return versions and processor, as results carry them."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **versions, "cpu": processor()}


def processor() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
