"""The most memory that a stretch of work holds: resident in the process, allocated on a GPU."""

import sys
from pathlib import Path

import torch

CLEAR = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


def reset_peak() -> None:
    """Let `peak_memory` count from now on, where the system can: Linux and CUDA.

    Elsewhere the peak is that of the whole process so far, and so an upper bound.
    """
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()
    try:
        CLEAR.write_text("5")  # 5 is the peak resident size alone, see proc(5)
    except OSError:
        pass


def peak_memory() -> dict[str, int]:
    """Return the most bytes held since `reset_peak`: what is not known is left out.

    ``peak_resident_bytes`` is the whole process, data and libraries included;
    ``peak_allocated_bytes`` is what torch's tensors took on the GPU, where one is in use.
    """
    peaks = {}
    resident = _peak_resident()
    if resident is not None:
        peaks["peak_resident_bytes"] = resident
    if torch.cuda.is_initialized():
        peaks["peak_allocated_bytes"] = torch.cuda.max_memory_allocated()
    return peaks


def _peak_resident() -> int | None:
    if STATUS.exists():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
