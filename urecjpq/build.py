"""From a configuration to tables and a backbone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from urecjpq import assignment
from urecjpq.config import RunConfig, TableConfig
from urecjpq.data.catalogue import Catalogue, Features, Neighbours
from urecjpq.errors import require
from urecjpq.graphs.backbone import Backbone, BackboneSettings, preference_names
from urecjpq.recommender import Recommender
from urecjpq.sequential.backbone import SequentialBackbone, SequentialSettings
from urecjpq.sequential.histories import histories_before
from urecjpq.tables import JPQEmbedding, QuotientRemainderEmbedding, Table, sibling

SIDES = ("users", "items")


def build_model(config: RunConfig, catalogue: Catalogue) -> Recommender:
    """Return the model of a run, its tables made from the training interactions alone.

    Raises:
        InputError: The configuration does not fit itself or the data.
    """
    seed = config.seed
    if isinstance(config.backbone, SequentialSettings):
        table = build_item_table(config.tables, catalogue, seed)
        return build_sequential(config.backbone, table, seed)
    rule = "tables.window must be 0 for a model with a user table"
    require(config.tables.window == 0, rule, config.tables.window)
    interactions = catalogue.matrix("train")
    tables = build_tables(config.tables, interactions, seed)
    given = (catalogue.neighbours, catalogue.features, seed)
    return build_backbone(config.backbone, tables, interactions, *given)


def build_item_table(config: TableConfig, catalogue: Catalogue, seed: int) -> Table:
    """Return an item table alone, for models without users; see `build_tables`."""
    rule = "tables.centroids must be separate for a model without a user table"
    require(config.centroids == "separate", rule, config.centroids)
    config = config.of("items")
    (start,) = _starts(config, _item_pairs(catalogue, config.window), seed, ("items",))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _table(config, catalogue.num_items, start)


def _item_pairs(catalogue: Catalogue, window: int) -> csr_matrix:
    """Return the matrix whose columns are coded, of training interactions alone."""
    if not window:
        return catalogue.matrix("train")
    histories = histories_before(catalogue, "valid")
    actions = (histories.starts, histories.items)
    return assignment.nearby_pairs(*actions, catalogue.num_items, window)


def build_sequential(
    config: SequentialSettings, item_table: Table, seed: int
) -> SequentialBackbone:
    """Return the sequential backbone that ``config`` names, over a given item table."""
    arguments = {name: getattr(config, name) for name in type(config).model_fields}
    del arguments["name"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return config.MODEL(item_table, **arguments)


def build_tables(config: TableConfig, interactions: csr_matrix, seed: int) -> tuple[Table, Table]:
    """Return the user and the item table; codes come from the training interactions alone.

    Args:
        config: Kind, strategy, sizes and start.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        seed: Of codes and of random values.

    Raises:
        InputError: Sizes that do not fit each other or the number of users or items.
    """
    starts = _starts(config, interactions, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        users, items = (
            _table(config.of(side), num_rows, start)
            for side, num_rows, start in zip(SIDES, interactions.shape, starts, strict=True)
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


class _Start(NamedTuple):
    """Codes of a quantised table, and what its trained values start from if not at random."""

    codes: np.ndarray | None = None
    values: np.ndarray | None = None


@torch.no_grad()
def _table(config: TableConfig, num_rows: int, start: _Start) -> Table:
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


def _starts(
    config: TableConfig, interactions: csr_matrix, seed: int, names: Sequence[str] = SIDES
) -> list[_Start]:
    rule = "tables must be of a kind that is trained"
    hint = "urecjpq.opponents makes these of full ones."
    require(not config.is_compressed, rule, config.kind, hint)
    sizes = (config.code_length, config.codebook_size)
    if config.strategy in ("svd", "bpr"):
        assign = assignment.STRATEGIES[config.strategy]
        columns = {"users": interactions.T.tocsr(), "items": interactions}  # these are coded
        return [_Start(*assign(columns[name], *sizes, seed=seed)) for name in names]
    if config.strategy == "random":
        # Different seeds, or user i and item i would get equal codes.
        numbers = [SIDES.index(name) for name in names]
        return [
            _random_start(interactions.shape[number], sizes, 2 * seed + number)
            for number in numbers
        ]
    if config.strategy == "kmeans":
        factors = _factors(config, interactions, seed)
        if config.centroids == "shared":
            return _shared_starts(list(factors.values()), sizes, seed)
        return [
            _Start(*assignment.assign_factors(factors[name], *sizes, seed=seed))
            if config.of(name).kind == "jpq"
            else _Start(values=factors[name])
            for name in names
        ]
    if config.start == "factors":
        factors = _factors(config, interactions, seed)
        return [_Start(values=factors[name]) for name in names]
    return [_Start() for _ in names]


def _random_start(num_rows: int, sizes: tuple[int, int], seed: int) -> _Start:
    return _Start(*assignment.assign_by_random(num_rows, *sizes, seed=seed))


def _shared_starts(factors: list[np.ndarray], sizes: tuple[int, int], seed: int) -> list[_Start]:
    """Return users and items clustered together: their factors lie in one space."""
    codes, centroids = assignment.assign_factors(np.concatenate(factors), *sizes, seed=seed)
    num_users = len(factors[0])
    return [_Start(codes[:num_users], centroids), _Start(codes[num_users:], centroids)]


def _factors(config: TableConfig, interactions: csr_matrix, seed: int) -> dict[str, np.ndarray]:
    """Return factors by side whose rows have the root mean square length ``start_norm``."""
    factors = assignment.normalised_factors(
        interactions, config.embedding_dim, seed, smoothing=config.smoothing
    )
    sides = factors.vectors(config.power)
    mean_square = np.square(np.concatenate(sides), dtype=np.float64).sum(axis=1).mean()
    scale = np.float32(config.start_norm / np.sqrt(mean_square))
    return {name: side * scale for name, side in zip(SIDES, sides, strict=True)}


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
