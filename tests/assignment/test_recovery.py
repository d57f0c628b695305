"""Synthetic data of known similarities, and the share of sub-ids that neighbours have in common."""

import json

import numpy as np
import pytest

from urecjpq import InputError
from urecjpq.assignment import assign_by_kmeans, assign_by_random
from urecjpq.assignment.recovery import draw_known_items, shared_by_chance, shared_sub_ids


@pytest.fixture(scope="module")
def known():
    return draw_known_items(600, 300, 40, num_clusters=15)


def test_users_choose_each_item_once_and_the_same_at_every_density(known):
    few, many = known.interactions(5), known.interactions(40)
    assert few.shape == many.shape == (600, 300)
    assert many.max() == 1 and many.nnz == 600 * 40
    assert few.multiply(many).nnz == few.nnz == 600 * 5


def test_first_choices_are_more_to_the_taste_than_last_ones(known):
    def likeness(choices):
        return np.mean([known.vectors[row] @ known.vectors[row].T for row in choices])

    assert likeness(known.choices[:, :5]) > likeness(known.choices[:, -5:]) + 0.05


def test_neighbours_are_the_nearest_by_cosine(known):
    neighbours = known.neighbours(4)
    similarities = known.vectors @ known.vectors.T
    for item in (0, 17, 299):
        others = np.delete(np.arange(300), item)
        least = similarities[item, neighbours[item]].min()
        assert item not in neighbours[item]
        assert (similarities[item, others] > least).sum() == 3


def test_the_same_seed_draws_the_same(known):
    again = draw_known_items(600, 300, 40, num_clusters=15)
    assert np.array_equal(known.choices, again.choices)
    other = draw_known_items(600, 300, 40, num_clusters=15, seed=1)
    assert not np.array_equal(known.choices, other.choices)


def test_shares_by_hand():
    codes = np.array([[0, 0], [0, 1], [1, 1], [0, 0]])
    assert shared_sub_ids(codes, np.array([[1], [0], [1], [0]])) == (1 + 1 + 1 + 2) / 8
    # Split 0: three of six pairs are equal; split 1: two.
    assert shared_by_chance(codes) == pytest.approx((3 + 2) / 12)


def test_kmeans_finds_neighbours_and_random_does_not(known):
    neighbours, interactions = known.neighbours(10), known.interactions(40)
    kmeans = assign_by_kmeans(interactions, 4, 16, embedding_dim=16).codes
    assert shared_sub_ids(kmeans, neighbours) > 3 * shared_by_chance(kmeans)
    random = assign_by_random(300, 4, 16).codes
    assert shared_sub_ids(random, neighbours) < 1.3 * shared_by_chance(random)


@pytest.mark.parametrize("wrong", [{"num_choices": 301}, {"num_choices": 0}, {"num_clusters": 2}])
def test_sizes_that_do_not_fit_are_refused(wrong):
    given = {"num_users": 5, "num_items": 300, "num_choices": 5, "num_clusters": 3} | wrong
    with pytest.raises(InputError, match=f"{next(iter(wrong))} must"):
        draw_known_items(**given)


def test_the_recipe_compares_every_strategy(recipe, tmp_path, capsys):
    small = "--users 400 --items 300 --clusters 15 --seeds 0 --out".split()
    recipe("codes_recovered", *small, tmp_path)
    strategies = ["random", "quotient_remainder", "svd", "bpr", "kmeans"]
    assert [row.split()[0] for row in capsys.readouterr().out.splitlines()[1:]] == strategies
    lines = [json.loads(x) for x in (tmp_path / "codes-recovered.jsonl").read_text().splitlines()]
    dense = {x["strategy"]: x for x in lines if x["actions_per_user"] == 80}
    assert dense["kmeans"]["shared"] > dense["svd"]["shared"] > 2 * dense["svd"]["by_chance"]
    assert (tmp_path / "codes-recovered.png").read_bytes().startswith(b"\x89PNG")
