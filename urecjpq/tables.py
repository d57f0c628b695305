"""Embedding tables stored as codes and shared centroids, drop-in for ``torch.nn.Embedding``."""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from urecjpq.assignment.assignment import code_dtype
from urecjpq.errors import require
from urecjpq.pretrained import Pretrained
from urecjpq.sparse import sparse_csr


class JPQEmbedding(Pretrained, nn.Module):
    """Embedding table in which a row is ``m`` sub-ids instead of ``d`` floats.

    Row ``i`` joins one centroid per split, ``e_i = [ψ_1[g_i1]; …; ψ_m[g_im]]``. The codes ``g``
    are given, the centroids ``ψ`` are trained, and the full table is never a parameter.

    Args:
        codes: Sub-ids, shape ``(num_rows, m)``, each in ``[0, codebook_size)``.
        embedding_dim: ``d``, a multiple of ``m``.
        codebook_size: ``b``, centroids per split; up to 256, a sub-id takes one byte.
        centroids: Values to start from, shape ``(m, b, d/m)``; drawn at random if None.
        special_tokens: Rows of their own after the coded ones (padding, mask), outside the codes.
        padding_idx: Row that is zero and never trained, whatever its code, as in ``nn.Embedding``.
            `score_table` knows codes alone; `TopKIndex.from_table` leaves the row out.

    Raises:
        InputError: ``d`` is not a multiple of ``m``, a sub-id or ``padding_idx`` is out of range,
            or ``centroids`` has another shape.

    Source: Petrov & Macdonald, RecJPQ, WSDM 2024 (arXiv:2312.06165). The authors' code gives
    padding and mask ordinary codes and never starts from given centroids.
    """

    codes: Tensor

    def __init__(
        self,
        codes: Tensor | np.ndarray,
        embedding_dim: int,
        codebook_size: int = 256,
        centroids: Tensor | np.ndarray | None = None,
        special_tokens: int = 0,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__()
        codes = torch.as_tensor(codes)
        fits = codes.ndim == 2 and codes.shape[1] > 0
        require(fits, "codes must have shape (num_rows, m)", tuple(codes.shape))
        self.code_length = codes.shape[1]
        require(
            embedding_dim % self.code_length == 0,
            f"embedding_dim must be a multiple of the code length {self.code_length}",
            embedding_dim,
            f"Try {math.ceil(embedding_dim / self.code_length) * self.code_length}.",
        )
        self.codebook_size = codebook_size
        self.embedding_dim = embedding_dim
        self.special_tokens = special_tokens
        self.num_embeddings = len(codes) + special_tokens
        self.padding_idx = padding_idx
        is_row = padding_idx is None or 0 <= padding_idx < self.num_embeddings
        require(is_row, f"padding_idx must be a row below {self.num_embeddings}", padding_idx)
        self.register_buffer("codes", torch.empty(codes.shape, dtype=self.code_dtype))
        self._members: _Members | None = None
        self.set_codes(codes)
        split_dim = embedding_dim // self.code_length
        self.centroids = nn.Parameter(torch.empty(self.code_length, codebook_size, split_dim))
        if special_tokens:
            self.special = nn.Parameter(torch.empty(special_tokens, embedding_dim))
        self.reset_parameters()
        if centroids is not None:
            self.set_centroids(torch.as_tensor(centroids))

    @property
    def code_dtype(self) -> torch.dtype:
        """Narrowest integer type that holds every sub-id."""
        return torch.from_numpy(np.empty(0, dtype=code_dtype(self.codebook_size))).dtype

    def reset_parameters(self) -> None:
        """Draw centroids and special rows so that a row has unit expected squared norm."""
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=self.embedding_dim**-0.5)

    def set_codes(self, codes: Tensor | np.ndarray) -> None:
        """Replace all codes in place: a table may change them between epochs.

        Args:
            codes: Sub-ids, same shape as before.
        """
        codes = torch.as_tensor(codes)
        require(
            codes.shape == self.codes.shape,
            f"codes must keep the shape {tuple(self.codes.shape)}",
            tuple(codes.shape),
        )
        low, high = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
        require(
            0 <= low and high < self.codebook_size,
            f"sub-ids must lie in [0, {self.codebook_size})",
            f"[{low}, {high}]",
            "Were the codes assigned with another codebook_size?",
        )
        self.codes.copy_(codes.to(self.code_dtype))

    @torch.no_grad()
    def set_centroids(self, centroids: Tensor) -> None:
        """Overwrite the centroids. Shape ``(m, b, d/m)``."""
        require(
            centroids.shape == self.centroids.shape,
            f"centroids must have shape {tuple(self.centroids.shape)}",
            tuple(centroids.shape),
        )
        self.centroids.copy_(centroids)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embeddings of ``ids``. Shape ``(*ids.shape, d)``."""
        rows = self._rows(ids)
        if self.padding_idx is None:
            return rows
        return rows.masked_fill((ids == self.padding_idx).unsqueeze(-1), 0)

    def _rows(self, ids: Tensor) -> Tensor:
        if not self.special_tokens:
            return self._coded_rows(ids)
        is_special = ids >= len(self.codes)
        coded = self._coded_rows(ids.masked_fill(is_special, 0))
        special = F.embedding((ids - len(self.codes)).clamp(min=0), self.special)
        return torch.where(is_special.unsqueeze(-1), special, coded)

    def _coded_rows(self, ids: Tensor) -> Tensor:
        # F.embedding gives the same gradient bits on any thread count; indexing by two arrays
        # does not; it refuses negative ids, and gathers codes three times as fast. Sub-ids are
        # widened first because a uint8 index means a mask.
        flat_ids = F.embedding(ids, self.codes).long() + self._split_offsets()
        return F.embedding(flat_ids, self.centroids.flatten(0, 1)).flatten(-2)

    def _split_offsets(self) -> Tensor:
        return torch.arange(self.code_length, device=self.codes.device) * self.codebook_size

    @property
    def weight(self) -> Tensor:
        """The full table, materialised. Shape ``(num_embeddings, d)``."""
        rows = _AllRows.apply(self.centroids, self)
        rows = torch.cat([rows, self.special]) if self.special_tokens else rows
        if self.padding_idx is None:
            return rows
        return rows.index_fill(0, torch.tensor(self.padding_idx, device=rows.device), 0)

    def members(self) -> Tensor:
        """Return which (row, split) pairs use each centroid, as a 0/1 matrix.

        Its product with the gradient of all rows is the gradient of all centroids; it is built
        once per set of codes. Sparse CSR, shape ``(m·b, num_rows·m)``.
        """
        kept, codes, dtype = self._members, self.codes, self.centroids.dtype
        # The version counts changes in place, those of load_state_dict among them.
        if (
            kept is None
            or kept.codes is not codes
            or kept.version != codes._version
            or kept.matrix.dtype != dtype
        ):
            flat = (codes.long() + self._split_offsets()).flatten()
            counts = torch.bincount(flat, minlength=self.code_length * self.codebook_size)
            starts = F.pad(counts.cumsum(0), (1, 0))
            ones = torch.ones(len(flat), dtype=dtype, device=flat.device)
            order = flat.argsort(stable=True)
            matrix = sparse_csr(starts, order, ones, (len(counts), len(flat)))
            kept = self._members = _Members(codes, codes._version, matrix)
        return kept.matrix

    def __getstate__(self) -> dict:
        # torch can neither copy nor pickle sparse CSR tensors.
        return self.__dict__ | {"_members": None}

    def score_table(self, queries: Tensor) -> Tensor:
        """Return the dot product of every query slice with every centroid.

        Args:
            queries: Shape ``(q, d)``.

        Returns:
            Shape ``(q, m, b)``; a row's score is the sum of its sub-scores over the splits.
        """
        slices = queries.unflatten(-1, (self.code_length, -1))
        return torch.einsum("qmc,mbc->qmb", slices, self.centroids)

    def extra_repr(self) -> str:
        return (
            f"{self.num_embeddings}, {self.embedding_dim}, "
            f"code_length={self.code_length}, codebook_size={self.codebook_size}"
        )


class _Members(NamedTuple):
    """The matrix that `JPQEmbedding.members` keeps, and the codes it was made of."""

    codes: Tensor
    version: int
    matrix: Tensor


class _AllRows(torch.autograd.Function):
    """Every row of a table; the gradient is one sparse–dense product instead of a scatter.

    Measured at 26,495 rows, m = 8, d = 64, one thread: the scatter of F.embedding's backward
    takes 17 ms, the product 2 ms, with the same bits on any thread count.
    """

    @staticmethod
    def forward(ctx, centroids: Tensor, table: JPQEmbedding) -> Tensor:
        ctx.table = table
        ctx.save_for_backward(table.codes)  # autograd then refuses codes that change in between
        flat_ids = table.codes.long() + table._split_offsets()
        return F.embedding(flat_ids, centroids.flatten(0, 1)).flatten(-2)

    @staticmethod
    def backward(ctx, *grads: Tensor):
        table, _ = ctx.table, ctx.saved_tensors
        grad = grads[0].reshape(-1, table.centroids.shape[-1])
        return (table.members() @ grad).view_as(table.centroids), None


Table = nn.Embedding | JPQEmbedding
"""What a backbone takes for its users and for its items."""


@torch.no_grad()
def sibling(table: Table) -> Table:
    """Return a table with the rows and codes of ``table`` and trained values of its own.

    The codes are one tensor: stored once, under ``table``, and changed together. Values are drawn
    at random, as long as the rows of ``table`` are in the root mean square.
    """
    if isinstance(table, JPQEmbedding):
        twin = JPQEmbedding(table.codes, table.embedding_dim, table.codebook_size)
        twin.codes = table.codes
        twin._non_persistent_buffers_set.add("codes")
        (values,) = twin.parameters()
    else:
        twin = nn.Embedding(table.num_embeddings, table.embedding_dim)
        values = twin.weight
    nn.init.normal_(values, std=float(table.weight.square().mean().sqrt()))
    return twin
