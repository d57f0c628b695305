"""Sparse graphs and the one product that all graph backbones share."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from urecjpq.data.catalogue import Neighbours
from urecjpq.errors import require
from urecjpq.tables import sparse_csr


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


def neighbour_matrix(neighbours: Neighbours) -> sp.csr_matrix:
    """Return the neighbour lists as a directed graph in which the k edges of an item weigh 1/k.

    Missing neighbours (id −1) are no edges, and the rest of the list shares the weight.
    """
    num_items = len(neighbours.item_ids)
    known = neighbours.item_ids >= 0
    counts = known.sum(axis=1)
    starts = np.concatenate([[0], np.cumsum(counts)])
    weights = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
    columns = neighbours.item_ids[known]
    return sp.csr_matrix((weights, columns, starts), shape=(num_items, num_items))


def blend(
    neighbours: Mapping[str, Neighbours], weights: Mapping[str, float] | None, num_items: int
) -> sp.csr_matrix:
    """Return the weighted sum of the neighbour graphs. Shape ``(num_items, num_items)``.

    Args:
        neighbours: Item graph of each modality, at least one.
        weights: Share of each modality; equal shares if None.
        num_items: Rows that each graph must have.

    Raises:
        InputError: No graph, a graph of other items, or weights for other modalities.
    """
    hint = "Compute them with urecjpq.graphs.neighbours.with_neighbours, or give the card some."
    require(bool(neighbours), "neighbours must hold at least one modality", "none", hint)
    for name, given in neighbours.items():
        rows = len(given.item_ids)
        require(rows == num_items, f"{name} neighbours must have {num_items} rows", rows)
    weights = weights or {name: 1 / len(neighbours) for name in neighbours}
    require(
        weights.keys() == neighbours.keys(),
        f"modality_weights must name the modalities {sorted(neighbours)}",
        sorted(weights),
    )
    return sum(weights[name] * neighbour_matrix(neighbours[name]) for name in sorted(neighbours))


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
