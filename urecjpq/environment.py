"""What a result was measured with."""

import hashlib
import importlib.metadata
import platform
from pathlib import Path

PACKAGES = ("urecjpq", "torch", "numpy", "scipy")
DECISIVE = (
    "assignment/*.py",
    "graphs/*.py",
    "sequential/*.py",
    "index/dense.py",
    *(
        f"{module}.py"
        for module in (
            "averaging build centroids checkpoint config evaluation experiment feature_codes files "
            "list_metrics losses metrics quantised_runs quotient_remainder recommender sampling "
            "saving sparse starts table_config tables trained training"
        ).split()
    ),
)
"""The files of the package that decide the bits of a run, given its data."""


def environment() -> dict[str, str]:
    """Return versions and processor, as results carry them."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "cpu": processor(),
        "code": code_digest(),
    }


def code_digest() -> str:
    """Return the sha256 of the `DECISIVE` files: equal ones give equal runs."""
    root = Path(__file__).parent
    sha = hashlib.sha256()
    for path in sorted(path for pattern in DECISIVE for path in root.glob(pattern)):
        sha.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return sha.hexdigest()


def processor() -> str:
    """Return the processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
