from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from urecjpq.data import (
    Catalogue,
    Features,
    Interactions,
    Neighbours,
    drop_untrained_users,
    filter_k_core,
    select_rows,
)
from urecjpq.errors import InputError


def catalogue(pairs, num_users=4, num_items=4, **known):
    users, items = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    user_ids = np.array([f"u{row}" for row in range(num_users)], dtype=object)
    item_ids = np.array([f"i{row}" for row in range(num_items)], dtype=object)
    return Catalogue("tiny", user_ids, item_ids, Interactions(users, items), **known)


def raw_pairs(found):
    parts = found.interactions
    return list(zip(found.user_ids[parts.users], found.item_ids[parts.items], strict=True))


def naive_k_core(pairs, k_users, k_items):
    while True:
        kept = [
            (user, item)
            for user, item in pairs
            if sum(u == user for u, _ in pairs) >= k_users
            and sum(i == item for _, i in pairs) >= k_items
        ]
        if kept == pairs:
            return kept
        pairs = kept


def test_dropping_an_item_can_drop_a_user_and_so_on():
    # i3 has one user; without it u2 has one item left; the square of u0, u1 and i0, i1 stays.
    pairs = [(0, 0), (1, 0), (2, 3), (0, 1), (1, 1), (2, 0)]
    found = filter_k_core(catalogue(pairs), 2, 2)
    assert raw_pairs(found) == [("u0", "i0"), ("u1", "i0"), ("u0", "i1"), ("u1", "i1")]
    assert found.counts() == {"users": 2, "items": 2, "interactions": 4}


def test_zero_keeps_rows_without_interactions():
    assert filter_k_core(catalogue([(0, 0)]), 0, 0).counts()["users"] == 4
    found = filter_k_core(catalogue([(0, 0)]), 1, 0)
    assert (found.num_users, found.num_items) == (1, 4)


pairs_of_rows = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40, unique=True
)


@given(pairs_of_rows, st.integers(1, 4), st.integers(1, 4))
def test_equals_the_naive_loop(pairs, k_users, k_items):
    expected = [(f"u{u}", f"i{i}") for u, i in naive_k_core(pairs, k_users, k_items)]
    if not expected:
        with pytest.raises(InputError, match="must leave interactions of tiny; got none"):
            filter_k_core(catalogue(pairs, 8, 8), k_users, k_items)
        return
    found = filter_k_core(catalogue(pairs, 8, 8), k_users, k_items)
    assert raw_pairs(found) == expected
    assert set(found.user_ids) == {user for user, _ in expected}
    assert set(found.item_ids) == {item for _, item in expected}


def test_everything_known_of_the_items_follows_them():
    neighbours = Neighbours(
        np.array([[0, 1, 2], [1, 0, 3], [2, 3, 1], [3, 2, 0]], dtype=np.int32),
        np.array([[1, 0.9, 0.5], [1, 0.8, 0.4], [1, 0.7, 0.3], [1, 0.6, 0.2]], dtype=np.float32),
    )
    features = Features(np.eye(4, dtype=np.float16), np.array([True, False, True, True]))
    source = catalogue(
        [(0, 0), (1, 2), (1, 3), (2, 1)],
        features={"image": features},
        neighbours={"image": neighbours},
        titles=np.array(["A", "B", "C", "D"], dtype=object),
        images=[Path("a"), None, Path("c"), None],
    )
    found = select_rows(source, np.array([True] * 4), np.array([True, False, True, True]))
    assert raw_pairs(found) == [("u0", "i0"), ("u1", "i2"), ("u1", "i3")]
    assert found.titles.tolist() == ["A", "C", "D"]
    assert found.images == [Path("a"), Path("c"), None]
    assert found.features["image"].values.tolist() == np.eye(4)[[0, 2, 3]].tolist()
    assert found.features["image"].values.dtype == np.float16
    assert found.features["image"].present.tolist() == [True, True, True]
    # Item 1 is gone: what came after it moves up, and the row ends in -1 and 0.
    assert found.neighbours["image"].item_ids.tolist() == [[0, 1, -1], [1, 2, -1], [2, 1, 0]]
    expected = np.array([[1, 0.5, 0], [1, 0.7, 0], [1, 0.6, 0.2]], dtype=np.float32)
    assert (found.neighbours["image"].similarities == expected).all()
    # A second filter leaves the -1 of the first alone.
    again = select_rows(found, np.array([True] * 4), np.array([True, True, False]))
    assert again.neighbours["image"].item_ids.tolist() == [[0, 1, -1], [1, -1, -1]]


def test_optional_columns_follow_the_interactions():
    source = catalogue([(0, 0), (1, 1), (2, 2)], 3, 3)
    parts = replace(source.interactions, timestamps=np.array([5, 6, 7]))
    found = select_rows(
        source.with_interactions(parts), np.array([True, False, True]), np.ones(3, dtype=bool)
    )
    assert found.interactions.timestamps.tolist() == [5, 7]
    assert found.interactions.users.dtype == np.int32


def test_users_without_training_go_and_items_stay():
    source = catalogue([(0, 0), (1, 1), (0, 2)], 3, 3).with_partitions(np.array([0, 1, 2]))
    found = drop_untrained_users(source)
    assert found.user_ids.tolist() == ["u0"]
    assert raw_pairs(found) == [("u0", "i0"), ("u0", "i2")]
    assert found.num_items == 3


def test_negative_numbers_are_refused():
    with pytest.raises(InputError, match="k_users must be 0 or more; got -1"):
        filter_k_core(catalogue([(0, 0)]), -1, 0)
    with pytest.raises(InputError, match="k_items must be 0 or more; got -1"):
        filter_k_core(catalogue([(0, 0)]), 0, -1)
