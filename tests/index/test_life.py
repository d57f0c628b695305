"""Items come, change and go: every answer is that of an index built anew, and ids stay."""

import numpy as np
import pytest
import torch

from urecjpq.index import TopKIndex
from urecjpq.tables import JPQEmbedding

M, B, DIM = 4, 16, 12
KINDS = ("codes", "wide codes", "vectors", "unquantised")
every_kind = pytest.mark.parametrize("kind", KINDS)


class Shop:
    """An index, and beside it what it should hold."""

    def __init__(self, kind: str, num_items: int = 300) -> None:
        self.kind, self.rng = kind, np.random.default_rng(len(kind))
        self.b = 300 if kind == "wide codes" else B
        self.centroids = self.rng.normal(size=(M, self.b, DIM // M)).astype(np.float32)
        self.items = self.more(num_items)
        self.listed = np.ones(num_items, dtype=bool)
        self.index = self.made(self.items)

    def more(self, count: int) -> np.ndarray:
        if "codes" in self.kind:
            return self.rng.integers(0, self.b, (count, M))
        return self.rng.normal(size=(count, DIM)).astype(np.float32)

    def made(self, items: np.ndarray) -> TopKIndex:
        if "codes" in self.kind:
            return TopKIndex.from_codes(items, self.centroids)
        return TopKIndex.from_vectors(items, M if self.kind == "vectors" else None, B)

    def add(self, count: int) -> np.ndarray:
        items = self.more(count)
        ids = self.index.add(items)
        self.items = np.concatenate([self.items, items])
        self.listed = np.append(self.listed, np.ones(count, dtype=bool))
        return ids

    def replace(self, ids: np.ndarray) -> None:
        items = self.more(len(ids))
        self.index.replace(ids, items)
        self.items[ids] = items

    def remove(self, ids: np.ndarray) -> None:
        self.index.remove(ids)
        self.listed[ids] = False

    def check(self, k: int = 20) -> None:
        """A new index of the items that are left answers the same, by the same ids."""
        queries = self.rng.normal(size=(5, DIM)).astype(np.float32)
        left = np.flatnonzero(self.listed)
        expected = self.made(self.items[left]).search(queries, k, method="pqtopk")
        ids = np.where(expected.ids < 0, -1, left[expected.ids])
        for method in ("pqtopk", "scan", "prune"):
            found = self.index.search(queries, k, method=method)
            assert np.array_equal(found.ids, ids), method
            assert np.array_equal(found.scores.view(np.int32), expected.scores.view(np.int32)), (
                method
            )
        assert self.index.num_items == len(left)
        assert self.index.num_ids == len(self.items)
        kept, codes = self.index.codes()
        assert np.array_equal(kept, left)
        if "codes" in self.kind:
            assert np.array_equal(codes, self.items[left])


@every_kind
def test_a_life(kind):
    shop = Shop(kind)
    shop.check()
    assert shop.add(70).tolist() == list(range(300, 370))
    shop.check()
    shop.replace(np.array([369, 0, 299, 300, 5]))  # not ascending; of the base and of the tail
    shop.check()
    shop.remove(np.array([1, 0, 310, 369]))
    shop.check()
    assert shop.add(1).tolist() == [370]  # the id of a removed item is not given again
    shop.check()
    shop.index.compact()
    shop.check()
    shop.remove(np.array([2, 370]))
    assert shop.add(3).tolist() == [371, 372, 373]
    shop.replace(np.array([371, 3]))
    shop.check()
    shop.index.compact()
    shop.index.compact()
    shop.check()


@every_kind
def test_down_to_one_item_and_up_again(kind):
    shop = Shop(kind, 100)
    shop.add(10)
    shop.remove(np.arange(100))  # the base is empty, the tail is not
    shop.check()
    shop.index.compact()
    shop.remove(np.arange(100, 109))
    shop.check()
    shop.add(200)
    shop.remove(np.array([109]))
    shop.check()
    shop.index.compact()
    shop.check()


@every_kind
@pytest.mark.parametrize("seed", range(4))
def test_random_lives(kind, seed):
    shop = Shop(kind, 130)
    shop.rng = np.random.default_rng([seed, len(kind)])
    for _ in range(12):
        here = np.flatnonzero(shop.listed)
        some = shop.rng.choice(here, int(shop.rng.integers(1, 1 + len(here) // 3)), replace=False)
        {
            "add": lambda some: shop.add(len(some)),
            "replace": shop.replace,
            "remove": shop.remove,
            "compact": lambda _: shop.index.compact(),
        }[str(shop.rng.choice(["add", "add", "replace", "remove", "compact"]))](some)
        shop.check(k=int(shop.rng.choice([1, 20, 200])))


@every_kind
def test_a_compiled_mask_follows_changes(kind):
    shop = Shop(kind)
    mask = shop.rng.random(300) < 0.3
    allowed = shop.index.allow(mask)
    queries = shop.rng.normal(size=(5, DIM)).astype(np.float32)

    def check():
        now = np.zeros(shop.index.num_ids, dtype=bool)
        now[:300] = mask  # what came later is not allowed
        for method in ("pqtopk", "scan", "prune", "dense"):
            expected = shop.index.search(queries, 10, allow=now, method=method)
            found = shop.index.search(queries, 10, allow=allowed, method=method)
            assert np.array_equal(found.ids, expected.ids)
            assert now[found.ids].all()

    check()
    shop.add(90)
    check()
    shop.replace(np.flatnonzero(mask)[:20])  # they move to the tail, where they stay allowed
    check()
    shop.remove(np.flatnonzero(mask)[:10])
    check()
    shop.index.compact()
    check()


def test_exclusions_reach_the_tail():
    shop = Shop("codes")
    new = shop.add(50)
    queries = shop.rng.normal(size=(3, DIM)).astype(np.float32)
    for method in ("pqtopk", "scan", "prune", "dense"):
        found = shop.index.search(queries, 350, exclude=[new, [0, 349], None], method=method)
        assert not np.isin(found.ids[0], new).any()
        assert not np.isin(found.ids[1], [0, 349]).any()
        assert (found.ids >= 0).sum(1).tolist() == [300, 348, 350]


def test_adding_nothing_changes_nothing():
    shop = Shop("codes")
    assert shop.index.add(np.empty((0, M), dtype=int)).shape == (0,)
    shop.index.replace(np.empty(0, dtype=int), np.empty((0, M), dtype=int))
    shop.index.remove(np.empty(0, dtype=int))
    shop.check()


def test_a_mask_is_copied():
    shop = Shop("codes")
    queries = shop.rng.normal(size=(5, DIM)).astype(np.float32)
    mask = shop.rng.random(300) < 0.5
    allowed = shop.index.allow(mask)
    before = shop.index.search(queries, allow=allowed)
    mask[:] = False
    shop.index.compact()
    shop.add(1)
    assert np.array_equal(shop.index.search(queries, allow=allowed).ids, before.ids)


def test_training_a_table_further_leaves_its_index_alone():
    """No method reads the parameter: they would disagree, and about scores of no single moment."""
    table = JPQEmbedding(np.random.default_rng(0).integers(0, B, (300, M)), DIM, B)
    index = TopKIndex.from_table(table)
    queries = torch.randn(5, DIM)
    before = [index.search(queries, method=method) for method in ("pqtopk", "dense")]
    with torch.no_grad():
        table.centroids.mul_(-1)
        table.codes.zero_()
    for method, expected in zip(("pqtopk", "dense"), before, strict=True):
        found = index.search(queries, method=method)
        assert np.array_equal(found.ids, expected.ids)
        assert np.array_equal(found.scores, expected.scores)
    assert not np.array_equal(index.centroids, table.centroids.detach().numpy())


@pytest.mark.parametrize("padding_idx", [0, 17])
def test_the_row_of_padding_is_no_item(padding_idx):
    codes = torch.randint(4, (40, 2), generator=torch.Generator().manual_seed(0))
    table = JPQEmbedding(codes, 8, codebook_size=4, padding_idx=padding_idx)
    found = TopKIndex.from_table(table).search(torch.randn(3, 8), k=40)
    listed = set(range(40)) - {padding_idx}
    assert all(set(ids) == listed | {-1} for ids in found.ids.tolist())


def test_padding_among_special_tokens_leaves_every_item():
    table = JPQEmbedding(torch.zeros(5, 2), 8, codebook_size=4, special_tokens=2, padding_idx=6)
    assert TopKIndex.from_table(table).num_items == 5
