"""FREEDOM: item graphs, dropped edges and frozen features; parity/ has the dense reference."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from torch import nn

from urecjpq.data.catalogue import Features, Neighbours
from urecjpq.errors import InputError
from urecjpq.graphs import FREEDOM
from urecjpq.graphs.freedom import keep_edges
from urecjpq.graphs.item_graphs import blend
from urecjpq.sampling import Triples, TripleSampler
from urecjpq.testing import tiny_catalogue

DIM = 8


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


def model(catalogue, features=True, **options):
    torch.manual_seed(0)
    return FREEDOM(
        nn.Embedding(catalogue.num_users, DIM),
        nn.Embedding(catalogue.num_items, DIM),
        catalogue.matrix("train"),
        neighbours=catalogue.neighbours,
        features=catalogue.features if features else None,
        **options,
    )


def batch_of(catalogue):
    return next(TripleSampler(catalogue.matrix("train"), 10_000, 0).epoch(1))


def neighbours_of(item_ids):
    item_ids = np.array(item_ids, dtype=np.int32)
    return Neighbours(item_ids, np.zeros(item_ids.shape, dtype=np.float32))


def test_modalities_are_blended_by_weight():
    given = {"image": neighbours_of([[0, 1], [1, -1]]), "text": neighbours_of([[1, -1], [-1, -1]])}
    np.testing.assert_allclose(blend(given, None, 2).toarray(), [[0.25, 0.75], [0, 0.5]])
    weighted = blend(given, {"text": 0.9, "image": 0.1}, 2).toarray()
    np.testing.assert_allclose(weighted, [[0.05, 0.95], [0, 0.1]], rtol=1e-6)


@pytest.mark.parametrize(
    "weights",
    [{"image": 1.0}, {"image": 0.5, "text": 0.4, "audio": 0.1}, {"img": 0.5, "text": 0.5}],
)
def test_weights_of_other_modalities_are_refused(catalogue, weights):
    with pytest.raises(InputError, match=r"must name the modalities \['image', 'text'\]; got \["):
        model(catalogue, modality_weights=weights)


def test_no_neighbours_are_refused(catalogue):
    tables = nn.Embedding(60, DIM), nn.Embedding(40, DIM)
    with pytest.raises(InputError, match="neighbours must hold at least one modality; got none"):
        FREEDOM(*tables, catalogue.matrix("train"), neighbours={})


@pytest.mark.parametrize("wrong", [-0.1, 1.0, 1.5])
def test_a_dropout_out_of_range_is_refused(catalogue, wrong):
    with pytest.raises(InputError, match=r"edge_dropout must lie in \[0, 1\); got"):
        model(catalogue, edge_dropout=wrong)


def test_an_item_without_neighbours_is_its_propagation_alone(catalogue):
    backbone = model(catalogue, modality_weights={"image": 0.0, "text": 1.0}, num_layers=0)
    _, items = backbone.vectors()
    assert torch.equal(items[5], backbone.item_table.weight[5])  # item 5 has no text neighbour
    assert not torch.equal(items[6], backbone.item_table.weight[6])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("count", [10, 100, 1000])
def test_the_stated_share_of_edges_is_kept(share, count):
    rng = np.random.default_rng(0)
    cells = rng.permutation(100 * 50)[:count]
    matrix = csr_matrix(
        (np.ones(count, dtype=np.float32), (cells // 50, cells % 50)), shape=(100, 50)
    )
    kept = keep_edges(matrix, share, rng)
    assert kept.nnz == round(share * count)
    assert kept.shape == matrix.shape
    assert kept.dtype == np.float32
    assert (kept.data == 1).all()
    assert (kept.multiply(matrix) != kept).nnz == 0  # no edge that was not there


def test_edges_of_low_degree_are_kept_more_often():
    pairs = np.zeros((41, 40), dtype=np.float32)
    pairs[0] = 1  # one user with 40 items, each also liked by one user of its own
    pairs[np.arange(1, 41), np.arange(40)] = 1
    matrix = csr_matrix(pairs)
    kept = sum(
        keep_edges(matrix, 0.2, np.random.default_rng(seed)).toarray() for seed in range(300)
    )
    busy, quiet = kept[0].sum(), kept[1:].sum()
    assert busy + quiet == 300 * 16
    # Weights are 1/√80 and 1/√2, 6.3 to 1 in favour of the quiet; as 80 edges run out, a bit less.
    assert 5 < quiet / busy < 6.4


def test_an_epoch_drops_edges_and_evaluation_uses_all(catalogue):
    backbone = model(catalogue)
    batch = batch_of(catalogue)
    before, loss = backbone.vectors(), backbone.loss(batch)
    backbone.start_epoch(np.random.default_rng(1))
    assert not torch.equal(backbone.loss(batch), loss)
    for one, other in zip(backbone.vectors(), before, strict=True):
        assert torch.equal(one, other)
    all_edges = catalogue.matrix("train").nnz
    assert backbone.epoch_graph.matrix._nnz() == 2 * round(0.2 * all_edges)
    assert backbone.graph.matrix._nnz() == 2 * all_edges


def test_the_edges_of_an_epoch_follow_from_the_generator(catalogue):
    backbone = model(catalogue)
    graphs = []
    for seed in (1, 2, 1):
        backbone.start_epoch(np.random.default_rng(seed))
        graphs.append(backbone.epoch_graph.matrix.to_dense())
    assert torch.equal(graphs[0], graphs[2])
    assert not torch.equal(graphs[0], graphs[1])


def test_no_dropout_keeps_all_edges(catalogue):
    backbone = model(catalogue, edge_dropout=0.0)
    backbone.start_epoch(np.random.default_rng(1))
    assert backbone.epoch_graph is backbone.graph


def test_features_are_frozen(catalogue):
    backbone = model(catalogue, feature_weight=1.0)
    names = {name for name, _ in backbone.named_parameters()}
    projections = {
        f"projections.{m}.linear.{p}" for m in ("image", "text") for p in ("weight", "bias")
    }
    assert names == {"user_table.weight", "item_table.weight"} | projections
    assert set(backbone.state_dict()) == names
    before = {m: p.features.values.clone() for m, p in backbone.projections.items()}
    optimizer = torch.optim.Adam(backbone.parameters(), lr=0.1)
    backbone.loss(batch_of(catalogue)).backward()
    optimizer.step()
    for modality, projection in backbone.projections.items():
        assert not projection.features.values.requires_grad
        assert projection.features.values.grad is None
        assert torch.equal(projection.features.values, before[modality])
        assert projection.linear.weight.grad.abs().sum() > 0


def test_given_features_are_not_changed_or_shared(catalogue):
    given = catalogue.features["text"].values
    backbone = model(catalogue)
    backbone.projections["text"].features.values.zero_()
    assert np.abs(given).min() > 0


def test_items_without_content_take_no_part(catalogue):
    """Item 3 has no picture, and its features are NaN."""
    projection = model(catalogue).projections["image"]
    users = torch.randn(3, DIM)
    batch = Triples(torch.tensor([0, 1, 2]), torch.tensor([3, 4, 6]), torch.tensor([2, 3, 7]))
    only = Triples(*(column[2:] for column in batch))
    loss = projection.loss(users, batch)
    torch.testing.assert_close(loss, projection.loss(users[2:], only) / 3)
    absent = Triples(*(column[:2] for column in batch))
    assert float(projection.loss(users[:2], absent)) == 0


def test_without_features_the_loss_has_one_term(catalogue):
    batch = batch_of(catalogue)
    bare, silent = model(catalogue, features=False), model(catalogue, feature_weight=0.0)
    assert not bare.projections
    assert torch.equal(bare.loss(batch), silent.loss(batch))


def test_half_precision_features_are_widened(catalogue):
    values = catalogue.features["text"].values.astype(np.float16)
    features = {"text": Features(values, catalogue.features["text"].present)}
    tables = nn.Embedding(60, DIM), nn.Embedding(40, DIM)
    graphs = catalogue.neighbours
    backbone = FREEDOM(*tables, catalogue.matrix("train"), neighbours=graphs, features=features)
    assert backbone.projections["text"].features.values.dtype == torch.float32
