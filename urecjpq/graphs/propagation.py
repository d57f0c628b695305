"""Sparse graphs and the one product that all graph backbones share."""

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from urecjpq.sparse import sparse_csr


class Graph(nn.Module):
    """A constant sparse matrix; calling it multiplies, differentiably in the dense side only.

    Args:
        matrix: Shape ``(rows, columns)``.
        symmetric: True if ``matrix`` equals its transpose, which is then not stored again.
    """

    matrix: Tensor
    transpose: Tensor

    def __init__(self, matrix: sp.csr_matrix, *, symmetric: bool = False) -> None:
        super().__init__()
        tensor = _to_torch(matrix)
        self.register_buffer("matrix", tensor, persistent=False)
        transpose = tensor if symmetric else _to_torch(matrix.T.tocsr())
        self.register_buffer("transpose", transpose, persistent=False)

    def forward(self, dense: Tensor) -> Tensor:
        """Return ``matrix @ dense``. Shape ``(rows, d)``."""
        return _Product.apply(dense, self.matrix, self.transpose)


class _Product(torch.autograd.Function):
    """Sparse–dense product whose matrix has no gradient.

    torch's own backward of a CSR product transposes the matrix in every step; here the transpose
    is given. Each row is summed by one thread, so the bits do not depend on the thread count.
    """

    @staticmethod
    def forward(ctx, dense: Tensor, matrix: Tensor, transpose: Tensor) -> Tensor:
        ctx.transpose = transpose
        return matrix @ dense

    @staticmethod
    def backward(ctx, *grads: Tensor):
        return ctx.transpose @ grads[0], None, None


def _to_torch(matrix: sp.csr_matrix) -> Tensor:
    matrix = matrix.sorted_indices().astype(np.float32)
    starts, columns = (
        torch.from_numpy(a.astype(np.int32)) for a in (matrix.indptr, matrix.indices)
    )
    return sparse_csr(starts, columns, torch.from_numpy(matrix.data), matrix.shape)


def normalise_symmetrically(interactions: sp.csr_matrix) -> sp.csr_matrix:
    """Return ``D_u^-½ R D_i^-½``; rows and columns without interactions stay zero."""
    users, items = (np.asarray(interactions.sum(axis)).ravel() for axis in (1, 0))
    with np.errstate(divide="ignore"):
        scales = [np.where(degree > 0, degree**-0.5, 0.0) for degree in (users, items)]
    return (sp.diags_array(scales[0]) @ interactions @ sp.diags_array(scales[1])).tocsr()


def bipartite_graph(interactions: sp.csr_matrix) -> Graph:
    """Return the symmetrically normalised graph of users (first) and items.

    Args:
        interactions: Shape ``(num_users, num_items)``.

    Returns:
        Matrix of shape ``(num_users + num_items, num_users + num_items)``.

    Source: He et al., LightGCN, SIGIR 2020 (arXiv:2002.02126), equation 3.
    """
    normalised = normalise_symmetrically(interactions)
    both = sp.bmat([[None, normalised], [normalised.T, None]], format="csr")
    return Graph(both, symmetric=True)


def mean_graph(interactions: sp.csr_matrix, *, self_loops: bool = False) -> Graph:
    """Return the graph in which each user and each item takes the mean of what it is tied to.

    Args:
        interactions: Shape ``(num_users, num_items)``.
        self_loops: Whether each is tied to itself, too.

    Returns:
        ``D^-1 A`` or ``(D + I)^-1 (A + I)``, users first; rows without ties are zero.
    """
    both = sp.bmat([[None, interactions], [interactions.T, None]], format="csr")
    both = both + sp.eye_array(both.shape[0], dtype=np.float32) if self_loops else both
    degrees = np.asarray(both.sum(axis=1)).ravel()
    return Graph((sp.diags_array(1 / np.maximum(degrees, 1)) @ both).tocsr())


def layer_mean(graph: Graph, vectors: Tensor, num_layers: int) -> Tensor:
    """Return the mean of ``vectors`` and its first propagations ``Â vectors … Â^L vectors``.

    Args:
        graph: ``Â``, shape ``(n, n)``.
        vectors: Shape ``(n, d)``.
        num_layers: ``L``.
    """
    return _LayerMean.apply(vectors, graph.matrix, graph.transpose, num_layers)


class _LayerMean(torch.autograd.Function):
    """``(x + Âx + … + Â^L x) / (L + 1)`` by Horner's rule, ``y ← x + Ây``: L fused products.

    The map is linear: its backward pass is the same rule with the transpose, and nothing need be
    kept from the forward pass.
    """

    @staticmethod
    def forward(ctx, vectors: Tensor, matrix: Tensor, transpose: Tensor, num_layers: int) -> Tensor:
        ctx.transpose, ctx.num_layers = transpose, num_layers
        return _horner(matrix, vectors, num_layers)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        return _horner(ctx.transpose, grads[0], ctx.num_layers), None, None, None


def _horner(matrix: Tensor, vectors: Tensor, num_layers: int) -> Tensor:
    start = total = vectors / (num_layers + 1)
    for _ in range(num_layers):
        total = torch.addmm(start, matrix, total)
    return total
