import numpy as np
import pytest
from scipy.sparse import csr_matrix


@pytest.fixture(scope="session")
def lanczos_matrix():
    """Too large on both sides for the exact path; four tastes and Zipf popularity."""
    rng = np.random.default_rng(1)
    users = rng.integers(1800, size=40_000)
    items = (rng.zipf(1.3, size=40_000) * 4 + users % 4) % 1200
    ones = np.ones(40_000, dtype=np.float32)
    matrix = csr_matrix((ones, (users, items)), shape=(1800, 1210))
    matrix.data[:] = 1
    return matrix
