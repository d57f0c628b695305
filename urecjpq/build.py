"""From a configuration to tables and a backbone."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from urecjpq.config import RunConfig
from urecjpq.data.catalogue import Catalogue, Features, Neighbours
from urecjpq.errors import require
from urecjpq.graphs.backbone import Backbone, BackboneSettings, preference_names
from urecjpq.quotient_remainder import QuotientRemainderEmbedding
from urecjpq.recommender import Recommender
from urecjpq.sequential.backbone import SequentialBackbone, SequentialSettings
from urecjpq.starts import SIDES, Start, item_pairs, table_starts, user_item_pairs
from urecjpq.table_config import TableConfig
from urecjpq.tables import JPQEmbedding, Table, sibling


def build_model(config: RunConfig, catalogue: Catalogue) -> Recommender:
    """Return the model of a run, its tables made from the training interactions alone.

    Raises:
        InputError: The configuration does not fit itself or the data.
    """
    seed = config.seed
    if isinstance(config.backbone, SequentialSettings):
        table = build_item_table(config.tables, catalogue, seed)
        return build_sequential(config.backbone, table, seed)
    tables = build_tables(config.tables, user_item_pairs(config.tables, catalogue), seed)
    given = (catalogue.neighbours, catalogue.features, seed)
    return build_backbone(config.backbone, tables, catalogue.matrix("train"), *given)


def build_item_table(config: TableConfig, catalogue: Catalogue, seed: int) -> Table:
    """Return an item table alone, for models without users; see `build_tables`."""
    rule = "tables.centroids must be separate for a model without a user table"
    require(config.centroids == "separate", rule, config.centroids)
    config = config.of("items")
    (start,) = table_starts(config, item_pairs(config, catalogue), seed, ("items",))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _table(config, catalogue.num_items, start)


def build_sequential(
    config: SequentialSettings, item_table: Table, seed: int
) -> SequentialBackbone:
    """Return the sequential backbone that ``config`` names, over a given item table."""
    arguments = {name: getattr(config, name) for name in type(config).model_fields}
    del arguments["name"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return config.MODEL(item_table, **arguments)


def build_tables(config: TableConfig, pairs: csr_matrix, seed: int) -> tuple[Table, Table]:
    """Return the user and the item table.

    Args:
        config: Kind, strategy, sizes and start.
        pairs: What codes come from, see `user_item_pairs`, shape ``(num_users, num_items)``.
        seed: Of codes and of random values.

    Raises:
        InputError: Sizes that do not fit each other or the number of users or items.
    """
    starts = table_starts(config, pairs, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        users, items = (
            _table(config.of(side), num_rows, start)
            for side, num_rows, start in zip(SIDES, pairs.shape, starts, strict=True)
        )
    _share(config, users, items)
    return users, items


def empty_tables(config: TableConfig, num_users: int, num_items: int) -> tuple[Table, Table]:
    """Return the user and the item table, codes and values yet to be set."""
    users = empty_table(config.of("users"), num_users)
    items = empty_table(config.of("items"), num_items)
    _share(config, users, items)
    return users, items


def _share(config: TableConfig, users: Table, items: Table) -> None:
    if config.centroids == "shared":
        # kind is jpq and sides is both: TableConfig sees to it.
        items.centroids = users.centroids  # type: ignore[assignment]


@torch.no_grad()
def _table(config: TableConfig, num_rows: int, start: Start) -> Table:
    table = empty_table(config, num_rows, start.codes)
    (values,) = table.parameters()
    nn.init.normal_(values, std=config.start_norm * config.embedding_dim**-0.5)
    if config.start == "factors" and start.values is not None:
        values.copy_(torch.from_numpy(start.values))
    return table


def empty_table(config: TableConfig, num_rows: int, codes: np.ndarray | None = None) -> Table:
    """Return a table of ``num_rows`` rows whose values are yet to be set."""
    if config.kind == "quotient_remainder":
        return QuotientRemainderEmbedding(num_rows, config.embedding_dim, scramble=True)
    if config.kind == "full":
        return nn.Embedding(num_rows, config.embedding_dim)
    codes = np.zeros((num_rows, config.code_length)) if codes is None else codes
    return JPQEmbedding(codes, config.embedding_dim, config.codebook_size)


def build_backbone(
    config: BackboneSettings,
    tables: tuple[Table, Table],
    interactions: csr_matrix,
    neighbours: dict[str, Neighbours],
    features: dict[str, Features],
    seed: int,
) -> Backbone:
    """Return the backbone that ``config`` names, over given tables and training interactions.

    Preference tables are siblings of the user table. Features and neighbours that the backbone
    does not use are left aside: a catalogue may have more than a model wants.

    Raises:
        InputError: It needs features or neighbours and there are none, or they do not fit.
    """
    model = config.MODEL
    arguments = config.model_dump(exclude={"name"})
    given = {"features": features, "neighbours": neighbours}
    arguments |= {name: given[name] for name in model.USES}
    names = preference_names(model, features)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if model.PREFERENCES != "none":
            arguments["preference_tables"] = {name: sibling(tables[0]) for name in names}
        return model(*tables, interactions, **arguments)
