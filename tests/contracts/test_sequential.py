"""What every sequential backbone promises over every kind of item table."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from urecjpq import TopKIndex, describe, load_run, run_experiment
from urecjpq.build import build_item_table, build_sequential
from urecjpq.commands import recommend_list
from urecjpq.data.catalogue import Catalogue, Interactions
from urecjpq.errors import InputError
from urecjpq.evaluation import evaluate
from urecjpq.sequential import SEQUENTIAL_BACKBONES
from urecjpq.sequential.histories import PADDING, Histories, histories_before
from urecjpq.sequential.losses import BCE, GBCE, LambdaRank, SampledSoftmax, Softmax
from urecjpq.sequential.packing import Packing
from urecjpq.table_config import TableConfig
from urecjpq.tables import JPQEmbedding
from urecjpq.testing import tiny_catalogue
from urecjpq.training import train_epoch

DIM = 8
LENGTH = 6
SIZES = {"embedding_dim": DIM, "code_length": 4, "codebook_size": 8}
FEW = {"gsasrec": {"loss": GBCE(num_negatives=16)}}
CASES = {
    name: config(max_length=LENGTH, dropout=0.1, **FEW.get(name, {}))
    for name, config in SEQUENTIAL_BACKBONES.items()
}
CASES["sasrec, untied"] = CASES["sasrec"].model_copy(update={"tied": False})
CAUSAL = [name for name in CASES if name != "bert4rec"]
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
LOSSES = [BCE(), GBCE(num_negatives=16), Softmax(), SampledSoftmax(num_negatives=16), LambdaRank()]

every_backbone = pytest.mark.parametrize("backbone", CASES)
every_kind = pytest.mark.parametrize("table", KINDS)


@pytest.fixture(scope="module")
def catalogue():
    """Two tastes, in which each item leads to the next of its taste."""
    whole = tiny_catalogue()
    pairs = whole.interactions
    order = np.lexsort((pairs.items, pairs.users))
    times = np.empty(len(pairs), dtype=np.int64)
    times[order] = np.arange(len(pairs))
    from_end = np.bincount(pairs.users).cumsum()[pairs.users] - 1 - times
    labels = np.select([from_end == 0, from_end == 1], [2, 1], 0)  # the last user touched nothing
    timed = whole.with_interactions(replace(pairs, timestamps=times))
    return timed.with_partitions(labels)


def build(backbone, table, catalogue, seed=0):
    made = build_item_table(TABLES[table], catalogue, seed)
    return build_sequential(CASES[backbone], made, seed)


def some_histories(num_items=40, width=LENGTH, rows=5, seed=0):
    """Left-padded histories of 1 … width items."""
    rng = np.random.default_rng(seed)
    items = torch.from_numpy(rng.integers(0, num_items, (rows, width)))
    lengths = torch.from_numpy(np.r_[1, width, rng.integers(1, width + 1, rows - 2)])
    return items.masked_fill(torch.arange(width) < width - lengths[:, None], PADDING)


@every_kind
@every_backbone
def test_the_loss_falls_and_gradients_reach_the_tables(backbone, table, catalogue):
    model = build(backbone, table, catalogue)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    batch = next(model.batches(catalogue, 1000, 0).epoch(1))
    torch.manual_seed(0)
    losses = []
    for step in range(12):
        optimizer.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        if step == 0:
            assert all(p.grad.abs().sum() > 0 for p in model.parameters())
            coded = isinstance(model.item_table, JPQEmbedding)
            (values,) = model.item_table.parameters()
            assert values is (model.item_table.centroids if coded else model.item_table.weight)
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())
        optimizer.step()
        losses.append(loss.detach())
    assert loss.shape == ()
    assert torch.isfinite(torch.stack(losses)).all()
    assert min(losses[-3:]) < losses[0] - 0.01


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@every_backbone
def test_every_loss_trains_every_model(backbone, loss, catalogue):
    table = build_item_table(KINDS["jpq"], catalogue, 0)
    model = build_sequential(CASES[backbone].model_copy(update={"loss": loss}), table, 0)
    value = model.loss(next(model.batches(catalogue, 1000, 0).epoch(1)))
    value.backward()
    assert torch.isfinite(value)
    assert model.scoring_table.centroids.grad.abs().sum() > 0


@every_kind
@every_backbone
def test_shapes_and_no_change_by_mode_or_padding(backbone, table, catalogue):
    model = build(backbone, table, catalogue).train()
    histories = some_histories()
    torch.manual_seed(1)
    queries = model.query_vectors(histories)
    assert model.training
    assert queries.shape == (5, DIM)
    assert model.item_vectors().shape == (40, DIM)
    assert torch.isfinite(queries).all()
    assert torch.equal(queries, model.eval().query_vectors(histories))
    wider = torch.nn.functional.pad(histories, (3, 0), value=PADDING)
    torch.testing.assert_close(model.query_vectors(wider), queries, rtol=1e-4, atol=1e-6)
    for row, history in enumerate(histories):
        alone = model.query_vectors(history[history != PADDING][None])
        torch.testing.assert_close(alone[0], queries[row], rtol=1e-4, atol=1e-6)


@every_backbone
def test_of_a_longer_history_the_latest_count(backbone, catalogue):
    model = build(backbone, "full", catalogue)
    long = some_histories(width=3 * LENGTH, rows=4, seed=1)[1:]
    long = long[(long != PADDING).all(1)]
    assert len(long) > 0
    kept = LENGTH - (backbone == "bert4rec")  # the mask takes a place
    assert torch.equal(model.query_vectors(long), model.query_vectors(long[:, -kept:]))
    changed = long.clone()
    changed[:, -kept] = (changed[:, -kept] + 1) % 40
    assert not torch.equal(model.query_vectors(long), model.query_vectors(changed))


@every_kind
@pytest.mark.parametrize("backbone", CAUSAL)
def test_a_later_item_changes_no_earlier_vector(backbone, table, catalogue):
    model = build(backbone, table, catalogue).eval()
    histories = some_histories(rows=8)
    changed = histories.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 40
    before, after = (vectors_of(model, each) for each in (histories, changed))
    last = (histories != PADDING).sum(1).cumsum(0) - 1
    earlier = torch.ones(len(before), dtype=torch.bool)
    earlier[last] = False
    assert torch.equal(before[earlier], after[earlier])
    assert (before[last] != after[last]).any(1).all()


def vectors_of(model, histories):
    packing = Packing(histories != PADDING)
    return model.encode(packing.take(histories), packing)


def test_bert4rec_sees_both_ways(catalogue):
    model = build("bert4rec", "full", catalogue).eval()
    histories = some_histories(rows=8)
    masked = torch.zeros_like(histories, dtype=torch.bool)
    masked[1, 2] = True  # row 1 is full
    changed = histories.clone()
    changed[1, -1] = (changed[1, -1] + 1) % 40
    assert not torch.equal(model.encode(histories, masked), model.encode(changed, masked))
    hidden = histories.clone()
    hidden[1, 2] = (hidden[1, 2] + 1) % 40
    assert torch.equal(model.encode(histories, masked), model.encode(hidden, masked))


def test_bert4rec_learns_what_it_is_asked(catalogue):
    """The last item is always masked, and with no other masked its mean loss is all there is."""
    model = build("bert4rec", "full", catalogue).eval()
    model.mask_share = model.cut_share = 0.0
    histories = some_histories()
    histories = histories[histories[:, -2] != PADDING]  # something is before the last
    masked = torch.zeros_like(histories, dtype=torch.bool)
    masked[:, -1] = True
    vectors = model.encode(histories, masked)
    torch.testing.assert_close(vectors, model.query_vectors(histories[:, :-1]))
    scores = vectors @ model.item_vectors().T
    expected = torch.nn.functional.cross_entropy(scores, histories[:, -1])
    torch.testing.assert_close(model.loss(histories), expected)


def test_bert4rec_starts_with_near_positions_alike(catalogue):
    positions = build("bert4rec", "full", catalogue).positions.weight.detach()
    likeness = torch.cosine_similarity(positions[:1], positions)
    assert likeness[1] > likeness[2] > likeness[3]
    torch.testing.assert_close(positions.square().mean(), torch.tensor(1 / DIM))


@pytest.mark.parametrize("table", ["full", "jpq"])
@every_backbone
def test_permuting_item_rows_permutes_scores(backbone, table, catalogue):
    model, other = build(backbone, table, catalogue), build(backbone, table, catalogue)
    new = torch.from_numpy(np.random.default_rng(0).permutation(40))  # row r becomes new[r]
    moved = {
        name: value[new.argsort()] if name.endswith((".codes", "_table.weight")) else value
        for name, value in model.state_dict().items()
    }
    other.load_state_dict(moved)
    histories = some_histories()
    renamed = torch.where(histories == PADDING, PADDING, new[histories])
    expected = model.query_vectors(histories) @ model.item_vectors().T
    found = other.query_vectors(renamed) @ other.item_vectors().T
    torch.testing.assert_close(found[:, new], expected, rtol=1e-4, atol=1e-6)


@every_kind
@every_backbone
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(backbone, table, catalogue):
    def trained(state, seed, threads):
        torch.manual_seed(state)  # the global state must not matter
        torch.set_num_threads(threads)
        model = build(backbone, table, catalogue, seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        batches = model.batches(catalogue, 32, seed)
        for epoch in (1, 2):
            train_epoch(model, optimizer, batches, epoch, seed)
        return model.state_dict()

    threads = torch.get_num_threads()
    try:
        one, other, third = trained(0, 3, 1), trained(1, 3, 2), trained(0, 4, 1)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], third[name]) for name in one)


@pytest.mark.parametrize("table", TABLES)
def test_every_start_of_the_table_trains(table, catalogue):
    model = build("sasrec", table, catalogue)
    model.loss(next(model.batches(catalogue, 1000, 0).epoch(1))).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_codes_come_from_training_items_alone(catalogue):
    other = catalogue.interactions
    items = np.where(other.partitions == 0, other.items, (other.items + 1) % 39)
    changed = catalogue.with_interactions(replace(other, items=items.astype(np.int32)))
    one, two = (build("sasrec", "jpq kmeans", each).item_table for each in (catalogue, changed))
    assert torch.equal(one.codes, two.codes)


def run_config(catalogue, backbone, table, **choices):
    training = {"learning_rate": 0.02, "batch_size": 16, "max_epochs": 3}
    choices = {"name": "run", "seed": 0, "training": training} | choices
    return describe(catalogue, backbone=CASES[backbone], tables=TABLES[table], **choices)


@every_kind
@every_backbone
def test_a_loaded_run_gives_the_same_scores_and_recommends(backbone, table, catalogue, tmp_path):
    config = run_config(catalogue, backbone, table)
    assert config.exclude == "train+valid"
    run = load_run(run_experiment(catalogue, config, tmp_path / "run"))
    results = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert results["protocol"] == {"exclude": "train+valid"}
    assert results["sizes"]["user_table_bytes"] == 0
    history = ["007", "a b", "NA"]
    rows = run.item_rows(history)
    query = run.backbone.query_vectors(torch.from_numpy(rows)[None])[0]
    scores = (run.backbone.item_vectors() @ query).detach()
    scores[rows] = -torch.inf
    best = run.recommend_next(history, k=5)
    np.testing.assert_allclose(best["score"], scores.topk(5).values, rtol=1e-4, atol=1e-6)
    source = run.backbone.index_source()
    assert (source is not None) == (table != "full")
    if source is not None:
        found = TopKIndex.from_table(source).search(query.detach(), 5, exclude=rows)
        assert run.item_ids[found.ids].tolist() == best["item_id"].tolist()
    user = run.user_row("007")
    known = run.item_ids[histories_before(catalogue, "valid").latest(np.array([user]), 99)[0]]
    pair = [run.recommend("007", k=5), run.recommend_next(known, k=5)]
    assert pair[0].equals(pair[1])


@every_backbone
def test_a_resumed_run_ends_with_the_same_bits(backbone, catalogue, tmp_path, monkeypatch):
    config = run_config(catalogue, backbone, "jpq")
    whole = run_experiment(catalogue, config, tmp_path / "whole")
    steps = train_epoch

    def stopped(*arguments):
        if arguments[3] == 3:  # the epoch
            raise KeyboardInterrupt
        return steps(*arguments)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("urecjpq.training.train_epoch", stopped)
        patch.setattr("urecjpq.training.time.monotonic", iter(range(0, 10**6, 100)).__next__)
        run_experiment(catalogue, config, tmp_path / "cut")
    assert (tmp_path / "cut" / "checkpoint.safetensors").exists()
    cut = run_experiment(catalogue, config, tmp_path / "cut", resume=True)
    for name in ("model.safetensors", "codes.safetensors", "user_metrics.safetensors"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


@every_backbone
def test_settings_have_the_arguments_and_defaults_of_the_model(backbone):
    config = SEQUENTIAL_BACKBONES[CASES[backbone].name]
    arguments = {
        name: parameter.default
        for name, parameter in inspect.signature(config.MODEL).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    given = {name: getattr(config(), name) for name in config.model_fields if name != "name"}
    if config().name == "gsasrec":  # SASRec with another loss
        assert given.pop("loss") == GBCE()
        del arguments["loss"]
    assert arguments == given


def ring(num_users=80, num_items=20, steps=8):
    """Users who walk along a ring of items: who knows the last one knows the next."""
    users, step = np.repeat(np.arange(num_users), steps), np.tile(np.arange(steps), num_users)
    start = np.random.default_rng(0).integers(num_items, size=num_users)
    pairs = Interactions(users.astype(np.int32), ((start[users] + step) % num_items).astype("i4"))
    ids = [np.array([str(row) for row in range(count)], object) for count in (num_users, num_items)]
    labels = np.select([step == steps - 1, step == steps - 2], [2, 1], 0)
    return Catalogue("ring", *ids, pairs).with_partitions(labels)


@pytest.mark.parametrize(
    ("backbone", "table", "rate", "epochs"),
    [
        ("sasrec", "jpq", 0.02, 30),
        ("sasrec, untied", "jpq", 0.02, 30),
        ("gru4rec", "jpq", 0.02, 30),
        ("gsasrec", "full", 0.01, 80),
        ("bert4rec", "jpq", 0.005, 120),  # learns from one item of five
    ],
)
def test_a_sequence_is_learnt(backbone, table, rate, epochs):
    walks = ring()
    model = build(backbone, table, walks)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    batches = model.batches(walks, 16, 0)
    for epoch in range(1, epochs + 1):
        train_epoch(model, optimizer, batches, epoch, 0)
    users, items = model.vectors_for(walks, "test")
    found = evaluate(users, items, walks, "test", ks=(1, 3), exclude="none").metrics
    assert found["hr@3"] > 0.8  # at random 0.15


def test_histories_are_in_time_order_and_end_before_the_partition(catalogue):
    for partition, known in (("valid", 1), ("test", 2)):
        found = histories_before(catalogue, partition)
        pairs = catalogue.interactions
        for user in (0, 17, 59):
            mine = (pairs.users == user) & (pairs.partitions < known)
            expected = pairs.items[mine][np.argsort(pairs.timestamps[mine])]
            assert found.items[found.starts[user] : found.starts[user + 1]].tolist() == (
                expected.tolist()
            )
    latest = found.latest(np.array([0, 59, 3]), 4)  # the last user touched nothing
    assert latest.shape == (3, 4)
    assert (latest[1] == PADDING).all()


def test_each_user_is_learnt_from_once_an_epoch(catalogue):
    model = build("sasrec", "full", catalogue)
    batches = model.batches(catalogue, 16, 0)
    one, again, next_one = (
        [row.tolist() for batch in batches.epoch(epoch) for row in batch] for epoch in (1, 1, 2)
    )
    assert len(one) == 59
    assert len(list(batches.epoch(1))) == len(batches) == 4
    assert one == again
    assert one != next_one
    without = [[sorted(i for i in row if i >= 0) for row in rows] for rows in (one, next_one)]
    assert sorted(without[0]) == sorted(without[1])


def test_a_user_with_one_action_is_passed_over_and_answered(catalogue):
    lone = Histories(np.array([0, 1, 3]), np.array([4, 5, 6]))
    from urecjpq.sequential.histories import HistorySampler

    batches = list(HistorySampler(lone, 8, LENGTH, 0).epoch(1))
    assert [batch.tolist() for batch in batches] == [[[5, 6]]]
    model = build("sasrec", "full", catalogue)
    assert model.user_queries(lone, np.array([0])).shape == (1, DIM)
    with pytest.raises(InputError, match="a user must have two training actions .*; got at most"):
        HistorySampler(Histories(np.array([0, 1, 2]), np.array([4, 5])), 8, LENGTH, 0)


BAD_HISTORIES = {
    "outside": ([[1, 40]], "item rows in 0 … 39, or -1 for padding; got 40"),
    "negative": ([[-2, 3]], "item rows in 0 … 39, or -1 for padding; got -2"),
    "empty": ([[1, 2], [-1, -1]], r"every history must end in an item; got .* row \[1\]"),
    "padded right": ([[1, -1]], "Padding goes to the left"),
    "gap": ([[1, -1, 2]], r"padded on the left alone; got .* row \[0\]"),
}


@pytest.mark.parametrize("case", BAD_HISTORIES)
@every_backbone
def test_bad_histories_are_refused(backbone, case, catalogue):
    rows, message = BAD_HISTORIES[case]
    model = build(backbone, "full", catalogue)
    with pytest.raises(InputError, match=message):
        model.query_vectors(torch.tensor(rows))


def test_bad_shapes_and_types_are_refused(catalogue):
    model = build("sasrec", "full", catalogue)
    for histories in (torch.tensor([1, 2]), torch.ones(2, 3), torch.empty(2, 0, dtype=torch.long)):
        with pytest.raises(InputError, match="must be int64 with shape"):
            model.query_vectors(histories)
    assert model.query_vectors(torch.empty(0, 3, dtype=torch.long)).shape == (0, DIM)


def test_few_users_do_not_limit_item_codes():
    few = ring(num_users=6, num_items=20)
    config = TableConfig(kind="jpq", strategy="random", **SIZES | {"codebook_size": 16})
    table = build_item_table(config, few, 0)
    assert table.codes.max() == 15


def test_sides_and_shared_centroids(catalogue):
    of_users = KINDS["jpq"].model_copy(update={"sides": "users"})
    assert not isinstance(build_item_table(of_users, catalogue, 0), JPQEmbedding)
    shared = KINDS["jpq"].model_copy(update={"centroids": "shared"})
    with pytest.raises(InputError, match="tables.centroids must be separate .*; got shared"):
        build_item_table(shared, catalogue, 0)


def test_recommend_takes_a_user_or_a_history(tmp_path):
    for given in ((None, None), ("u", "1,2")):
        with pytest.raises(InputError, match="must be given either a user or --history; got"):
            recommend_list(tmp_path, *given, 10, "auto")


def test_a_run_refuses_what_it_cannot_answer(catalogue, tmp_path):
    run = load_run(
        run_experiment(catalogue, run_config(catalogue, "sasrec", "jpq"), tmp_path / "run")
    )
    with pytest.raises(InputError, match="items must be among the 40 items .*; got 'nope'"):
        run.recommend_next(["007", "nope"])
    with pytest.raises(InputError, match="history must hold at least one item; got none"):
        recommend_list(tmp_path / "run", None, "", 10, "auto")
    found = recommend_list(tmp_path / "run", None, "007,a b", 3, "auto")
    assert found.equals(run.recommend_next(["007", "a b"], k=3))
    long = [str(item) for item in run.item_ids[:30]]
    assert run.recommend_next(long, k=3)["item_id"].isin(run.item_ids[30:]).all()
    seen = run_config(catalogue, "sasrec", "jpq", exclude="none")
    graph = describe(catalogue, name="g", seed=0, backbone={"name": "bprmf"}, tables=KINDS["full"])
    graph = graph.model_copy(update={"training": seen.training})
    with pytest.raises(InputError, match="must be of a sequential model .*; got bprmf"):
        load_run(run_experiment(catalogue, graph, tmp_path / "graph")).recommend_next(["007"])
    open_run = load_run(run_experiment(catalogue, seen, tmp_path / "open"))
    assert len(open_run.recommend_next(long, k=40)) == 40


def test_a_missing_library_is_named(catalogue, monkeypatch):
    monkeypatch.setattr("urecjpq.sequential.bert4rec.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"transformers is needed for bert4rec; pip install"):
        build("bert4rec", "full", catalogue)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("sasrec", {"num_heads": 3}, "num_heads must divide embedding_dim 8; got 3"),
        ("bert4rec", {"num_heads": 3}, "num_heads must divide embedding_dim 8; got 3"),
        ("bert4rec", {"max_length": 1}, "max_length must be at least 2"),
        ("gru4rec", {"max_length": 0}, "max_length must be at least 1; got 0"),
    ],
)
def test_bad_arguments_are_refused(name, change, message, catalogue):
    table = build_item_table(KINDS["full"], catalogue, 0)
    with pytest.raises(InputError, match=message):
        SEQUENTIAL_BACKBONES[name].MODEL(table, **change)
