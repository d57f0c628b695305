"""From a configuration to tables and a backbone."""

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn

from urecjpq import assignment
from urecjpq.assignment import Assignment
from urecjpq.config import BackboneConfig, LightGCNConfig, TableConfig
from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.graphs import FREEDOM, LightGCN
from urecjpq.tables import JPQEmbedding, QuotientRemainderEmbedding

Table = nn.Embedding | JPQEmbedding
Backbone = LightGCN | FREEDOM


def build_tables(config: TableConfig, interactions: csr_matrix, seed: int) -> tuple[Table, Table]:
    """Return the user and the item table; codes come from the training interactions alone.

    Args:
        config: Kind, strategy, sizes and start.
        interactions: Training matrix, shape ``(num_users, num_items)``.
        seed: Of codes and of random values.

    Raises:
        InputError: Sizes that do not fit each other or the number of users or items.
    """
    factors = _start_factors(config, interactions, seed) if config.uses_factors else (None, None)
    assigned = (
        _assign(config, interactions, factors, seed) if config.kind == "jpq" else (None, None)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        users, items = (
            empty_table(config, count, codes=None if given is None else given.codes)
            for count, given in zip(interactions.shape, assigned, strict=True)
        )
        for parameter in (*users.parameters(), *items.parameters()):
            nn.init.normal_(parameter, std=config.start_norm * config.embedding_dim**-0.5)
    if config.start == "factors":
        _start_at(users, assigned[0] or factors[0])
        _start_at(items, assigned[1] or factors[1])
    return users, items


def empty_table(config: TableConfig, num_rows: int, codes: np.ndarray | None = None) -> Table:
    """Return a table of ``num_rows`` rows whose values are yet to be set."""
    if config.kind == "quotient_remainder":
        return QuotientRemainderEmbedding(num_rows, config.embedding_dim)
    if config.kind == "full":
        return nn.Embedding(num_rows, config.embedding_dim)
    codes = np.zeros((num_rows, config.code_length)) if codes is None else codes
    return JPQEmbedding(codes, config.embedding_dim, config.codebook_size)


def _start_factors(
    config: TableConfig, interactions: csr_matrix, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return user and item factors whose rows have the root mean square length ``start_norm``."""
    factors = assignment.normalised_factors(interactions, config.embedding_dim, seed)
    users, items = factors.vectors(rotate="balance", code_length=config.code_length, seed=seed)
    squares = np.square(users, dtype=np.float64).sum() + np.square(items, dtype=np.float64).sum()
    scale = np.float32(config.start_norm * np.sqrt((len(users) + len(items)) / squares))
    return users * scale, items * scale


def _assign(
    config: TableConfig, interactions: csr_matrix, factors: tuple, seed: int
) -> tuple[Assignment, Assignment]:
    sizes = (config.code_length, config.codebook_size)
    if config.strategy == "kmeans":
        users, items = (assignment.assign_factors(side, *sizes, seed=seed) for side in factors)
    elif config.strategy == "random":
        # Different seeds, or user i and item i would get equal codes.
        users, items = (
            assignment.assign_by_random(count, *sizes, seed=2 * seed + side)
            for side, count in enumerate(interactions.shape)
        )
    else:
        assign = assignment.STRATEGIES[config.strategy]
        sides = (interactions.T.tocsr(), interactions)
        users, items = (assign(side, *sizes, seed=seed) for side in sides)
    return users, items


@torch.no_grad()
def _start_at(table: Table, start: np.ndarray | Assignment) -> None:
    if isinstance(table, JPQEmbedding):
        table.set_centroids(torch.from_numpy(start.centroids))
    else:
        table.weight.copy_(torch.from_numpy(start))


def build_backbone(
    config: BackboneConfig,
    tables: tuple[Table, Table],
    interactions: csr_matrix,
    neighbours: dict[str, Neighbours],
    features: dict[str, Features],
    seed: int,
) -> Backbone:
    """Return the backbone that ``config`` names, over given tables and training interactions."""
    arguments = config.model_dump(exclude={"name"})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(config, LightGCNConfig):
            return LightGCN(*tables, interactions, **arguments)
        return FREEDOM(*tables, interactions, neighbours, features, **arguments)
