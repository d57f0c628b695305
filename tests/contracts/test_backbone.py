"""What every backbone promises over every kind of table."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from urecjpq.build import build_backbone, build_tables
from urecjpq.config import TableConfig
from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.graphs import FREEDOMConfig, LightGCNConfig
from urecjpq.sampling import Triples, TripleSampler
from urecjpq.tables import JPQEmbedding
from urecjpq.testing import tiny_catalogue

DIM = 8
SIZES = {"embedding_dim": DIM, "code_length": 4, "codebook_size": 8}
BACKBONES = {
    "lightgcn": LightGCNConfig(),
    "lightgcn, no layers": LightGCNConfig(num_layers=0),
    "freedom": FREEDOMConfig(),
    "freedom, features heavy": FREEDOMConfig(edge_dropout=0.0, feature_weight=1.0),
}
TABLES = {
    "full": TableConfig(**SIZES),
    "full, factors": TableConfig(start="factors", **SIZES),
    "quotient_remainder": TableConfig(kind="quotient_remainder", **SIZES),
    "jpq random": TableConfig(kind="jpq", strategy="random", **SIZES),
    "jpq svd": TableConfig(kind="jpq", strategy="svd", **SIZES),
    "jpq bpr": TableConfig(kind="jpq", strategy="bpr", **SIZES),
    "jpq kmeans": TableConfig(kind="jpq", strategy="kmeans", **SIZES),
    "jpq kmeans, factors": TableConfig(kind="jpq", strategy="kmeans", start="factors", **SIZES),
}
every_backbone = pytest.mark.parametrize("backbone", BACKBONES)
every_table = pytest.mark.parametrize("table", TABLES)


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture(scope="module")
def tables_of(catalogue):
    """Build each kind of table once; every caller gets a copy."""
    import copy

    built = {}

    def tables(name, seed=0):
        key = (name, seed)
        if key not in built:
            built[key] = build_tables(TABLES[name], catalogue.matrix("train"), seed)
        return copy.deepcopy(built[key])

    return tables


def build(name, tables, catalogue, seed=0):
    given = (catalogue.matrix("train"), catalogue.neighbours, catalogue.features, seed)
    return build_backbone(BACKBONES[name], tables, *given)


def batch_of(catalogue, epoch=1):
    return next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(epoch))


@every_table
@every_backbone
def test_the_loss_is_finite_and_falls(backbone, table, catalogue, tables_of):
    model = build(backbone, tables_of(table), catalogue)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.start_epoch(np.random.default_rng(0))
    batch = batch_of(catalogue)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    assert loss.shape == ()
    assert torch.isfinite(torch.stack(losses)).all()
    assert losses[-1] < losses[0] - 0.01


@every_table
@every_backbone
def test_gradients_reach_both_tables(backbone, table, catalogue, tables_of):
    model = build(backbone, tables_of(table), catalogue)
    model.loss(batch_of(catalogue)).backward()
    for side in (model.user_table, model.item_table):
        (parameter,) = side.parameters()
        assert parameter is (side.centroids if isinstance(side, JPQEmbedding) else side.weight)
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().sum() > 0


@every_table
@every_backbone
def test_vectors_have_a_row_per_user_and_item(backbone, table, catalogue, tables_of):
    users, items = build(backbone, tables_of(table), catalogue).vectors()
    assert users.shape == (catalogue.num_users, DIM)
    assert items.shape == (catalogue.num_items, DIM)
    assert torch.isfinite(users).all()
    assert torch.isfinite(items).all()


@every_table
@every_backbone
def test_an_index_source_has_the_final_item_vectors(backbone, table, catalogue, tables_of):
    model = build(backbone, tables_of(table), catalogue)
    source = model.index_source()
    coded = isinstance(model.item_table, JPQEmbedding)
    assert (source is not None) == (coded and backbone == "lightgcn, no layers")
    if source is not None:
        assert torch.equal(source.weight, model.vectors()[1])


@every_backbone
def test_evaluation_mode_changes_no_vector(backbone, catalogue, tables_of):
    model = build(backbone, tables_of("jpq random"), catalogue)
    model.train()
    trained = model.vectors()
    model.eval()
    for one, other in zip(trained, model.vectors(), strict=True):
        assert torch.equal(one, other)


@every_table
@every_backbone
def test_the_same_seed_gives_the_same_bits(backbone, table, catalogue, tables_of):
    def steps(state):
        torch.manual_seed(state)  # the global state must not matter
        model = build(backbone, build_tables(TABLES[table], train, 3), catalogue, seed=3)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        model.start_epoch(np.random.default_rng(0))
        for epoch in (1, 2):
            model.loss(batch_of(catalogue, epoch)).backward()
            optimizer.step()
        return model.state_dict()

    train = catalogue.matrix("train")
    one, other = steps(0), steps(1)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@every_backbone
def test_another_seed_gives_other_values(backbone, catalogue):
    train = catalogue.matrix("train")
    for table in ("full", "jpq random", "quotient_remainder"):
        one, other = (
            build(backbone, build_tables(TABLES[table], train, seed), catalogue, seed)
            for seed in (0, 1)
        )
        assert not torch.equal(one.vectors()[0], other.vectors()[0])


def permuted(catalogue, users, items):
    """The catalogue in which row ``r`` is what row ``users[r]`` or ``items[r]`` was before."""
    user_rows, item_rows = np.argsort(users), np.argsort(items)
    pairs = catalogue.interactions
    lists = {
        name: np.where(given.item_ids >= 0, item_rows[given.item_ids], -1)[items]
        for name, given in catalogue.neighbours.items()
    }
    return replace(
        catalogue,
        interactions=replace(
            pairs,
            users=user_rows[pairs.users].astype(np.int32),
            items=item_rows[pairs.items].astype(np.int32),
        ),
        features={
            name: Features(given.values[items], given.present[items])
            for name, given in catalogue.features.items()
        },
        neighbours={
            name: Neighbours(ids.astype(np.int32), np.zeros(ids.shape, dtype=np.float32))
            for name, ids in lists.items()
        },
    )


@pytest.mark.parametrize("table", ["full", "jpq random"])
@every_backbone
def test_permuting_users_and_items_permutes_scores_and_keeps_the_loss(
    backbone, table, catalogue, tables_of
):
    rng = np.random.default_rng(0)
    users, items = rng.permutation(catalogue.num_users), rng.permutation(catalogue.num_items)
    tables = tables_of(table)
    moved = tables_of(table)
    for side, rows in zip(moved, (users, items), strict=True):
        if isinstance(side, JPQEmbedding):
            side.set_codes(side.codes[torch.from_numpy(rows)])
        else:
            side.weight.data.copy_(side.weight.data[torch.from_numpy(rows)])
    model = build(backbone, tables, catalogue)
    other = build(backbone, moved, permuted(catalogue, users, items))
    expected, found = (v[0] @ v[1].T for v in (model.vectors(), other.vectors()))
    torch.testing.assert_close(found, expected[users][:, items], rtol=1e-5, atol=1e-6)

    batch = batch_of(catalogue)
    user_rows, item_rows = (torch.from_numpy(np.argsort(rows)) for rows in (users, items))
    same = Triples(user_rows[batch.users], item_rows[batch.positives], item_rows[batch.negatives])
    torch.testing.assert_close(other.loss(same), model.loss(batch), rtol=1e-5, atol=1e-6)


@every_table
@every_backbone
def test_state_is_the_whole_of_what_is_trained(backbone, table, catalogue, tables_of):
    model = build(backbone, tables_of(table), catalogue)
    other = build(backbone, build_tables(TABLES[table], catalogue.matrix("train"), 1), catalogue, 1)
    other.load_state_dict(model.state_dict())
    for one, loaded in zip(model.vectors(), other.vectors(), strict=True):
        assert torch.equal(one, loaded)


@every_backbone
def test_two_users_who_touched_nothing_are_no_trouble(backbone, catalogue, tables_of):
    lone = catalogue.matrix("train").tolil()
    lone[0] = 0
    train = csr_matrix(lone)
    train.eliminate_zeros()
    given = (train, catalogue.neighbours, catalogue.features, 0)
    model = build_backbone(BACKBONES[backbone], tables_of("full"), *given)
    model.start_epoch(np.random.default_rng(0))
    loss = model.loss(next(TripleSampler(train, 10_000, 0).epoch(1)))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
