import subprocess
import sys

import pytest

from urecjpq.memory import CLEAR

MEGABYTE = 1_000_000
# In a process of its own: one that has held gigabytes may hand out pages that it still has.
HELD = """
import sys
import numpy as np
from urecjpq.memory import peak_memory, reset_peak
for megabytes in map(int, sys.argv[1:]):
    reset_peak()
    values = np.ones(megabytes * 1_000_000, dtype=np.uint8)
    del values
    print(peak_memory()["peak_resident_bytes"])
"""


def held(*megabytes):
    command = [sys.executable, "-c", HELD, *map(str, megabytes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return map(int, done.stdout.split())


def test_the_peak_is_seen_after_the_memory_is_free_again():
    small, large = held(1, 300)
    assert 250 * MEGABYTE < large - small < 350 * MEGABYTE


@pytest.mark.skipif(not CLEAR.exists(), reason="needs /proc/self/clear_refs, as Linux has it")
def test_each_stretch_of_work_has_its_own_peak():
    large, small = held(300, 1)
    assert 250 * MEGABYTE < large - small < 350 * MEGABYTE
