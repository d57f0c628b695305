"""Sparse tensors without torch's warning about their state."""

import warnings

from torch import Tensor, sparse_csr_tensor


def sparse_csr(
    starts: Tensor, columns: Tensor, values: Tensor, size: tuple[int, int], *, check: bool = True
) -> Tensor:
    """Return a sparse CSR tensor, its invariants checked, without torch's beta-state warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return sparse_csr_tensor(starts, columns, values, size=size, check_invariants=check).to(
            starts.device
        )
