"""Helpers of the tests, here because importlib mode does not let tests import each other."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urecjpq.data.catalogue import Catalogue

REPOSITORY = Path(__file__).parents[1]


def shared_data() -> Path:
    """Return the folder of real data sets, or skip the test where there is none."""
    named = os.environ.get("URECJPQ_SHARED_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        import pytest

        pytest.skip(f"no real data sets at {folder}; set URECJPQ_SHARED_DATA")
    return folder


WIDTHS = {"image": 6, "text": 5, "audio": 7}


def tiny_catalogue(
    num_users: int = 60,
    num_items: int = 40,
    seed: int = 0,
    modalities: tuple[str, ...] = ("image", "text"),
) -> "Catalogue":
    """Return users of two tastes, with features and neighbours of both tastes; quick to train on.

    Ids and titles are awkward on purpose; item 3 has no picture and item 5 no neighbour in texts;
    the last user and the last item occur in no interaction. Modalities are among `WIDTHS`.
    """
    import numpy as np

    from urecjpq.data.catalogue import Catalogue, Features, Interactions

    rng = np.random.default_rng([seed, num_users, num_items])
    taste = np.arange(num_items) % 2
    users, items, partitions = [], [], []
    for user in range(num_users - 1):
        likes = np.flatnonzero(taste[:-1] == user % 2)
        chosen = rng.permutation(likes)[: rng.integers(6, min(12, len(likes)) + 1)]
        users += [user] * len(chosen)
        items += chosen.tolist()
        partitions += [1, 2] + [0] * (len(chosen) - 2)
    values = {
        name: (rng.normal(size=(num_items, width)) + 2 * taste[:, None]).astype(np.float32)
        for name, width in WIDTHS.items()
    }
    present = {name: np.ones(num_items, dtype=bool) for name in values}
    present["image"][3] = False
    neighbours = {name: _nearest(given) for name, given in values.items()}
    neighbours["text"].item_ids[5] = -1
    values["image"][3] = np.nan
    return Catalogue(
        name="tiny",
        user_ids=_awkward_ids("user", num_users),
        item_ids=_awkward_ids("item", num_items),
        interactions=Interactions(
            np.array(users, dtype=np.int32),
            np.array(items, dtype=np.int32),
            np.array(partitions, dtype=np.int8),
        ),
        features={name: Features(values[name], present[name]) for name in modalities},
        neighbours={name: neighbours[name] for name in modalities},
        titles=np.array(
            [f'Item {i}, 5" \\ "é"' if i % 3 else "" for i in range(num_items)], object
        ),
    )


def _awkward_ids(kind: str, count: int):
    import numpy as np

    awkward = ["NA", "007", 'quo"te', "back\\slash", "#hash", "a b", "ünï", "1e5", "'", '"']
    rest = [f"{kind}{row}" for row in range(count - len(awkward))]
    return np.array((awkward + rest)[:count], dtype=object)


def _nearest(values, k: int = 4):
    import numpy as np

    from urecjpq.data.catalogue import Neighbours

    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    similarities = unit @ unit.T
    item_ids = np.argsort(-similarities, axis=1, kind="stable")[:, :k].astype(np.int32)
    item_ids[1, k // 2 :] = -1
    return Neighbours(item_ids, np.take_along_axis(similarities, item_ids.clip(0), axis=1))
