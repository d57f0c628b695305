"""What training, saving and the index ask of every backbone."""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.graphs.features import by_modality
from urecjpq.recommender import Recommender
from urecjpq.recommender import Uses as Uses
from urecjpq.sampling import Triples, TripleSampler
from urecjpq.settings import Settings
from urecjpq.tables import Table

JOINT = "joint"
"""Name of the one preference table of a model that has one for all modalities."""
Preferences = Literal["none", "joint", "each"]


class Backbone(Recommender):
    """A model over two tables whose scores are dot products of final vectors.

    Args:
        user_table: ``num_users`` rows of any kind.
        item_table: ``num_items`` rows of any kind.
        interactions: Training matrix, shape ``(num_users, num_items)``.

    Raises:
        InputError: A table has another number of rows than there are users or items.
    """

    # docs/ablations/dimension.md: at 1e-3 the first epoch undoes what the factors knew.
    FACTORS_RATE: ClassVar[float] = 3e-4
    PREFERENCES: ClassVar[Preferences] = "none"
    """User tables it takes as ``preference_tables``: one for all features, or one per modality."""

    def __init__(self, user_table: Table, item_table: Table, interactions: csr_matrix) -> None:
        super().__init__()
        for side, table, rows in zip(
            ("user", "item"), (user_table, item_table), interactions.shape, strict=True
        ):
            rule = f"{side}_table must have {rows} rows, as interactions have"
            require(table.num_embeddings == rows, rule, table.num_embeddings)
        self.user_table = user_table
        self.item_table = item_table
        self.num_users, self.num_items = interactions.shape

    def _preferences(
        self, tables: Mapping[str, Table], names: Iterable[str]
    ) -> Mapping[str, Table]:
        """Return given preference tables as one module, in the order of ``names``."""
        names = list(names)
        rule = f"preference_tables must be named {sorted(names)}"
        require(tables.keys() == set(names), rule, sorted(tables))
        for name in names:
            rule = f"preference_tables[{name!r}] must have {self.num_users} rows, one per user"
            rows = tables[name].num_embeddings
            require(rows == self.num_users, rule, rows)
        return by_modality({name: tables[name] for name in names})

    def batches(self, catalogue: Catalogue, batch_size: int, seed: int) -> TripleSampler:
        """Return triples of the training interactions."""
        return TripleSampler(catalogue.matrix("train"), batch_size, seed)

    def loss(self, batch: Triples) -> Tensor:
        """Return the loss of a batch. Scalar."""
        raise NotImplementedError

    def vectors(self) -> tuple[Tensor, Tensor]:
        """Return the final user and item vectors; their dot product is the score.

        A function of the trained values alone: training mode and random numbers change nothing.
        """
        raise NotImplementedError

    @torch.no_grad()
    def vectors_for(self, catalogue: Catalogue, partition: str) -> tuple[Tensor, Tensor]:
        """Return the final vectors: they are the same for every partition."""
        return self.vectors()


class BackboneSettings(Settings):
    """Hyper-parameters of a backbone: the keyword arguments of its class, by name.

    A subclass adds ``name``, a literal that no other has, and its fields.
    """

    MODEL: ClassVar[type[Backbone]]
    """The class that these are the arguments of."""


def preference_names(model: type[Backbone], modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the preference tables that ``model`` takes, given its modalities."""
    if model.PREFERENCES == "each":
        return tuple(sorted(modalities))
    return (JOINT,) if model.PREFERENCES == "joint" else ()
