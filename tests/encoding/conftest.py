"""One shop, written once, for all tests of the encoders."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from urecjpq.data.catalogue import Catalogue, Interactions
from urecjpq.data.toy_shop import generate_toy_shop
from urecjpq.data.toy_shop_items import draw_items

NUM_ITEMS = 300


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """A shop's catalogue and the traits its items were drawn with."""
    folder = tmp_path_factory.mktemp("shop")
    generate_toy_shop(folder, num_users=20, num_items=NUM_ITEMS, num_interactions=100, seed=5)
    items = pd.read_csv(folder / "items.csv", dtype=str, keep_default_na=False)
    nobody = np.zeros(0, dtype=np.int32)
    catalogue = Catalogue(
        name="shop",
        user_ids=np.array([], dtype=object),
        item_ids=items.item_id.to_numpy(dtype=object),
        interactions=Interactions(nobody, nobody),
        titles=items.title.to_numpy(dtype=object),
        images=[folder / image if image else None for image in items.image],
    )
    traits = draw_items(NUM_ITEMS, np.random.default_rng([5, 0]))
    return SimpleNamespace(catalogue=catalogue, traits=traits)


@pytest.fixture
def likeness():
    """Mean cosine within a trait, and between different values of it."""

    def measure(features, trait):
        rows = features.values[features.present]
        trait = trait[features.present]
        cosines = rows @ rows.T
        same = trait[:, None] == trait
        np.fill_diagonal(same, False)
        other = trait[:, None] != trait
        return cosines[same].mean(), cosines[other].mean()

    return measure
