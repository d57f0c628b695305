"""Edges whose weights are computed, and change from step to step: attention and refined graphs.

Products here have gradients in weights and vectors, are sparse products in both directions, and
sum each row in one thread: the bits do not depend on the thread count. torch_geometric's message
passing computes the same with scattered sums; tests/parity compares.
"""

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from urecjpq.sparse import sparse_csr


class Edges(nn.Module):
    """Which cells of a sparse matrix are there; weights come with each call, row by row.

    Args:
        pattern: Shape ``(rows, columns)``; the values do not matter.
    """

    starts: Tensor
    rows: Tensor
    columns: Tensor
    transposed_starts: Tensor
    transposed_columns: Tensor
    order: Tensor

    def __init__(self, pattern: sp.csr_matrix) -> None:
        super().__init__()
        pattern = pattern.sorted_indices()
        self.shape: tuple[int, int] = pattern.shape
        numbers = np.arange(1, pattern.nnz + 1)  # from 1, since zeros are dropped
        numbered = sp.csr_matrix((numbers, pattern.indices, pattern.indptr), shape=self.shape)
        transposed = numbered.T.tocsr().sorted_indices()
        rows = np.repeat(np.arange(self.shape[0]), np.diff(pattern.indptr))
        for name, array, dtype in (
            ("starts", pattern.indptr, np.int32),
            ("columns", pattern.indices, np.int32),
            ("transposed_starts", transposed.indptr, np.int32),
            ("transposed_columns", transposed.indices, np.int32),
            ("rows", rows, np.int64),
            ("order", transposed.data - 1, np.int64),
        ):
            self.register_buffer(name, torch.from_numpy(array.astype(dtype)), persistent=False)

    def __len__(self) -> int:
        return len(self.columns)

    def product(self, weights: Tensor, vectors: Tensor) -> Tensor:
        """Return the weighted sums of ``vectors`` over the edges of each row.

        Args:
            weights: Shape ``(num_edges,)``.
            vectors: Shape ``(columns, d)``.

        Returns:
            Shape ``(rows, d)``.
        """
        return _Product.apply(weights, vectors, self)

    def dot(self, left: Tensor, right: Tensor) -> Tensor:
        """Return ``left[row] · right[column]`` for each edge. Shape ``(num_edges,)``.

        Args:
            left: Shape ``(rows, d)``.
            right: Shape ``(columns, d)``.
        """
        return _Dot.apply(left, right, self)

    def softmax(self, logits: Tensor) -> Tensor:
        """Return the softmax of ``logits`` over the edges of each row. Shape ``(num_edges,)``."""
        return _Softmax.apply(logits, self)

    def reduce(self, values: Tensor, how: str) -> Tensor:
        """Return the sum or the max of edge values in each row, without gradient."""
        return torch.segment_reduce(values, how, offsets=self.starts.long())

    def matrix(self, weights: Tensor) -> Tensor:
        """Return the sparse matrix with these weights."""
        return sparse_csr(self.starts, self.columns, weights, self.shape, check=False)

    def transpose(self, weights: Tensor) -> Tensor:
        """Return its transpose."""
        starts, columns = self.transposed_starts, self.transposed_columns
        shape = self.shape[1], self.shape[0]
        return sparse_csr(starts, columns, weights[self.order], shape, check=False)

    def gather(self, left: Tensor, right: Tensor) -> Tensor:
        """Return `dot` without gradient."""
        # Rows gathered and multiplied take 60 times as long: 119,082 edges, d = 64, one thread.
        zeros = self.matrix(left.new_zeros(len(self)))
        return torch.sparse.sampled_addmm(zeros, left, right.T, beta=0).values()


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights: Tensor, vectors: Tensor, edges: Edges) -> Tensor:
        ctx.save_for_backward(weights, vectors)
        ctx.edges = edges
        return edges.matrix(weights) @ vectors

    @staticmethod
    def backward(ctx, *grads: Tensor):
        weights, vectors = ctx.saved_tensors
        edges, grad = ctx.edges, grads[0].contiguous()
        of_weights = edges.gather(grad, vectors) if ctx.needs_input_grad[0] else None
        of_vectors = edges.transpose(weights) @ grad if ctx.needs_input_grad[1] else None
        return of_weights, of_vectors, None


class _Dot(torch.autograd.Function):
    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, edges: Edges) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.edges = edges
        return edges.gather(left, right)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        left, right = ctx.saved_tensors
        return ctx.edges.matrix(grads[0]) @ right, ctx.edges.transpose(grads[0]) @ left, None


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, edges: Edges) -> Tensor:
        raised = (logits - edges.reduce(logits, "max")[edges.rows]).exp()
        shares = raised / edges.reduce(raised, "sum")[edges.rows]
        ctx.save_for_backward(shares)
        ctx.edges = edges
        return shares

    @staticmethod
    def backward(ctx, *grads: Tensor):
        (shares,) = ctx.saved_tensors
        weighted = shares * grads[0]
        return weighted - shares * ctx.edges.reduce(weighted, "sum")[ctx.edges.rows], None
