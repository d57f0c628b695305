"""Smaller catalogues: some users and items, with everything that is known of them."""

from dataclasses import replace

import numpy as np

from urecjpq.data.catalogue import Catalogue, Neighbours
from urecjpq.errors import require


def filter_k_core(catalogue: Catalogue, k_users: int, k_items: int) -> Catalogue:
    """Return the largest part in which users and items all have enough interactions.

    Dropping an item can leave a user with too few, so the rule is applied until nothing changes;
    the outcome does not depend on the order.

    Args:
        catalogue: Interactions of all partitions count.
        k_users: Fewest interactions of a user; 0 keeps users without any.
        k_items: Fewest interactions of an item; 0 keeps items without any.

    Raises:
        InputError: A number is negative, or nothing is left.
    """
    require(k_users >= 0, "k_users must be 0 or more", k_users)
    require(k_items >= 0, "k_items must be 0 or more", k_items)
    users, items = catalogue.interactions.users, catalogue.interactions.items
    while True:
        keep_users = np.bincount(users, minlength=catalogue.num_users) >= k_users
        keep_items = np.bincount(items, minlength=catalogue.num_items) >= k_items
        kept = keep_users[users] & keep_items[items]
        if kept.all():
            break
        users, items = users[kept], items[kept]
    require(
        len(users) > 0,
        f"k_users and k_items must leave interactions of {catalogue.name}",
        f"none for {k_users} and {k_items}",
        "Choose smaller numbers.",
    )
    return select_rows(catalogue, keep_users, keep_items)


def drop_untrained_users(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue without users that have no training interaction; items all stay."""
    trained = np.zeros(catalogue.num_users, dtype=bool)
    trained[catalogue.partition("train").users] = True
    return select_rows(catalogue, trained, np.ones(catalogue.num_items, dtype=bool))


def select_rows(catalogue: Catalogue, users: np.ndarray, items: np.ndarray) -> Catalogue:
    """Return the catalogue of some users and items, numbered anew in their old order.

    Interactions with a user or item that goes are dropped, and features, titles, texts and images
    follow the items. A neighbour that goes leaves no gap: the others of its row move up, and the
    row ends in item id −1 with similarity 0 (see `Neighbours`).

    Args:
        catalogue: Left as it is.
        users: True for users to keep, shape ``(num_users,)``.
        items: True for items to keep, shape ``(num_items,)``.
    """
    if users.all() and items.all():
        return catalogue
    parts = catalogue.interactions
    kept = parts.select(users[parts.users] & items[parts.items])
    images = catalogue.images
    return replace(
        catalogue,
        user_ids=catalogue.user_ids[users],
        item_ids=catalogue.item_ids[items],
        interactions=replace(
            kept, users=_new_rows(users)[kept.users], items=_new_rows(items)[kept.items]
        ),
        features={
            k: replace(f, values=f.values[items], present=f.present[items])
            for k, f in catalogue.features.items()
        },
        neighbours={k: _neighbours(n, items) for k, n in catalogue.neighbours.items()},
        titles=None if catalogue.titles is None else catalogue.titles[items],
        texts=None if catalogue.texts is None else catalogue.texts[items],
        images=None if images is None else [images[row] for row in np.flatnonzero(items)],
    )


def _new_rows(keep: np.ndarray) -> np.ndarray:
    """Return the new row of each old one, −1 where it goes; the last entry keeps −1 at −1."""
    rows = np.full(len(keep) + 1, -1, dtype=np.int32)
    rows[:-1][keep] = np.arange(keep.sum(), dtype=np.int32)
    return rows


def _neighbours(neighbours: Neighbours, items: np.ndarray) -> Neighbours:
    item_ids = _new_rows(items)[neighbours.item_ids[items]]
    gone = item_ids < 0
    order = np.argsort(gone, axis=1, kind="stable")
    similarities = np.where(gone, np.float32(0), neighbours.similarities[items])
    return Neighbours(
        np.take_along_axis(item_ids, order, axis=1),
        np.take_along_axis(similarities, order, axis=1),
    )
