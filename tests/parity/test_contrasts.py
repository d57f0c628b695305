"""BM3, SLMRec, MGCN, LGMRec and SMORE against dense code written from the papers."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from urecjpq.graphs import BM3, MGCN, SMORE, LGMRec, SLMRec
from urecjpq.sampling import TripleSampler
from urecjpq.testing import tiny_catalogue
from urecjpq.testing_dense import (
    assert_equal_training,
    batch_rows,
    bpr,
    dense_adjacency,
    half_squares,
    mean_of_layers,
    present_values,
)

DIM = 8
ONE, TWO, THREE = ("image",), ("image", "text"), ("audio", "image", "text")
numbers_of_modalities = pytest.mark.parametrize("catalogue", [ONE, THREE], indirect=True)


@pytest.fixture
def catalogue(request):
    return tiny_catalogue(modalities=request.param)


@pytest.fixture
def tables(catalogue):
    return nn.Embedding(catalogue.num_users, DIM), nn.Embedding(catalogue.num_items, DIM)


@pytest.fixture
def batch(catalogue):
    return next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(1))


@pytest.fixture
def pairs(catalogue):
    return torch.from_numpy(catalogue.matrix("train").toarray())


def content(catalogue, tables, pairs, num_layers):
    start = torch.cat([table.weight for table in tables])
    return mean_of_layers(dense_adjacency(pairs.numpy()), start, num_layers)


def split(both, tables):
    return both.split([len(table.weight) for table in tables])


def nce(one, other, temperature, unit=True):
    """InfoNCE term by term."""
    if unit:
        one, other = (
            rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12) for rows in (one, other)
        )
    products = torch.exp(one @ other.T / temperature)
    return -torch.log(products.diagonal() / products.sum(1)).mean()


def dense_similarities(neighbours):
    """Cosines of the lists, divided by the roots of their row sums at both ends."""
    graph = torch.zeros(len(neighbours.item_ids), len(neighbours.item_ids))
    for item, (ids, cosines) in enumerate(
        zip(neighbours.item_ids, neighbours.similarities, strict=True)
    ):
        for other, cosine in zip(ids, cosines, strict=True):
            if other >= 0:
                graph[item, other] = float(cosine)
    sums = graph.sum(1)
    roots = torch.where(sums > 0, sums.clamp(min=1e-12).rsqrt(), 0)
    return roots[:, None] * graph * roots


@numbers_of_modalities
@pytest.mark.parametrize("num_layers", [0, 2])
def test_bm3(catalogue, tables, batch, pairs, num_layers):
    backbone = BM3(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        num_layers=num_layers,
        feature_weight=0.7,
        l2=0.1,
    ).eval()
    users, items = split(content(catalogue, tables, pairs, num_layers), tables)
    items = items + tables[1].weight

    def gap(rows, target):
        rows, target = backbone.predictor(rows), target.detach()
        return 1 - (rows * target).sum(1) / (rows.norm(dim=1) * target.norm(dim=1))

    user_rows, item_rows = users[batch.users], items[batch.positives]
    expected = gap(user_rows, item_rows).mean() + gap(item_rows, user_rows).mean()
    expected = expected + 0.1 * half_squares(user_rows, item_rows)
    for name, given in catalogue.features.items():
        known = torch.from_numpy(given.present)[batch.positives]
        values, _ = present_values(given)
        rows = backbone.projections[name].linear(values)[batch.positives][known]
        gaps = gap(rows, item_rows[known]) + gap(rows, rows)
        expected = expected + 0.7 * gaps.sum() / len(batch.users)
    vectors = backbone.predictor(users), backbone.predictor(items)
    assert_equal_training(backbone, backbone.loss(batch), expected, vectors)


def test_bm3_leaves_numbers_out_of_copies_only_in_training():
    catalogue = tiny_catalogue()
    tables = nn.Embedding(catalogue.num_users, DIM), nn.Embedding(catalogue.num_items, DIM)
    backbone = BM3(*tables, catalogue.matrix("train"), features=catalogue.features)
    batch = next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(1))
    rows = torch.ones(1000, DIM, requires_grad=True)
    copies = backbone._copy(rows)
    assert set(copies.unique().tolist()) == {0.0, 2.0}
    assert not copies.requires_grad
    assert backbone.loss(batch) != backbone.loss(batch)
    assert backbone.eval().loss(batch) == backbone.loss(batch)


@numbers_of_modalities
@pytest.mark.parametrize("num_layers", [0, 3])
def test_slmrec(catalogue, tables, batch, pairs, num_layers):
    backbone = SLMRec(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        num_layers=num_layers,
        temperature=0.3,
        contrast_temperature=0.5,
        contrast_weight=0.6,
        weight_decay=0.01,
    )
    adjacency = dense_adjacency(pairs.numpy())
    found = [split(content(catalogue, tables, pairs, num_layers), tables)]
    for name in sorted(catalogue.features):
        values, present = present_values(catalogue.features[name])
        unit = values / values.norm(dim=1, keepdim=True).clamp(min=1e-12)
        start = torch.cat([tables[0].weight, backbone.projections[name].linear(unit) * present])
        found.append(split(mean_of_layers(adjacency, start, num_layers), tables))
    users = backbone.user_fusion(torch.cat([y for y, _ in found], dim=1))
    items = backbone.item_fusion(torch.cat([y for _, y in found], dim=1))

    expected = nce(users[batch.users], items[batch.positives], 0.3)
    chain = found[0][1][batch.positives]
    for number, name in enumerate(sorted(catalogue.features)):
        chain = backbone.steps[number](chain)
        other = backbone.heads[number](found[number + 1][1][batch.positives])
        known = torch.from_numpy(catalogue.features[name].present)[batch.positives]
        share = known.sum() / len(known)
        expected = expected + 0.6 * share * nce(chain[known], other[known], 0.5, unit=False)
    assert chain.shape[1] == (DIM if len(catalogue.features) == 1 else DIM // 2)
    for parameter in backbone.parameters():
        expected = expected + 0.01 * (parameter**2).sum() / 2
    assert_equal_training(backbone, backbone.loss(batch), expected, (users, items))


def check_views(backbone, batch, tables, content, side, catalogue):
    """Compare what MGCN and SMORE have in common."""
    users, items = split(content + side, tables)
    rows = batch_rows(batch, users, items)
    expected = bpr(*rows) + 0.1 * half_squares(*rows)
    for number, chosen in ((0, batch.users), (1, batch.positives)):
        one, other = split(side, tables)[number][chosen], split(content, tables)[number][chosen]
        expected = expected + 0.3 * nce(one, other, 0.2)
    assert_equal_training(backbone, backbone.loss(batch), expected, (users, items))


# With one modality there is nothing to tell apart: preferences and query have no gradient.
@pytest.mark.parametrize("catalogue", [TWO, THREE], indirect=True)
@pytest.mark.parametrize(("num_layers", "num_item_layers"), [(2, 1), (1, 2), (0, 1)])
def test_mgcn(catalogue, tables, batch, pairs, num_layers, num_item_layers):
    backbone = MGCN(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        neighbours=catalogue.neighbours,
        num_layers=num_layers,
        num_item_layers=num_item_layers,
        l2=0.1,
        contrast_weight=0.3,
    )
    likes = dense_adjacency(pairs.numpy())[: len(pairs), len(pairs) :]
    views = {}
    for name, given in catalogue.features.items():
        values, present = present_values(given)
        projected = backbone.projections[name].linear(values) * present
        items = tables[1].weight * backbone.purifiers[name](projected) * present
        for _ in range(num_item_layers):
            items = dense_similarities(catalogue.neighbours[name]) @ items
        views[name] = torch.cat([likes @ items, items])
    base = content(catalogue, tables, pairs, num_layers)
    weights = {name: torch.exp(backbone.query(view)) for name, view in views.items()}
    shared = sum(weights[name] * views[name] for name in views) / sum(weights.values())
    side = shared
    for name, view in views.items():
        side = side + backbone.preferences[name](base) * (view - shared)
    side = side / (len(views) + 1)
    check_views(backbone, batch, tables, base, side, catalogue)


@pytest.mark.parametrize("catalogue", [ONE], indirect=True)
def test_mgcn_adds_half_of_the_one_view(catalogue, tables):
    given = {"features": catalogue.features, "neighbours": catalogue.neighbours}
    backbone = MGCN(*tables, catalogue.matrix("train"), **given)
    (view,) = backbone.views()
    torch.testing.assert_close(backbone.side(torch.randn_like(view), [view], False), view / 2)


def rfft(rows):
    """The real Fourier transform as a product with cosines and sines, of length 1."""
    length = rows.shape[1]
    angles = torch.outer(torch.arange(length), torch.arange(length // 2 + 1)) * 2 * torch.pi
    waves = torch.complex(torch.cos(angles / length), -torch.sin(angles / length))
    return (rows.to(waves.dtype) @ waves) / length**0.5


@numbers_of_modalities
@pytest.mark.parametrize(("num_layers", "num_item_layers"), [(3, 1), (1, 2)])
def test_smore(catalogue, tables, batch, pairs, num_layers, num_item_layers):
    backbone = SMORE(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        neighbours=catalogue.neighbours,
        num_layers=num_layers,
        num_item_layers=num_item_layers,
        l2=0.1,
        contrast_weight=0.3,
    ).eval()
    likes = dense_adjacency(pairs.numpy())[: len(pairs), len(pairs) :]
    graphs = {name: dense_similarities(given) for name, given in catalogue.neighbours.items()}
    stacked = torch.stack(list(graphs.values()))
    greatest = stacked.masked_fill(stacked == 0, -torch.inf).amax(0).nan_to_num(neginf=0)

    def view(part, spectrum, present, graph):
        weights = torch.complex(part.filter[:, 0], part.filter[:, 1])
        items = torch.fft.irfft(spectrum * weights, n=DIM, norm="ortho")
        items = tables[1].weight * part.purifier(items) * present
        for _ in range(num_item_layers):
            items = graph @ items
        return torch.cat([likes @ items, items])

    product, known, views = 1, 0, {}
    for name, given in catalogue.features.items():
        values, present = present_values(given)
        spectrum = rfft(backbone.projections[name].linear(values) * present)
        views[name] = view(backbone.parts[name], spectrum, present, graphs[name])
        product = product * (spectrum * present + (1 - present))
        known = known + present
    fused = view(backbone.fused, product, (known > 0).float(), greatest)
    base = content(catalogue, tables, pairs, num_layers)
    side = backbone.fused.preference(base) * fused
    for name, rows in views.items():
        share = F.softmax(backbone.queries[name](fused), dim=1)
        side = side + backbone.parts[name].preference(base) * share * rows
    side = side / (len(views) + 1)
    check_views(backbone, batch, tables, base, side, catalogue)


@numbers_of_modalities
@pytest.mark.parametrize(
    ("num_layers", "num_feature_layers", "num_hypergraph_layers"), [(2, 2, 1), (1, 0, 2), (0, 1, 1)]
)
def test_lgmrec(
    catalogue, tables, batch, pairs, num_layers, num_feature_layers, num_hypergraph_layers
):
    backbone = LGMRec(
        *tables,
        catalogue.matrix("train"),
        features=catalogue.features,
        num_layers=num_layers,
        num_feature_layers=num_feature_layers,
        num_hypergraph_layers=num_hypergraph_layers,
        num_hyperedges=3,
        global_weight=0.7,
        l2=0.1,
        contrast_weight=0.4,
    ).eval()
    adjacency = dense_adjacency(pairs.numpy())
    ids = content(catalogue, tables, pairs, num_layers)
    local, passed = ids, []
    for given, projection in zip(
        (catalogue.features[name] for name in sorted(catalogue.features)),
        backbone.projections.values(),
        strict=True,
    ):
        values, present = present_values(given)
        projected = values @ projection.linear.weight[:DIM].T
        users = (pairs @ projected) / pairs.sum(1, keepdim=True).clamp(min=1)
        both = torch.cat([users, projected])
        for _ in range(num_feature_layers):
            both = adjacency @ both
        local = local + F.normalize(both)
        logits = values @ projection.linear.weight[DIM:].T
        item_ties = F.softmax(logits / 0.2, dim=1) * present
        user_ties = F.softmax(pairs @ logits / 0.2, dim=1)
        items = ids[len(pairs) :]
        for _ in range(num_hypergraph_layers):
            hyperedges = item_ties.T @ items
            users, items = user_ties @ hyperedges, item_ties @ hyperedges
        passed.append(torch.cat([users, items]))
    final = local + 0.7 * F.normalize(sum(passed))
    users, items = split(final, tables)
    rows = batch_rows(batch, users, items)
    expected = bpr(*rows) + 0.1 * half_squares(*rows)
    chosen = torch.cat([batch.users, batch.positives + len(pairs)]).split(len(batch.users))
    couples = [(0, 1), (0, 2), (1, 2)] if len(passed) == 3 else []
    for one, other in couples:
        for ids_of in chosen:
            contrast = nce(passed[one][ids_of], passed[other][ids_of], 0.2)
            expected = expected + 0.4 * contrast / len(couples)
    assert_equal_training(backbone, backbone.loss(batch), expected, (users, items))


def test_lgmrec_draws_noise_in_training_alone():
    catalogue = tiny_catalogue()
    tables = nn.Embedding(catalogue.num_users, DIM), nn.Embedding(catalogue.num_items, DIM)
    backbone = LGMRec(*tables, catalogue.matrix("train"), features=catalogue.features, dropout=0)
    batch = next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(1))
    assert backbone.loss(batch) != backbone.loss(batch)
    assert backbone.eval().loss(batch) == backbone.loss(batch)
