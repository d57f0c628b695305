"""SMORE: features denoised and fused in the frequency domain, to purify ids on item graphs.

    score(u, i) = z_u · z_i,   z = c + s,   c = mean of Â^l [e_u; e_i] over l = 0 … L,
    s = (σ(P^f c) ⊙ y^f + Σ_m σ(P^m c) ⊙ softmax(Q^m(y^f)) ⊙ y^m) / (M + 1),
    y_i^v = (S_v^n (e ⊙ σ(B^v t^v)))_i,   y_u^v = (R̂ y_i^v)_u   for each modality and for v = f,
    t^m = F^-1(w^m ⊙ X^m),   t^f = F^-1(w^f ⊙ Π_m X^m),   X^m = F(W^m x^m + c^m)

with F the real Fourier transform along the d numbers of a vector, w complex and trained, M
modalities, Â and R̂ normalised as in LightGCN, S_m the normalised cosines of neighbours, and S_f the
greatest of these in each cell. P and B are affine, Q two layers with tanh, the softmax over d.

    loss = BPR(z) + InfoNCE(s_i, c_i) + InfoNCE(s_u, c_u), weighted, over cosines within the batch

Source: Ong & Khong, SMORE, WSDM 2025 (arXiv:2412.14978), and its code in MMRec. The published model
has two modalities; the product of all spectra, the greatest cosine of all and M + 1 are what it
does, for any number. Differences: features are never trained (MMRec trains them), and all
modalities have neighbour lists of one length.

An item without content in a modality has y^m = 0, and its spectrum is left out of the product.
Without any, s is zero, and z is LightGCN's.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.graphs.backbone import Backbone, BackboneSettings
from urecjpq.graphs.features import by_modality
from urecjpq.graphs.item_graphs import similarity_matrix
from urecjpq.graphs.propagation import Graph
from urecjpq.graphs.views import ViewBackbone, gate
from urecjpq.tables import Table


class SMORE(ViewBackbone):
    """SMORE over any two tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        neighbours: Item graph, with cosines, of each of these modalities.
        num_layers: Propagations over the user–item graph, ``L``.
        num_item_layers: Propagations over each item graph, ``n``.
        dropout: Share of the preferences ``σ(P c)`` left out in training.
        l2: Weight of half the squared norm of the batch's final vectors.
        contrast_weight: Weight of InfoNCE.

    Raises:
        InputError: Features or neighbours that do not fit, or are of different modalities.
    """

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features],
        neighbours: Mapping[str, Neighbours],
        num_layers: int = 3,
        num_item_layers: int = 1,
        dropout: float = 0.1,
        l2: float = 1e-4,
        contrast_weight: float = 0.01,
    ) -> None:
        super().__init__(
            user_table,
            item_table,
            interactions,
            features,
            neighbours,
            num_layers,
            num_item_layers,
            l2,
            contrast_weight,
        )
        self.dim = item_table.embedding_dim
        self.parts = by_modality({name: _Part(self.dim) for name in self.projections})
        self.fused = _Part(self.dim)
        self.queries = by_modality({name: _query(self.dim) for name in self.projections})
        self.fused_graph = Graph(greatest([similarity_matrix(neighbours[n]) for n in self.parts]))
        self.dropout = dropout

    def views(self) -> list[Tensor]:
        """Return y of the fusion and each modality, shapes ``(num_users + num_items, d)``."""
        masks = {name: p.features.mask() for name, p in self.projections.items()}
        spectra = {name: torch.fft.rfft(p(), norm="ortho") for name, p in self.projections.items()}
        factors = [torch.where(masks[name] > 0, x, 1) for name, x in spectra.items()]
        product, known = torch.stack(factors).prod(0), torch.stack(list(masks.values())).amax(0)
        return [
            self._view(self.fused, product, known, self.fused_graph),
            *(
                self._view(part, spectra[name], masks[name], self.item_graphs[name])
                for name, part in self.parts.items()
            ),
        ]

    def _view(self, part: "_Part", spectrum: Tensor, mask: Tensor, graph: Graph) -> Tensor:
        filtered = torch.view_as_complex(part.filter) * spectrum
        denoised = torch.fft.irfft(filtered, n=self.dim, norm="ortho")
        return self.pass_on(self.item_table.weight * part.purifier(denoised) * mask, graph)

    def side(self, content: Tensor, views: list[Tensor], training: bool) -> Tensor:
        """Return s of some users and items, from their rows of c and y. Shape ``(n, d)``."""
        fused, *others = views
        wanted = [part.preference(content) for part in (self.fused, *self.parts.values())]
        wanted = [F.dropout(share, self.dropout, training) for share in wanted]
        total = wanted[0] * fused
        for share, query, view in zip(wanted[1:], self.queries.values(), others, strict=True):
            total = total + share * query(fused).softmax(dim=1) * view
        return total / len(views)


class _Part(nn.Module):
    """What a modality has of its own, and the fusion too: filter, gate and preference."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(dim // 2 + 1, 2))  # real and imaginary parts
        self.purifier = gate(dim)
        self.preference = gate(dim)


def _query(dim: int) -> nn.Module:
    return nn.Sequential(nn.Linear(dim, dim), nn.Tanh(), nn.Linear(dim, dim, bias=False))


def greatest(matrices: Sequence[csr_matrix]) -> csr_matrix:
    """Return the greatest value of each cell, over the matrices that have the cell.

    A cell that only some have is not taken for 0 in the others.
    """
    cells = [matrix.tocoo() for matrix in matrices]
    rows, columns, values = (
        np.concatenate([getattr(cell, what) for cell in cells]) for what in ("row", "col", "data")
    )
    order = np.lexsort((columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    first = np.flatnonzero(np.diff(rows, prepend=-1) | np.diff(columns, prepend=-1))
    most = np.maximum.reduceat(values, first) if len(first) else values
    return sp.csr_matrix((most, (rows[first], columns[first])), shape=matrices[0].shape)


class SMOREConfig(BackboneSettings):
    """Arguments of `SMORE`."""

    MODEL: ClassVar[type[Backbone]] = SMORE
    name: Literal["smore"] = "smore"
    num_layers: int = Field(default=3, ge=0)
    num_item_layers: int = Field(default=1, ge=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    l2: float = Field(default=1e-4, ge=0)
    contrast_weight: float = Field(default=0.01, ge=0)
