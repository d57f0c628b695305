"""Exact ranking against a stable sort, and the evaluation of a partition."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from urecjpq.data.catalogue import Catalogue, Features, Interactions
from urecjpq.errors import InputError
from urecjpq.evaluation import evaluate, rank_items
from urecjpq.index import dense
from urecjpq.list_metrics import popularity_bands


def make_catalogue(num_users=60, num_items=40, seed=0, shares=(0.6, 0.2, 0.2)):
    rng = np.random.default_rng(seed)
    pairs = np.flatnonzero(rng.random(num_users * num_items) < 0.15)
    users, items = np.divmod(pairs, num_items)
    partitions = rng.choice(3, len(pairs), p=shares).astype(np.int8)
    interactions = Interactions(users.astype(np.int32), items.astype(np.int32), partitions)
    ids = [np.array([f"{kind}{n}" for n in range(count)], dtype=object)
           for kind, count in (("u", num_users), ("i", num_items))]  # fmt: skip
    return Catalogue("made", *ids, interactions)


def random_vectors(catalogue, dim=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = (catalogue.num_users, catalogue.num_items)
    return [torch.randn(size, dim, generator=generator) for size in sizes]


def sorted_lists(user_vectors, item_vectors, users, exclude, k):
    """The same lists by a stable sort of every score."""
    scores = (user_vectors @ item_vectors.T).numpy()[users]
    scores[exclude[users].toarray() > 0] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.where(np.isinf(np.take_along_axis(scores, order, 1)), -1, order)
    return np.pad(best, ((0, 0), (0, k - best.shape[1])), constant_values=-1)


@pytest.mark.parametrize("seed", range(40))
def test_lists_equal_a_stable_sort_ties_and_exclusions_included(seed):
    rng = np.random.default_rng(seed)
    num_users, num_items, k = rng.integers(1, 600), rng.integers(1, 40), int(rng.integers(1, 50))
    # Small whole numbers: sums are exact in any order, and most scores have an equal.
    users, items = (
        torch.from_numpy(rng.integers(-2, 3, (n, 3))).float() for n in (num_users, num_items)
    )
    exclude = csr_matrix((rng.random((num_users, num_items)) < rng.random()).astype(np.float32))
    asked = rng.permutation(num_users)[: rng.integers(1, num_users + 1)]
    found = rank_items(users, items, asked, exclude, k)
    assert found.dtype == torch.int64
    assert np.array_equal(found.numpy(), sorted_lists(users, items, asked, exclude, k))


def test_excluded_items_are_never_returned():
    catalogue = make_catalogue(300, 50)
    seen = catalogue.matrix("train")
    lists = rank_items(*random_vectors(catalogue), np.arange(300), seen, 50).numpy()
    listed = [set(row[row >= 0]) for row in lists]
    for user in range(300):
        assert listed[user] == set(range(50)) - set(seen[user].indices)
    assert (np.diff((lists >= 0).astype(int), axis=1) <= 0).all()  # padding comes last


def test_lists_depend_neither_on_threads_nor_on_blocks_nor_on_company(monkeypatch):
    catalogue = make_catalogue(700, 333)
    vectors, seen, users = random_vectors(catalogue, 64), catalogue.matrix("train"), np.arange(700)
    expected = rank_items(*vectors, users, seen, 20)
    torch.set_num_threads(2)
    assert torch.equal(rank_items(*vectors, users, seen, 20), expected)
    some = np.array([699, 3, 256, 3])
    assert torch.equal(rank_items(*vectors, some, seen, 20), expected[some])
    for block in (64, 512):
        monkeypatch.setattr(dense, "BLOCK", block)
        assert torch.equal(rank_items(*vectors, users, seen, 20), expected)
    monkeypatch.setattr(dense, "BLOCK_SCORES", 333 * 100)  # as if there were many items
    assert torch.equal(rank_items(*vectors, users, seen, 20), expected)


def test_nothing_excluded_nobody_asked_and_other_types():
    users, items = torch.eye(2, dtype=torch.float64), torch.eye(2, dtype=torch.float16)
    assert rank_items(users, items, np.array([1, 0]), None, 3).tolist() == [[1, 0, -1], [0, 1, -1]]
    assert rank_items(users, items, np.array([], dtype=int), None, 3).shape == (0, 3)
    trained = torch.eye(2, requires_grad=True)
    assert not rank_items(trained, trained, np.arange(2), csr_matrix((2, 2)), 1).requires_grad


def test_the_evaluation_equals_a_loop_over_users():
    catalogue = make_catalogue()
    users, items = random_vectors(catalogue)
    found = evaluate(users, items, catalogue, "test", ks=(5,))
    seen, relevant = catalogue.matrix("train").toarray(), catalogue.matrix("test").toarray()
    scores = np.where(seen > 0, -np.inf, (users @ items.T).numpy())
    recalls = {}
    for user in np.flatnonzero(relevant.any(1)):
        best = np.argsort(-scores[user])[:5]
        recalls[user] = relevant[user, best].sum() / relevant[user].sum()
    assert found.users.tolist() == list(recalls)
    assert found.per_user["recall@5"].tolist() == list(recalls.values())
    assert found.metrics["recall@5"] == pytest.approx(np.mean(list(recalls.values())))
    assert found.protocol == {"exclude": "train"}


def test_the_stricter_rule_drops_validation_items_too():
    catalogue = make_catalogue()
    users, items = random_vectors(catalogue)
    strict = evaluate(users, items, catalogue, "test", ks=(40,), exclude="train+valid")
    assert strict.protocol == {"exclude": "train+valid"}
    loose = evaluate(users, items, catalogue, "test", ks=(40,))
    # All candidates are listed: recall is 1 under both rules, but lists are shorter.
    assert strict.metrics["recall@40"] == loose.metrics["recall@40"] == 1.0
    assert strict.metrics["mrr@40"] > loose.metrics["mrr@40"]


def test_names_select_and_do_not_change_the_values():
    catalogue = make_catalogue()
    vectors = random_vectors(catalogue)
    features = {"image": Features(np.random.default_rng(0).random((40, 3)), np.ones(40, bool))}
    every = evaluate(*vectors, catalogue, "valid", features=features)
    few = evaluate(*vectors, catalogue, "valid", ks=(20,), names=("recall", "ndcg"))
    assert list(few.metrics) == ["recall@20", "ndcg@20"]
    assert few.metrics.items() <= every.metrics.items()
    kinds = {name.split("@")[0] for name in every.metrics}
    bands = popularity_bands(np.asarray(catalogue.matrix("train").sum(0)).ravel())
    found = {f"recall_{band}" for band, inside in bands.items() if inside.any()}
    ranking = {"recall", "ndcg", "hr", "mrr", "map", "precision"}
    assert kinds == ranking | {"coverage", "gini", "novelty", "diversity_image"} | found
    assert {name.split("@")[0] for name in every.per_user} == ranking


def test_permuting_items_changes_no_ranking_metric():
    catalogue = make_catalogue()
    users, items = random_vectors(catalogue)
    new = np.random.default_rng(1).permutation(40)
    moved = catalogue.interactions
    renamed = Interactions(moved.users, new[moved.items].astype(np.int32), moved.partitions)
    permuted = torch.empty_like(items)
    permuted[torch.from_numpy(new)] = items
    before = evaluate(users, items, catalogue, "test").metrics
    after = evaluate(users, permuted, catalogue.with_interactions(renamed), "test").metrics
    assert before == pytest.approx(after, abs=1e-12)


def test_an_empty_partition_is_refused():
    catalogue = make_catalogue(shares=(0.8, 0.2, 0.0))
    with pytest.raises(InputError, match="partition must hold interactions; got none in test"):
        evaluate(*random_vectors(catalogue), catalogue, "test")


@pytest.mark.parametrize("partition", ["valid", "test"])
def test_nothing_need_be_excluded(partition):
    catalogue = make_catalogue()
    users, items = random_vectors(catalogue)
    found = evaluate(users, items, catalogue, partition, exclude="none", ks=(40,))
    assert found.metrics["recall@40"] == 1.0
    assert found.metrics["coverage@40"] == 1.0
    assert found.protocol == {"exclude": "none"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partition": "train"}, "partition must be valid or test; got 'train'"),
        ({"exclude": "all"}, "exclude must be one of train, train[+]valid, none; got 'all'"),
        (
            {"partition": "valid", "exclude": "train+valid"},
            "exclude must be train or none where the part",
        ),
        ({"ks": (0, 10)}, "ks must be one or more lengths of 1 or more; got"),
        ({"ks": ()}, "ks must be one or more"),
        ({"names": ("recall", "auc")}, "names must be out of .*; got auc"),
        (
            {"user_vectors": torch.zeros(59, 8)},
            r"a row for each of 60 users and 40 items; got \(59",
        ),
        ({"user_vectors": torch.zeros(60, 7)}, r"must have shapes \(…, d\) and \(…, d\); got"),
        ({"item_vectors": torch.full((40, 8), torch.nan)}, "item_vectors must be finite; got NaN"),
    ],
)
def test_refusals(change, message):
    catalogue = make_catalogue()
    users, items = random_vectors(catalogue)
    arguments = {"user_vectors": users, "item_vectors": items, "partition": "test"} | change
    with pytest.raises(InputError, match=message):
        evaluate(catalogue=catalogue, **arguments)


def test_a_list_needs_a_length():
    with pytest.raises(InputError, match="k must be at least 1; got 0"):
        rank_items(torch.eye(2), torch.eye(2), np.arange(2), None, 0)
