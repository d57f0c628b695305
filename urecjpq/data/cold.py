"""Items held out altogether: in the catalogue, and in no interaction that a model is trained on."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from urecjpq.data.catalogue import PARTITIONS, Catalogue
from urecjpq.errors import require


class ColdItems(NamedTuple):
    """A catalogue whose cold items nobody touched, and what people did with them.

    Args:
        catalogue: Same users and items; interactions with cold items are left out.
        items: Rows of the cold items, ascending, int64.
        touched: Who touched which cold item, any partition; rows are users with a training
            interaction left. Shape ``(num_users, num_items)``.
    """

    catalogue: Catalogue
    items: np.ndarray
    touched: csr_matrix


def hold_out_items(catalogue: Catalogue, share: float = 0.1, seed: int = 0) -> ColdItems:
    """Return the catalogue with a share of its items made cold.

    Drawn evenly from the items with features of every modality and an interaction, so popular and
    rare ones alike. Users who only touched cold items keep their rows, without interactions.

    Args:
        catalogue: Partitioned, with features.
        share: Of those items, in (0, 1).
        seed: Of the draw.

    Raises:
        InputError: No features, a share out of range, or so small that no item is drawn.
    """
    require(0 < share < 1, "share must lie between 0 and 1", share)
    require(bool(catalogue.features), "catalogue must have features", "none", "Name an encoder.")
    described = np.all([features.present for features in catalogue.features.values()], axis=0)
    used = np.zeros(catalogue.num_items, dtype=bool)
    used[catalogue.interactions.items] = True
    candidates = np.flatnonzero(described & used)
    count = round(share * len(candidates))
    require(count > 0, "share must leave at least one cold item", share)
    chosen = np.random.default_rng([seed, 7]).permutation(candidates)[:count]
    cold = np.zeros(catalogue.num_items, dtype=bool)
    cold[chosen] = True
    pairs = catalogue.interactions
    warm = catalogue.with_interactions(pairs.select(~cold[pairs.items]))
    known = np.diff(warm.matrix(PARTITIONS[0]).indptr) > 0
    kept = pairs.select(cold[pairs.items] & known[pairs.users])
    ones = np.ones(len(kept), dtype=np.float32)
    shape = (catalogue.num_users, catalogue.num_items)
    touched = csr_matrix((ones, (kept.users, kept.items)), shape=shape)
    return ColdItems(warm, np.flatnonzero(cold), touched)
