"""The k nearest by cosine, exactly: float32 products find candidates, float64 sums decide.

A product of float32 vectors of length 1 is off by less than f/2^23, in whatever order it is summed:
what lies further than that below the k-th cosine found so far can be no neighbour. The cosines of
the few that are left are summed in float64 in a fixed order. So lists and bits depend on the
features alone, not on threads or device.
"""

from collections.abc import Iterator

import numpy as np
import torch

from urecjpq.data.catalogue import Features

ROWS, COLUMNS = 4096, 2048
NUMBERS = 2**21
"""Of candidates' vectors that are held at once."""
Best = tuple[np.ndarray, np.ndarray]
"""Items, −1 where there are none, and cosines, −inf where there are none. Shapes ``(rows, k)``."""


def distinct_items(features: Features, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Find items with equal features, which have equal lists.

    Returns:
        The first item that is equal to each (to absent ones they themselves), shape
        ``(num_items,)``; and the items that can be neighbours, ascending: k equal ones at most.
    """
    present = np.flatnonzero(features.present)
    weights = np.random.default_rng(0).standard_normal(features.width)
    keys = [np.zeros(0), *(_dot(rows, weights) for _, rows in _blocks(features, present))]
    _, position, inverse = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
    guess = present[position[inverse]]
    same = [np.zeros(0, dtype=bool)]
    for at, rows in _blocks(features, present):
        same.append((rows == features.rows(guess[at])).all(axis=1))
    first_of = np.arange(len(features.present))
    first_of[present] = np.where(np.concatenate(same), guess, present)
    order = np.argsort(first_of[present], kind="stable")
    sets = first_of[present][order]
    number = np.arange(len(sets)) - np.searchsorted(sets, sets)
    return first_of, np.sort(present[order[number < k]])


def nearest(
    features: Features, rows: np.ndarray, columns: np.ndarray, k: int, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k of ``columns`` nearest to each of ``rows``, of equal ones the lower first.

    Returns:
        Items, int32, −1 where there are none, and cosines, float32, 0 where there are none. Shapes
        ``(len(rows), k)``.
    """
    units = _unit(features.rows(rows))
    left = torch.from_numpy(units).to(device)
    error = units.shape[1] / 2**23
    best = np.full((len(rows), k), -1), np.full((len(rows), k), -np.inf)
    for at, values in _blocks(features, columns):
        others = _unit(values)
        products = left @ torch.from_numpy(others).to(device).T
        floor = torch.from_numpy(best[1][:, -1].astype(np.float32)).to(device) - error
        if at.start == 0 and k <= products.shape[1]:
            floor = products.topk(k).values[:, -1] - 2 * error
        row, column = (products >= floor[:, None]).nonzero().cpu().numpy().T
        best = _merge(best, row, columns[at][column], _cosines(units, others, row, column))
    item_ids, cosines = best
    return item_ids.astype(np.int32), np.where(item_ids >= 0, cosines, 0).astype(np.float32)


def _blocks(features: Features, items: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    for start in range(0, len(items), COLUMNS):
        at = slice(start, start + COLUMNS)
        yield at, features.rows(items[at])


def _merge(best: Best, row: np.ndarray, ids: np.ndarray, cosines: np.ndarray) -> Best:
    """Return the k best of each row among those of ``best`` and the candidates."""
    count, k = best[0].shape
    row = np.concatenate([np.repeat(np.arange(count), k), row])
    ids = np.concatenate([best[0].ravel(), ids])
    cosines = np.concatenate([best[1].ravel(), cosines])
    order = np.lexsort((ids, -cosines, row))
    first = np.searchsorted(row[order], np.arange(count))
    chosen = order[first[:, None] + np.arange(k)]
    return ids[chosen], cosines[chosen]


def _cosines(
    left: np.ndarray, right: np.ndarray, row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    size = max(1, NUMBERS // left.shape[1])
    parts = [np.zeros(0)]
    for start in range(0, len(row), size):
        at = slice(start, start + size)
        parts.append(_dot(left[row[at]], right[column[at]]))
    return np.concatenate(parts)


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return row sums of products; each depends on its own rows alone, unlike matmul's."""
    return np.multiply(left, right, dtype=np.float64).sum(axis=1)


def _unit(values: np.ndarray) -> np.ndarray:
    wide = values.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True)
    wide /= np.where(largest > 0, largest, 1)  # squares of float64 values may be infinite
    lengths = np.sqrt(_dot(wide, wide))[:, None]
    return (wide / np.where(lengths > 0, lengths, 1)).astype(np.float32)
