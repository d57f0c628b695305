"""What every backbone promises over every kind of table and any number of modalities."""

import copy
import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from urecjpq import describe, load_run, run_experiment
from urecjpq.build import build_backbone, build_tables
from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.graphs import BACKBONES
from urecjpq.sampling import Triples, TripleSampler
from urecjpq.table_config import TableConfig
from urecjpq.tables import JPQEmbedding
from urecjpq.testing import tiny_catalogue
from urecjpq.training import train_epoch

DIM = 8
SIZES = {"embedding_dim": DIM, "code_length": 4, "codebook_size": 8}
# Lists of all users, since ties for the last place go by row, which no permutation keeps.
SETTINGS = {"dualgnn": {"num_neighbours": 60}, "dragon": {"num_neighbours": 60}}
CASES = {name: config(**SETTINGS.get(name, {})) for name, config in BACKBONES.items()}
CASES |= {
    "lightgcn, no layers": BACKBONES["lightgcn"](num_layers=0),
    "freedom, features heavy": BACKBONES["freedom"](edge_dropout=0.0, feature_weight=1.0),
}
KINDS = {
    "full": TableConfig(**SIZES),
    "quotient_remainder": TableConfig(kind="quotient_remainder", **SIZES),
    "jpq": TableConfig(kind="jpq", strategy="random", **SIZES),
}
TABLES = KINDS | {
    "full, factors": TableConfig(start="factors", **SIZES),
    "jpq svd": TableConfig(kind="jpq", strategy="svd", **SIZES),
    "jpq bpr": TableConfig(kind="jpq", strategy="bpr", **SIZES),
    "jpq kmeans": TableConfig(kind="jpq", strategy="kmeans", **SIZES),
    "jpq kmeans, factors": TableConfig(kind="jpq", strategy="kmeans", start="factors", **SIZES),
}
MODALITIES = {"one": ("image",), "two": ("image", "text"), "three": ("image", "text", "audio")}


def uses(name, what):
    return what in CASES[name].MODEL.USES


def needs(name, what):
    """Whether the constructor insists on features or neighbours."""
    given = inspect.signature(CASES[name].MODEL).parameters
    return uses(name, what) and given[what].default is inspect.Parameter.empty


def cases():
    """Every backbone with one, two and three modalities, and with no features where it may."""
    for name in CASES:
        for count in MODALITIES if CASES[name].MODEL.USES else ():
            yield pytest.param(name, count, id=f"{name}-{count}")
        if not needs(name, "features"):
            yield pytest.param(name, "none", id=f"{name}-none")


every_backbone = pytest.mark.parametrize("backbone", CASES)
every_kind = pytest.mark.parametrize("table", KINDS)
every_case = pytest.mark.parametrize(("backbone", "count"), list(cases()))
with_features = pytest.mark.parametrize("backbone", [n for n in CASES if uses(n, "features")])


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture(scope="module")
def catalogue_of():
    """Catalogues by their number of modalities; with none, the neighbours of two are there."""
    found = {count: tiny_catalogue(modalities=names) for count, names in MODALITIES.items()}
    return (found | {"none": replace(found["two"], features={})}).__getitem__


@pytest.fixture(scope="module")
def tables_of(catalogue):
    """Build each kind of table once; every caller gets a copy."""
    built = {}

    def tables(name, seed=0):
        if (name, seed) not in built:
            built[name, seed] = build_tables(TABLES[name], catalogue.matrix("train"), seed)
        return copy.deepcopy(built[name, seed])

    return tables


def build(name, tables, catalogue, seed=0):
    given = (catalogue.matrix("train"), catalogue.neighbours, catalogue.features, seed)
    return build_backbone(CASES[name], tables, *given)


def batch_of(catalogue, epoch=1):
    return next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(epoch))


def trained_tables(model):
    """The user, item and preference tables of a model that it has."""
    preferences = getattr(model, "preference_tables", {})
    return [model.user_table, model.item_table, *preferences.values()]


@every_kind
@every_case
def test_the_loss_falls_and_gradients_reach_tables_and_never_features(
    backbone, count, table, catalogue_of, tables_of
):
    catalogue = catalogue_of(count)
    model = build(backbone, tables_of(table), catalogue)
    frozen = {
        name: buffer.clone()
        for name, buffer in model.named_buffers()
        if buffer.is_floating_point() and not buffer.is_sparse_csr
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    model.start_epoch(np.random.default_rng(0))
    losses = []
    for step in range(12):
        optimizer.zero_grad()
        loss = model.loss(batch_of(catalogue))
        loss.backward()
        if step == 0:
            for side in trained_tables(model):
                (parameter,) = side.parameters()
                coded = isinstance(side, JPQEmbedding)
                assert parameter is (side.centroids if coded else side.weight)
                assert parameter.grad.abs().sum() > 0
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        optimizer.step()
        losses.append(loss.detach())
    assert loss.shape == ()
    assert torch.isfinite(torch.stack(losses)).all()
    assert losses[-1] < losses[0] - 0.01
    for name, buffer in model.named_buffers():
        assert not buffer.requires_grad
        if name in frozen:
            assert torch.equal(buffer, frozen[name])


@every_kind
@every_case
def test_vectors_have_a_row_per_user_and_item_whatever_the_mode(
    backbone, count, table, catalogue_of, tables_of
):
    catalogue = catalogue_of(count)
    model = build(backbone, tables_of(table), catalogue)
    users, items = model.train().vectors()
    assert users.shape[0] == catalogue.num_users
    assert items.shape[0] == catalogue.num_items
    assert users.shape[1] == items.shape[1]
    assert torch.isfinite(users).all()
    assert torch.isfinite(items).all()
    torch.manual_seed(1)
    for one, other in zip((users, items), model.eval().vectors(), strict=True):
        assert torch.equal(one, other)


@every_case
def test_state_holds_what_is_trained_and_no_features(backbone, count, catalogue_of, tables_of):
    catalogue = catalogue_of(count)
    model = build(backbone, tables_of("jpq"), catalogue)
    state = model.state_dict()
    codes = {"user_table.codes", "item_table.codes"}  # preference tables share those of users
    assert set(state) == {name for name, _ in model.named_parameters()} | codes
    other = build(backbone, tables_of("jpq", seed=1), catalogue, seed=1)
    other.load_state_dict(state)
    for one, loaded in zip(model.vectors(), other.vectors(), strict=True):
        assert torch.equal(one, loaded)


@pytest.mark.parametrize("table", TABLES)
def test_every_start_of_tables_trains(table, catalogue, tables_of):
    model = build("lightgcn", tables_of(table), catalogue)
    model.loss(batch_of(catalogue)).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


@every_kind
@every_backbone
def test_an_index_source_has_the_final_item_vectors(backbone, table, catalogue, tables_of):
    model = build(backbone, tables_of(table), catalogue)
    source = model.index_source()
    coded = isinstance(model.item_table, JPQEmbedding)
    assert (source is not None) == (coded and backbone in ("bprmf", "lightgcn, no layers"))
    if source is not None:
        assert torch.equal(source.weight, model.vectors()[1])


@every_kind
@every_backbone
def test_the_same_seed_gives_the_same_bits(backbone, table, catalogue):
    def trained(state, seed):
        torch.manual_seed(state)  # the global state must not matter
        model = build(backbone, build_tables(KINDS[table], train, seed), catalogue, seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        sampler = TripleSampler(train, 128, seed)
        for epoch in (1, 2):
            train_epoch(model, optimizer, sampler, epoch, seed)
        return model.state_dict()

    train = catalogue.matrix("train")
    one, other, third = trained(0, 3), trained(1, 3), trained(0, 4)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


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
            name: Neighbours(ids.astype(np.int32), catalogue.neighbours[name].similarities[items])
            for name, ids in lists.items()
        },
    )


@pytest.mark.parametrize("table", ["full", "jpq"])
@every_case
def test_permuting_users_and_items_permutes_scores_and_keeps_the_loss(
    backbone, count, table, catalogue_of, tables_of
):
    catalogue = catalogue_of(count)
    rng = np.random.default_rng(0)
    users, items = rng.permutation(catalogue.num_users), rng.permutation(catalogue.num_items)
    model = build(backbone, tables_of(table), catalogue).eval()
    other = build(backbone, tables_of(table), permuted(catalogue, users, items)).eval()
    rows = {"user_table": users, "preference_tables": users, "item_table": items}
    moved = {
        name: value[rows[side]] if side in rows and not name.endswith("centroids") else value
        for name, value in model.state_dict().items()
        for side in [name.partition(".")[0]]
    }
    other.load_state_dict(moved)
    expected, found = (v[0] @ v[1].T for v in (model.vectors(), other.vectors()))
    torch.testing.assert_close(found, expected[users][:, items], rtol=1e-5, atol=1e-6)

    batch = batch_of(catalogue)
    user_rows, item_rows = (torch.from_numpy(np.argsort(rows)) for rows in (users, items))
    same = Triples(user_rows[batch.users], item_rows[batch.positives], item_rows[batch.negatives])
    torch.testing.assert_close(other.loss(same), model.loss(batch), rtol=1e-5, atol=1e-6)


@every_kind
@every_backbone
def test_a_loaded_run_gives_the_same_vectors_and_recommends(backbone, table, catalogue, tmp_path):
    config = describe(
        catalogue,
        name="run",
        seed=0,
        backbone=CASES[backbone],
        tables=KINDS[table],
        training={"learning_rate": 0.02, "batch_size": 128, "max_epochs": 2},
    )
    run = load_run(run_experiment(catalogue, config, tmp_path / "run"))
    stored = config.backbone.MODEL.VECTORS_NEED_FEATURES
    assert (tmp_path / "run" / "vectors.safetensors").exists() == stored
    best = run.recommend("007", k=5)
    user = run.user_row("007")
    scores = run.vectors[1] @ run.vectors[0][user]
    scores[run.interactions[[user]].indices] = -torch.inf
    top = scores.topk(5)
    assert best["item_id"].tolist() == run.item_ids[top.indices].tolist()
    np.testing.assert_allclose(best["score"], top.values, rtol=1e-5, atol=1e-6)


@every_backbone
def test_two_users_who_touched_nothing_are_no_trouble(backbone, catalogue, tables_of):
    lone = catalogue.matrix("train").tolil()
    lone[0] = 0
    train = csr_matrix(lone)
    train.eliminate_zeros()
    given = (train, catalogue.neighbours, catalogue.features, 0)
    model = build_backbone(CASES[backbone], tables_of("full"), *given)
    model.start_epoch(np.random.default_rng(0))
    loss = model.loss(next(TripleSampler(train, 10_000, 0).epoch(1)))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@every_backbone
def test_an_item_without_any_content_is_no_trouble_and_its_rows_do_not_matter(
    backbone, catalogue, tables_of
):
    found = []
    for filling in (np.nan, 7.0):
        features, neighbours = {}, {}
        for name, given in catalogue.features.items():
            values, present = given.values.copy(), given.present.copy()
            present[10] = False
            values[~present] = filling
            features[name] = Features(values, present)
            ids = catalogue.neighbours[name].item_ids.copy()
            ids[10] = -1
            ids[ids == 10] = -1
            neighbours[name] = Neighbours(ids, catalogue.neighbours[name].similarities)
        poor = replace(catalogue, features=features, neighbours=neighbours)
        model = build(backbone, tables_of("full"), poor)
        loss = model.eval().loss(batch_of(poor))
        loss.backward()
        assert torch.isfinite(loss)
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        found.append((loss, *model.vectors()))
    assert torch.isfinite(found[0][2]).all()
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


@every_backbone
def test_settings_have_the_arguments_and_defaults_of_the_model(backbone):
    config = BACKBONES[CASES[backbone].name]
    data = {"features", "neighbours", "preference_tables"}
    arguments = {
        name: parameter.default
        for name, parameter in inspect.signature(config.MODEL).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in data
    }
    assert arguments == config().model_dump(exclude={"name"})
    assert config.MODEL.__name__.lower() == config().name


def broken(catalogue, **changes):
    """The catalogue with a change to the values or presence of its pictures."""
    given = catalogue.features["image"]
    fields = {"values": given.values.copy(), "present": given.present.copy()}
    fields |= {name: change(fields[name]) for name, change in changes.items()}
    return replace(catalogue, features=catalogue.features | {"image": Features(**fields)})


def put(row, value):
    def change(array):
        array[row] = value
        return array

    return change


BAD_FEATURES = {
    "NaN": (lambda c: broken(c, values=put(7, np.nan)), "image features must be finite, row 7"),
    "infinity": (
        lambda c: broken(c, values=put(8, np.inf)),
        "image features must be finite, row 8",
    ),
    "rows": (
        lambda c: broken(c, values=lambda v: v[1:]),
        r"must have shape \(40, f\).*; got \(39, 6\)",
    ),
    "width": (
        lambda c: broken(c, values=lambda v: v[:, :0]),
        r"must have shape \(40, f\).*; got \(40, 0\)",
    ),
    "mask": (
        lambda c: broken(c, present=lambda p: p[1:]),
        r"must be bool with shape \(40,\); got bool",
    ),
    "empty": (
        lambda c: broken(c, present=np.zeros_like),
        "some item must have image features; got none",
    ),
    "name": (
        lambda c: replace(
            c, features={"a.b": c.features["image"]}, neighbours={"a.b": c.neighbours["image"]}
        ),
        "modalities must have plain names.*; got a.b",
    ),
}


@pytest.mark.parametrize("fault", BAD_FEATURES)
@with_features
def test_bad_features_are_refused(backbone, fault, catalogue, tables_of):
    change, message = BAD_FEATURES[fault]
    with pytest.raises(ValueError, match=message):
        build(backbone, tables_of("full"), change(catalogue))


@every_backbone
def test_lacking_features_or_neighbours_is_refused(backbone, catalogue, tables_of):
    for what in ("features", "neighbours"):
        poor = replace(catalogue, **{what: {}})
        if needs(backbone, what):
            with pytest.raises(
                ValueError, match=f"{what} must hold at least one modality; got none"
            ):
                build(backbone, tables_of("full"), poor)
        else:
            assert build(backbone, tables_of("full"), poor).vectors()


@every_backbone
def test_tables_of_other_sizes_are_refused(backbone, catalogue, tables_of):
    users, items = tables_of("full")
    with pytest.raises(ValueError, match="user_table must have 60 rows.*; got 40"):
        build(backbone, (items, users), catalogue)


@pytest.mark.parametrize("backbone", [n for n in CASES if CASES[n].MODEL.PREFERENCES != "none"])
def test_preference_tables_of_other_names_or_sizes_are_refused(backbone, catalogue, tables_of):
    users, items = tables_of("full")
    model, data = CASES[backbone].MODEL, vars(catalogue)
    given = {name: data[name] for name in model.USES}
    wrong = {"odour": users}
    with pytest.raises(ValueError, match=r"preference_tables must be named .*; got \['odour'\]"):
        model(users, items, catalogue.matrix("train"), **given, preference_tables=wrong)
    short = {name: items for name in build(backbone, (users, items), catalogue).preference_tables}
    with pytest.raises(ValueError, match="must have 60 rows, one per user; got 40"):
        model(users, items, catalogue.matrix("train"), **given, preference_tables=short)
