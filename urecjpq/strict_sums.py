"""The same bits on any number of threads, from Intel's math library too.

torch multiplies matrices with MKL, which on Intel's processors with AVX-512 cuts long sums
differently for one thread and for two, unless its strict mode is asked for before it is first used.
Products of ML-1M's sizes then take between 9 % less and 18 % more time. Elsewhere MKL is left as it
is: on AMD's processors the bits were the same without.
"""

import os
from pathlib import Path

VARIABLE, STRICT = "MKL_CBWR", "AUTO,STRICT"


def ask_for_strict_sums(cpu_info: Path = Path("/proc/cpuinfo")) -> None:
    """Set ``MKL_CBWR`` on Intel's processors, unless it is set; Linux alone tells which one it is.

    Args:
        cpu_info: What the system tells of its processor.
    """
    if cpu_info.is_file() and "GenuineIntel" in cpu_info.read_text():
        os.environ.setdefault(VARIABLE, STRICT)
