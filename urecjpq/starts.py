"""What tables start from: codes and values, made from training interactions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq import assignment
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import require
from urecjpq.graphs.item_graphs import blend
from urecjpq.sequential.histories import histories_before
from urecjpq.table_config import TableConfig

SIDES = ("users", "items")


def item_pairs(config: TableConfig, catalogue: Catalogue) -> csr_matrix:
    """Return the matrix whose columns are coded for a model without users.

    Raises:
        InputError: ``config`` spreads interactions, which needs users.
    """
    rule = "tables.spread must be 0 for a model without a user table"
    require(not config.spread, rule, config.spread)
    if not config.window:
        return catalogue.matrix("train")
    histories = histories_before(catalogue, "valid")
    actions = (histories.starts, histories.items)
    return assignment.nearby_pairs(*actions, catalogue.num_items, config.window)


def user_item_pairs(config: TableConfig, catalogue: Catalogue) -> csr_matrix:
    """Return the matrix whose rows and columns are coded for a model with users.

    Raises:
        InputError: ``config`` has a window, which needs histories, or spreads interactions over
            neighbours that the catalogue does not have.
    """
    rule = "tables.window must be 0 for a model with a user table"
    require(config.window == 0, rule, config.window)
    interactions = catalogue.matrix("train")
    if not config.spread:
        return interactions
    given, shares = catalogue.neighbours, config.spread
    if not isinstance(shares, dict):
        shares = {name: shares / len(given) for name in given}
    rule = f"tables.spread must name modalities that have neighbours, of {sorted(given)}"
    require(shares.keys() <= given.keys(), rule, sorted(shares))
    chosen = {name: given[name] for name in shares}
    return assignment.spread_pairs(interactions, blend(chosen, shares, catalogue.num_items))


class Start(NamedTuple):
    """Codes of a quantised table, and what its trained values start from if not at random."""

    codes: np.ndarray | None = None
    values: np.ndarray | None = None


def table_starts(
    config: TableConfig, pairs: csr_matrix, seed: int, names: Sequence[str] = SIDES
) -> list[Start]:
    """Return the start of each table that ``names`` lists.

    Args:
        config: Kind, strategy, sizes and start.
        pairs: What codes and factors are taken from, shape ``(num_users, num_items)``.
        seed: Of codes.
        names: Of `SIDES`.

    Raises:
        InputError: Sizes that do not fit each other or the number of users or items.
    """
    rule = "tables must be of a kind that is trained"
    hint = "urecjpq.opponents makes these of full ones."
    require(not config.is_compressed, rule, config.kind, hint)
    rule, hint = "tables must not start from trained ones", "urecjpq.quantise_run makes these."
    require(config.start != "trained", rule, config.start, hint)
    sizes = (config.code_length, config.codebook_size)
    if config.strategy in ("svd", "bpr"):
        assign = assignment.STRATEGIES[config.strategy]
        columns = {"users": pairs.T.tocsr(), "items": pairs}  # these are coded
        return [Start(*assign(columns[name], *sizes, seed=seed)) for name in names]
    if config.strategy == "random":
        # Different seeds, or user i and item i would get equal codes.
        numbers = [SIDES.index(name) for name in names]
        return [_random_start(pairs.shape[number], sizes, 2 * seed + number) for number in numbers]
    if config.strategy == "kmeans":
        factors, assign = _factors(config, pairs, seed), assignment.assign_factors
        weights = table_weights(config, pairs)
        if config.centroids == "shared":
            return _shared_starts(list(factors.values()), list(weights.values()), sizes, seed)
        return [
            Start(*assign(factors[name], *sizes, weights=weights[name], seed=seed))
            if config.of(name).kind == "jpq"
            else Start(values=factors[name])
            for name in names
        ]
    if config.start == "factors":
        factors = _factors(config, pairs, seed)
        return [Start(values=factors[name]) for name in names]
    return [Start() for _ in names]


def _random_start(num_rows: int, sizes: tuple[int, int], seed: int) -> Start:
    return Start(*assignment.assign_by_random(num_rows, *sizes, seed=seed))


def table_weights(config: TableConfig, pairs: csr_matrix) -> dict[str, np.ndarray]:
    """Return by side what each row weighs in k-means; a mean of one, users all alike."""
    items = assignment.interaction_weights(pairs, config.weight_power)
    return {"users": np.ones(pairs.shape[0]), "items": items}


def _shared_starts(
    factors: list[np.ndarray], weights: list[np.ndarray], sizes: tuple[int, int], seed: int
) -> list[Start]:
    """Return users and items clustered together: their factors lie in one space."""
    together, weight = np.concatenate(factors), np.concatenate(weights)
    codes, centroids = assignment.assign_factors(together, *sizes, weights=weight, seed=seed)
    num_users = len(factors[0])
    return [Start(codes[:num_users], centroids), Start(codes[num_users:], centroids)]


def _factors(config: TableConfig, pairs: csr_matrix, seed: int) -> dict[str, np.ndarray]:
    """Return factors by side whose rows have the root mean square length ``start_norm``."""
    factors = assignment.normalised_factors(
        pairs, config.embedding_dim, seed, smoothing=config.smoothing
    )
    sides = factors.vectors(config.power)
    mean_square = np.square(np.concatenate(sides), dtype=np.float64).sum(axis=1).mean()
    scale = np.float32(config.start_norm / np.sqrt(mean_square))
    return {name: side * scale for name, side in zip(SIDES, sides, strict=True)}
