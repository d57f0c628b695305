"""One thread and fixed seeds for every test."""

import random

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _reproducible():
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - for libraries that still draw from the global state
