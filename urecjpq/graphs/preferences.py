"""What models share that learn a preference of each user for each modality."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.data.catalogue import Features
from urecjpq.graphs.backbone import Backbone, Preferences, Uses
from urecjpq.graphs.features import frozen_features
from urecjpq.losses import bpr_loss, half_squared_norm, rows_of
from urecjpq.sampling import Triples
from urecjpq.tables import Table


class PreferenceBackbone(Backbone):
    """A model over ids, preferences by modality and features; its loss is BPR plus a penalty.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        features: Frozen features by modality, at least one.
        preference_tables: A table of users for each modality.
        l2: Weight of half the squared norm of the batch's ids and preferences.

    Raises:
        InputError: Features or preference tables that do not fit.
    """

    USES: ClassVar[Uses] = ("features",)
    PREFERENCES: ClassVar[Preferences] = "each"
    VECTORS_NEED_FEATURES: ClassVar[bool] = True

    def __init__(
        self,
        user_table: Table,
        item_table: Table,
        interactions: csr_matrix,
        features: Mapping[str, Features],
        preference_tables: Mapping[str, Table],
        l2: float,
    ) -> None:
        super().__init__(user_table, item_table, interactions)
        self.features = frozen_features(features, self.num_items)
        self.preference_tables = self._preferences(preference_tables, self.features)
        self.embedding_dim = item_table.embedding_dim
        self.l2 = l2

    def propagate(self, ids: Tensor, preferences: Mapping[str, Tensor]) -> Tensor:
        """Return final vectors, users first.

        Args:
            ids: Rows of the user and the item table, shape ``(num_users + num_items, d)``.
            preferences: Rows of the preference tables, shape ``(num_users, d)`` each.
        """
        raise NotImplementedError

    def loss(self, batch: Triples) -> Tensor:
        """Return the BPR loss of a batch plus the L2 penalty on its rows. Scalar."""
        ids, preferences = self._rows()
        rows = [*rows_of(batch, *self._sides(ids))]
        rows += [F.embedding(batch.users, table) for table in preferences.values()]
        final = rows_of(batch, *self._sides(self.propagate(ids, preferences)))
        return bpr_loss(*final) + self.l2 * half_squared_norm(*rows)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score."""
        return self._sides(self.propagate(*self._rows()))

    def _rows(self) -> tuple[Tensor, dict[str, Tensor]]:
        ids = torch.cat([self.user_table.weight, self.item_table.weight])
        return ids, {name: table.weight for name, table in self.preference_tables.items()}

    def _sides(self, both: Tensor) -> tuple[Tensor, Tensor]:
        users, items = both.split([self.num_users, self.num_items], dim=-2)
        return users, items
