import numpy as np
import pytest

from urecjpq.memory import CLEAR, peak_memory, reset_peak

MEGABYTE = 1_000_000


def held(megabytes):
    reset_peak()
    values = np.ones(megabytes * MEGABYTE, dtype=np.uint8)
    del values
    return peak_memory()["peak_resident_bytes"]


def test_the_peak_is_seen_after_the_memory_is_free_again():
    small, large = held(1), held(300)
    assert 250 * MEGABYTE < large - small < 350 * MEGABYTE


@pytest.mark.skipif(not CLEAR.exists(), reason="needs /proc/self/clear_refs, as Linux has it")
def test_each_stretch_of_work_has_its_own_peak():
    large, small = held(300), held(1)
    assert 250 * MEGABYTE < large - small < 350 * MEGABYTE
