"""Item–item neighbours by cosine of frozen features."""

from dataclasses import replace

import numpy as np
import torch

from urecjpq.data.catalogue import Catalogue, Features, Neighbours
from urecjpq.errors import require

BLOCK = 1024


def cosine_neighbours(features: Features, k: int = 10) -> Neighbours:
    """Return the k items nearest to each by cosine, itself included, exactly and in blocks.

    Items without content are nobody's neighbours and have none: id −1, similarity 0.

    Args:
        features: Shape ``(num_items, f)``.
        k: Length of the lists, at least 1 and at most the number of items.

    Raises:
        InputError: ``k`` is out of range.

    Source: LATTICE (arXiv:2104.09036) and FREEDOM (arXiv:2211.06924) take k = 10.
    """
    num_items = len(features.present)
    require(1 <= k <= num_items, f"k must lie in [1, {num_items}], the number of items", k)
    values = torch.from_numpy(np.array(features.values, dtype=np.float32))
    vectors = torch.nn.functional.normalize(values, dim=1)
    absent = torch.from_numpy(~features.present)
    ids, similarities = [], []
    for block in vectors.split(BLOCK):
        cosines = (block @ vectors.T).masked_fill_(absent, -torch.inf)
        best = cosines.topk(k)
        ids.append(best.indices)
        similarities.append(best.values)
    item_ids, cosines = torch.cat(ids).numpy(), torch.cat(similarities).numpy()
    missing = np.isneginf(cosines) | ~features.present[:, None]
    return Neighbours(
        np.where(missing, -1, item_ids).astype(np.int32), np.where(missing, 0, cosines)
    )


def with_neighbours(catalogue: Catalogue, k: int = 10) -> Catalogue:
    """Return the catalogue with a neighbour graph for each modality that has features alone."""
    found = {
        name: cosine_neighbours(features, k)
        for name, features in catalogue.features.items()
        if name not in catalogue.neighbours
    }
    return replace(catalogue, neighbours={**catalogue.neighbours, **found})
