"""Item graphs whose edges and weights follow from trained projections."""

from collections.abc import Sequence

import scipy.sparse as sp
import torch
import torch.nn.functional as F
from torch import Tensor

from urecjpq.data.catalogue import Features
from urecjpq.graphs.edges import Edges
from urecjpq.graphs.item_graphs import neighbour_matrix
from urecjpq.graphs.neighbours import cosine_neighbours
from urecjpq.graphs.propagation import Graph


class LearnedGraph:
    """``(1 − λ) N(Σ_m w_m K(y^m)) + λ Σ_m w_m F^m`` for projected features y of each modality.

    K(y) holds the cosines of each item with its k nearest by y; N divides by the roots of the row
    sums at both ends. Which items are nearest has no gradient; the cosines and w have.

    Args:
        frozen: ``F^m`` by modality, shape ``(num_items, num_items)``.
        shares: ``w``, shape ``(M,)``.
        projected: ``y^m`` by modality, shape ``(num_items, d)``; empty for the frozen part alone.
        present: Which items have content in a modality, shape ``(num_items,)``.
        k: Neighbours of an item in a modality, itself included.
        frozen_share: λ.

    Source: LATTICE (arXiv:2104.09036).
    """

    def __init__(
        self,
        frozen: Sequence[sp.csr_matrix],
        shares: Tensor,
        projected: Sequence[Tensor],
        present: Sequence[Tensor],
        k: int,
        frozen_share: float,
    ) -> None:
        self.frozen, self.shares, self.frozen_share = frozen, shares, frozen_share
        self.graphs = [Graph(matrix) for matrix in frozen]
        self.nearest = [_nearest(y, there, k) for y, there in zip(projected, present, strict=True)]
        self.scale = self._scale() if self.nearest else None

    def _scale(self) -> Tensor:
        """Return one over the root of each row sum, 0 for rows that sum to nothing."""
        ones = torch.ones(self.frozen[0].shape[0], 1)
        sums = self._weighted(ones)
        return torch.where(sums > 0, sums.clamp(min=1e-12) ** -0.5, 0)

    def _weighted(self, vectors: Tensor) -> Tensor:
        products = [edges.product(cosines, vectors) for edges, cosines in self.nearest]
        return torch.einsum("m,mnd->nd", self.shares, torch.stack(products))

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the product with ``vectors``, differentiably. Shape ``(num_items, d)``."""
        kept = torch.stack([graph(vectors) for graph in self.graphs])
        kept = torch.einsum("m,mnd->nd", self.shares, kept)
        if self.scale is None:
            return kept
        learned = self.scale * self._weighted(self.scale * vectors)
        return (1 - self.frozen_share) * learned + self.frozen_share * kept

    @torch.no_grad()
    def constant(self) -> Graph:
        """Return the graph as it is now, as one matrix without gradient."""
        shares = self.shares.numpy()
        kept = sum(share * matrix for share, matrix in zip(shares, self.frozen, strict=True))
        if self.scale is None:
            return Graph(kept)
        cosines = [
            share * sp.csr_matrix((values.numpy(), edges.columns, edges.starts), edges.shape)
            for share, (edges, values) in zip(shares, self.nearest, strict=True)
        ]
        scale = sp.diags_array(self.scale.ravel().numpy())
        learned = scale @ sum(cosines) @ scale
        return Graph(((1 - self.frozen_share) * learned + self.frozen_share * kept).tocsr())


def _nearest(projected: Tensor, present: Tensor, k: int) -> tuple[Edges, Tensor]:
    features = Features(projected.detach().numpy(), present.numpy())
    edges = Edges(neighbour_matrix(cosine_neighbours(features, k)))
    unit = F.normalize(projected)
    return edges, edges.dot(unit, unit)
