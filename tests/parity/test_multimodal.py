"""The multimodal backbones against dense code written from the papers, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from urecjpq.graphs import BPRMF, DRAGON, GRCN, LATTICE, MMGCN, VBPR, DualGNN
from urecjpq.graphs.edges import Edges
from urecjpq.sampling import TripleSampler
from urecjpq.tables import sibling
from urecjpq.testing import tiny_catalogue
from urecjpq.testing_dense import (
    assert_equal_training,
    batch_rows,
    bpr,
    dense_adjacency,
    dense_item_graph,
    half_squares,
    present_values,
)

DIM = 8
MODALITIES = ("audio", "image", "text")


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue(modalities=("image", "text", "audio"))


@pytest.fixture
def tables(catalogue):
    return nn.Embedding(catalogue.num_users, DIM), nn.Embedding(catalogue.num_items, DIM)


@pytest.fixture
def batch(catalogue):
    return next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(1))


@pytest.fixture
def pairs(catalogue):
    return torch.from_numpy(catalogue.matrix("train").toarray())


def preferences_for(tables, names=MODALITIES):
    return {name: sibling(tables[0]) for name in names}


def check(backbone, batch, users, items, *penalised):
    """Compare with final vectors, and with BPR plus 0.1 times half the squares of given rows."""
    expected = bpr(*batch_rows(batch, users, items)) + 0.1 * half_squares(*penalised)
    assert_equal_training(backbone, backbone.loss(batch), expected, (users, items))


def id_rows(backbone, batch):
    """Rows that models with preferences penalise."""
    rows = batch_rows(batch, backbone.user_table.weight, backbone.item_table.weight)
    return [*rows, *(t.weight[batch.users] for t in backbone.preference_tables.values())]


def test_bprmf(catalogue, tables, batch):
    backbone = BPRMF(*tables, catalogue.matrix("train"), l2=0.1)
    users, items = (table.weight for table in tables)
    check(backbone, batch, users, items, *batch_rows(batch, users, items))


def test_vbpr(catalogue, tables, batch):
    joint = preferences_for(tables, ["joint"])
    backbone = VBPR(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        preference_tables=joint,
        l2=0.1,
    )
    content = 0
    for name in MODALITIES:
        values, present = present_values(catalogue.features[name])
        content = content + backbone.projections[name].linear(values) * present
    users = torch.cat([tables[0].weight, joint["joint"].weight], dim=1)
    items = torch.cat([tables[1].weight, content], dim=1)
    check(backbone, batch, users, items, *batch_rows(batch, users, items))


def test_mmgcn(catalogue, tables, batch, pairs):
    backbone = MMGCN(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        preference_tables=preferences_for(tables),
        num_layers=2,
        l2=0.1,
    )
    adjacency = (torch.from_numpy(dense_adjacency(pairs.numpy()).numpy()) > 0).float()
    mean = adjacency / adjacency.sum(1, keepdim=True).clamp(min=1)
    ids = torch.cat([table.weight for table in tables])
    total = 0
    for name in MODALITIES:
        values, present = present_values(catalogue.features[name])
        content = backbone.projections[name].linear(values) * present
        x = F.normalize(torch.cat([backbone.preference_tables[name].weight, content]))
        for layer in backbone.towers[name].layers:
            passed = F.leaky_relu(mean @ x @ layer.passed.weight.T)
            own = F.leaky_relu(x @ layer.own.weight.T + layer.own.bias) + ids
            x = F.leaky_relu(layer.joined(torch.cat([passed, own], dim=1)))
        total = total + x / len(MODALITIES)
    users, items = total.split([catalogue.num_users, catalogue.num_items])
    check(backbone, batch, users, items, *id_rows(backbone, batch))


@pytest.mark.parametrize(("num_routings", "num_layers"), [(0, 1), (2, 1), (3, 2)])
def test_grcn(catalogue, tables, batch, pairs, num_routings, num_layers):
    backbone = GRCN(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        preference_tables=preferences_for(tables),
        num_routings=num_routings,
        num_layers=num_layers,
        l2=0.1,
    )
    tied = dense_adjacency(pairs.numpy()) > 0

    def attend(left, right, mask):
        shares = (left @ right.T).masked_fill(~mask, -torch.inf).softmax(dim=1)
        return shares.nan_to_num(0)  # the softmax of an empty row

    x = F.normalize(torch.cat([table.weight for table in tables]))
    parts, strengths = [], []
    for number, name in enumerate(MODALITIES):
        values, present = present_values(catalogue.features[name])
        projected = backbone.projections[name].linear(values) * present
        items = F.normalize(F.leaky_relu(projected))
        users = F.normalize(backbone.preference_tables[name].weight)
        for _ in range(num_routings):
            users = F.normalize(users + attend(users, items, pairs > 0) @ items)
        both = torch.cat([users, items])
        shares = attend(both, both, tied)
        parts.append(both + shares @ both)
        trust = 1 + x @ backbone.trust.weight[number]
        strengths.append(shares * trust)
    refined = torch.stack(strengths).amax(0).relu()
    total = layer = x
    for _ in range(num_layers):
        layer = refined @ layer
        total = total + layer
    final = torch.cat([total, *parts], dim=1)
    users, items = final.split([catalogue.num_users, catalogue.num_items])
    check(backbone, batch, users, items, *id_rows(backbone, batch))


def dense_user_graph(pairs, k):
    """Softmax over the counts of items in common with the k first by count, then by row."""
    common = pairs @ pairs.T
    common.fill_diagonal_(0)
    graph = torch.zeros_like(common)
    for user, counts in enumerate(common):
        nearest = sorted(torch.nonzero(counts).ravel().tolist(), key=lambda v: (-counts[v], v))[:k]
        if nearest:
            graph[user, nearest] = counts[nearest].softmax(0)
    return graph


def dense_modalities(backbone, catalogue, pairs):
    """What DualGNN and DRAGON make of ids and each modality, and the shares of each user."""
    adjacency = dense_adjacency(pairs.numpy())
    ids = torch.cat([backbone.user_table.weight, backbone.item_table.weight])
    starts = [ids]
    for name in MODALITIES:
        values, present = present_values(catalogue.features[name])
        first, second = backbone.encoders[name].first, backbone.encoders[name].second
        content = second(F.leaky_relu(first(values))) * present
        starts.append(torch.cat([backbone.preference_tables[name].weight, content]))
    found = []
    for start in starts:
        x = F.normalize(start)
        found.append(x + adjacency @ x + adjacency @ adjacency @ x)
    logits = backbone.user_table.weight @ backbone.attention.weight.T
    return found, logits.softmax(1)


@pytest.mark.parametrize("k", [3, 40])
def test_dualgnn(catalogue, tables, batch, pairs, k):
    backbone = DualGNN(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        preference_tables=preferences_for(tables),
        num_neighbours=k,
        l2=0.1,
    )
    found, shares = dense_modalities(backbone, catalogue, pairs)
    count = catalogue.num_users
    users = sum(shares[:, m, None] * both[:count] for m, both in enumerate(found))
    users = users + dense_user_graph(pairs, k) @ users
    items = sum(both[count:] for both in found)
    check(backbone, batch, users, items, *id_rows(backbone, batch))


@pytest.mark.parametrize("num_item_layers", [0, 1, 2])
def test_dragon(catalogue, tables, batch, pairs, num_item_layers):
    weights = {"image": 0.1, "text": 0.6, "audio": 0.3}
    backbone = DRAGON(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        neighbours=catalogue.neighbours,
        preference_tables=preferences_for(tables),
        modality_weights=weights,
        num_neighbours=5,
        num_item_layers=num_item_layers,
        l2=0.1,
    )
    found, shares = dense_modalities(backbone, catalogue, pairs)
    count = catalogue.num_users
    users = torch.cat([shares[:, m, None] * both[:count] for m, both in enumerate(found)], dim=1)
    users = users + dense_user_graph(pairs, 5) @ users
    similar = items = torch.cat([both[count:] for both in found], dim=1)
    for _ in range(num_item_layers):
        similar = dense_item_graph(catalogue.neighbours, weights) @ similar
    check(backbone, batch, users, items + similar, *id_rows(backbone, batch))


def normalised(graph):
    """D^-½ G D^-½ with the row sums of G at both ends."""
    sums = graph.sum(1)
    scale = torch.where(sums > 0, sums.clamp(min=1e-12) ** -0.5, 0)
    return scale[:, None] * graph * scale


def dense_neighbours(cosines, present, k):
    """The k largest cosines of each row among items with content; 0 elsewhere."""
    hidden = cosines.masked_fill(~present, -torch.inf)
    kept = torch.zeros_like(cosines)
    best = hidden.topk(k).indices
    kept = kept.scatter(1, best, 1.0) * present * present[:, None]
    return cosines * kept


@pytest.mark.parametrize("features", [True, False])
def test_lattice(catalogue, tables, batch, pairs, features):
    backbone = LATTICE(
        *tables,
        catalogue.matrix("train"),
        neighbours=catalogue.neighbours,
        features=catalogue.features if features else None,
        k=6,
        frozen_share=0.7,
        num_layers=2,
        num_item_layers=2,
        l2=0.1,
    )
    with torch.no_grad():
        backbone.modality_logits.copy_(torch.tensor([0.3, -0.2, 0.5]))
    shares = backbone.modality_logits.softmax(0)
    frozen = learned = 0
    for share, name in zip(shares, MODALITIES, strict=True):
        given = catalogue.neighbours[name]
        raw = torch.zeros(catalogue.num_items, catalogue.num_items)
        for item, (row, cosines) in enumerate(zip(given.item_ids, given.similarities, strict=True)):
            for other, cosine in zip(row, cosines, strict=True):
                if other >= 0:
                    raw[item, other] = float(cosine)
        frozen = frozen + share * normalised(raw)
        if features:
            values, present = present_values(catalogue.features[name])
            y = F.normalize(backbone.projections[name].linear(values) * present)
            learned = learned + share * dense_neighbours(y @ y.T, present.ravel() > 0, 6)
    graph = 0.3 * normalised(learned) + 0.7 * frozen if features else frozen
    item_start = tables[1].weight
    similar = F.normalize(graph @ graph @ item_start)
    tied = (dense_adjacency(pairs.numpy()) > 0).float() + torch.eye(sum(pairs.shape))
    walk = tied / tied.sum(1, keepdim=True)
    start = torch.cat([table.weight for table in tables])
    final = (start + walk @ start + walk @ walk @ start) / 3
    users, items = final.split([catalogue.num_users, catalogue.num_items])
    items = items + similar
    check(backbone, batch, users, items, *batch_rows(batch, users, items))

    again = backbone.loss(batch)  # the second step of an epoch: same value, a constant graph
    expected = bpr(*batch_rows(batch, users, items))
    expected = expected + 0.1 * half_squares(*batch_rows(batch, users, items))
    torch.testing.assert_close(again, expected, rtol=1e-5, atol=1e-6)
    trained = {n for n, p in backbone.named_parameters() if _reaches(again, p)}
    assert trained == {"user_table.weight", "item_table.weight"}


def _reaches(loss, parameter):
    return torch.autograd.grad(loss, parameter, retain_graph=True, allow_unused=True)[0] is not None


def test_attention_is_that_of_torch_geometric(catalogue):
    utils = pytest.importorskip("torch_geometric.utils", reason="torch_geometric is not installed")
    edges = Edges(catalogue.matrix("train"))
    users, items = (
        torch.randn(60, DIM, requires_grad=True),
        torch.randn(40, DIM, requires_grad=True),
    )
    shares = edges.softmax(edges.dot(users, items))
    rows, columns = edges.rows, edges.columns.long()
    expected = utils.softmax((users[rows] * items[columns]).sum(1), rows, num_nodes=60)
    torch.testing.assert_close(shares, expected, rtol=1e-5, atol=1e-6)
    passed = torch.zeros(60, DIM).index_add(0, rows, expected[:, None] * items[columns])
    found = edges.product(shares, items)
    torch.testing.assert_close(found, passed, rtol=1e-5, atol=1e-6)
    weights = torch.randn(60, DIM)
    for one, other in zip(
        torch.autograd.grad((weights * found).sum(), (users, items)),
        torch.autograd.grad((weights * passed).sum(), (users, items)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
