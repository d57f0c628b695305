"""Item–item graphs from lists of neighbours."""

from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from urecjpq.data.catalogue import Neighbours
from urecjpq.errors import require


def neighbour_matrix(neighbours: Neighbours) -> sp.csr_matrix:
    """Return the neighbour lists as a directed graph in which the k edges of an item weigh 1/k.

    Missing neighbours (id −1) are no edges, and the rest of the list shares the weight.
    """
    counts = (neighbours.item_ids >= 0).sum(axis=1, keepdims=True)
    return _from_lists(
        neighbours, np.broadcast_to(1 / np.maximum(counts, 1), neighbours.item_ids.shape)
    )


def similarity_matrix(neighbours: Neighbours) -> sp.csr_matrix:
    """Return ``D^-½ S D^-½`` for the cosines S of the neighbour lists, D the row sums of S.

    A row whose cosines do not sum to more than zero has, and is, no neighbour.

    Source: LATTICE (arXiv:2104.09036); MGCN and SMORE take the same.
    """
    cosines = _from_lists(neighbours, neighbours.similarities)
    sums = np.asarray(cosines.sum(axis=1)).ravel()
    scale = sp.diags_array(np.where(sums > 0, np.maximum(sums, 1e-12) ** -0.5, 0))
    return (scale @ cosines @ scale).tocsr()


def _from_lists(neighbours: Neighbours, values: np.ndarray) -> sp.csr_matrix:
    known = neighbours.item_ids >= 0
    starts = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
    cells = values[known].astype(np.float32), neighbours.item_ids[known], starts
    return sp.csr_matrix(cells, shape=(len(known), len(known)))


def check_neighbours(neighbours: Mapping[str, Neighbours], num_items: int) -> None:
    """Refuse neighbours of no modality, and those of other items.

    Raises:
        InputError: No graph, other rows than items, or a neighbour that is no item.
    """
    hint = "Compute them with urecjpq.graphs.neighbours.with_neighbours, or give the card some."
    require(bool(neighbours), "neighbours must hold at least one modality", "none", hint)
    for name, given in neighbours.items():
        rows = len(given.item_ids)
        require(rows == num_items, f"{name} neighbours must have {num_items} rows", rows)
        low, high = int(given.item_ids.min(initial=-1)), int(given.item_ids.max(initial=-1))
        rule = f"{name} neighbours must be −1 or lie in [0, {num_items})"
        require(low >= -1 and high < num_items, rule, low if low < -1 else high)


def blend(
    neighbours: Mapping[str, Neighbours], weights: Mapping[str, float] | None, num_items: int
) -> sp.csr_matrix:
    """Return the weighted sum of the neighbour graphs. Shape ``(num_items, num_items)``.

    Args:
        neighbours: Item graph of each modality, at least one.
        weights: Share of each modality; equal shares if None.
        num_items: Rows that each graph must have.

    Raises:
        InputError: No graph, a graph of other items, or weights for other modalities.
    """
    check_neighbours(neighbours, num_items)
    weights = weights or {name: 1 / len(neighbours) for name in neighbours}
    require(
        weights.keys() == neighbours.keys(),
        f"modality_weights must name the modalities {sorted(neighbours)}",
        sorted(weights),
    )
    return sum(weights[name] * neighbour_matrix(neighbours[name]) for name in sorted(neighbours))
