"""SLMRec: ids and features propagated side by side, and held together by a chain of contrasts.

    score(u, i) = z_u · z_i,   z_u = A [y_u^0; y_u^1; …] + a,   z_i = B [y_i^0; y_i^1; …] + b,
    y^m = mean of Â^l [e_u; t_i^m] over l = 0 … L,   t^0 = e_i,   t^m = W^m x_i^m / |x_i^m| + c^m

    loss = InfoNCE(ẑ_u, ẑ_i) + λ Σ_m InfoNCE(g^m, H^m y_i^m) + weight decay,
    g^0 = y_i^0,   g^m = G^m g^{m-1}

over the pairs of a batch, with Â as in LightGCN, ẑ of length 1, and G and H affine. These are the
contrasts that the paper calls fine and coarse (FAC).

Source: Tao et al., SLMRec, IEEE TMM 2022, and its code in MMRec. There the chain is written for one
to three modalities, the last step into half the width; here it has a step for each, in the order of
their names, and the last of two or more halves the width. Differences: scores are not passed
through a sigmoid, which keeps their order. Weight decay is that of Adam, as part of the loss.

An item without content in a modality starts at zero there, takes what its users pass on, and has no
part in that modality's contrast.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from urecjpq.data.catalogue import Features
from urecjpq.graphs.backbone import Backbone, BackboneSettings, Uses
from urecjpq.graphs.features import FrozenProjection, by_modality, frozen_features
from urecjpq.graphs.propagation import bipartite_graph, layer_mean
from urecjpq.losses import info_nce
from urecjpq.sampling import Triples
from urecjpq.tables import Table


class SLMRec(Backbone):
    """SLMRec over any two tables and any number of modalities.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        num_layers: Propagations, ``L``.
        temperature: Of InfoNCE between users and items.
        contrast_temperature: Of InfoNCE between modalities.
        contrast_weight: λ.
        weight_decay: Weight of half the squared norm of all that is trained.

    Raises:
        InputError: Features that do not fit.
    """

    USES: ClassVar[Uses] = ("features",)
    VECTORS_NEED_FEATURES: ClassVar[bool] = True

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        *,
        features: Mapping[str, Features],
        num_layers: int = 3,
        temperature: float = 0.2,
        contrast_temperature: float = 0.2,
        contrast_weight: float = 0.1,
        weight_decay: float = 1e-4,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        given = frozen_features(features, self.num_items, unit=True)
        dim = item_table.embedding_dim
        self.projections = by_modality(
            {name: FrozenProjection(values, dim) for name, values in given.items()}
        )
        self.user_fusion = nn.Linear(dim * (len(given) + 1), dim)
        self.item_fusion = nn.Linear(dim * (len(given) + 1), dim)
        widths = [dim] * len(given)
        if len(given) > 1:
            widths[-1] = dim // 2
        self.steps = nn.ModuleList(nn.Linear(dim, width) for width in widths)
        self.heads = nn.ModuleList(nn.Linear(dim, width) for width in widths)
        for linear in self.modules():
            if isinstance(linear, nn.Linear):
                nn.init.xavier_uniform_(linear.weight)
        self.graph = bipartite_graph(interactions)
        self.num_layers = num_layers
        self.temperature = temperature
        self.contrast_temperature = contrast_temperature
        self.contrast_weight = contrast_weight
        self.weight_decay = weight_decay

    def loss(self, batch: Triples) -> Tensor:
        """Return the loss of a batch, whose negatives are not looked at. Scalar."""
        users, items = self._by_modality()
        user_rows = self.user_fusion(F.embedding(batch.users, users.flatten(1)))
        item_rows = self.item_fusion(F.embedding(batch.positives, items.flatten(1)))
        loss = info_nce(F.normalize(user_rows), F.normalize(item_rows), self.temperature)
        if self.contrast_weight > 0:
            loss = loss + self.contrast_weight * self._contrast(batch.positives, items)
        squares = [parameter.square().sum() for parameter in self.parameters()]
        return loss + self.weight_decay * torch.stack(squares).sum() / 2

    def _contrast(self, batch: Tensor, items: Tensor) -> Tensor:
        """Return the chain of contrasts over a batch of items; ``items`` are all y_i."""
        rows = F.embedding(batch, items.flatten(1)).unflatten(1, items.shape[1:])
        chain, *others = rows.unbind(1)
        total = chain.new_zeros(())
        for step, head, projection, other in zip(
            self.steps, self.heads, self.projections.values(), others, strict=True
        ):
            chain = step(chain)
            known = projection.features.present[batch]
            if known.any():
                contrast = info_nce(chain[known], head(other[known]), self.contrast_temperature)
                total = total + contrast * known.float().mean()
        return total

    def _by_modality(self) -> tuple[Tensor, Tensor]:
        """Return y, ids first. Shapes ``(num_users, M + 1, d)`` and ``(num_items, M + 1, d)``."""
        users = self.user_table.weight
        starts = [self.item_table.weight, *(p() for p in self.projections.values())]
        start = torch.cat([users.repeat(1, len(starts)), torch.cat(starts, dim=1)])
        final = layer_mean(self.graph, start, self.num_layers).unflatten(1, (len(starts), -1))
        users, items = final.split([self.num_users, self.num_items])
        return users, items

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score."""
        users, items = self._by_modality()
        return self.user_fusion(users.flatten(1)), self.item_fusion(items.flatten(1))


class SLMRecConfig(BackboneSettings):
    """Arguments of `SLMRec`."""

    MODEL: ClassVar[type[Backbone]] = SLMRec
    name: Literal["slmrec"] = "slmrec"
    num_layers: int = Field(default=3, ge=0)
    temperature: float = Field(default=0.2, gt=0)
    contrast_temperature: float = Field(default=0.2, gt=0)
    contrast_weight: float = Field(default=0.1, ge=0)
    weight_decay: float = Field(default=1e-4, ge=0)
