"""The number of threads changes no bit, and importing the room stays cheap."""

import os
import subprocess
import sys

import numpy as np
import pytest

from urecjpq.assignment import lanczos, normalised_factors

DIGESTS = """
import hashlib, sys
import numpy as np
from scipy.sparse import csr_matrix
from urecjpq import assignment

rng = np.random.default_rng(0)
users, items = rng.integers(2500, size=250_000), rng.integers(1500, size=250_000)
matrix = csr_matrix((np.ones(250_000, np.float32), (users, items)), shape=(2500, 1500))
for codes, centroids in (
    assignment.assign_by_random(1500, 4),
    assignment.assign_by_svd(matrix, 4),
    assignment.assign_by_bpr(matrix, 4, epochs=1),
    assignment.assign_by_kmeans(matrix, 4, 64, embedding_dim=16),
):
    parts = [codes] if centroids is None else [codes, centroids]
    print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""


def digests(threads):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    command = [sys.executable, "-c", DIGESTS]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_one_and_two_threads_give_the_same_bits():
    one = digests(1)
    assert len(set(one)) == 4
    assert digests(2) == one


@pytest.mark.parametrize("cores", [2, 3])
def test_row_slices_give_the_same_bits(cores, monkeypatch, lanczos_matrix):
    monkeypatch.setattr(lanczos, "PARALLEL_PAIRS", 1000)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    whole = normalised_factors(lanczos_matrix, 8)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    sliced = normalised_factors(lanczos_matrix, 8)
    for one, other in zip(whole, sliced, strict=True):
        np.testing.assert_array_equal(one, other)


def test_importing_the_room_loads_no_learning_library():
    command = "import sys, urecjpq.assignment; print('sklearn' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"
