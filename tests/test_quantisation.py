"""Tables swapped inside models we have never seen, and the bytes that this saves."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from urecjpq import InputError, JPQEmbedding, quantise, table_memory
from urecjpq.assignment import assign_by_random

DIM = 8


class Tower(nn.Module):
    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding
        self.out = nn.Linear(DIM, 3)

    def forward(self, ids):
        return self.out(self.embedding(ids))


class Foreign(nn.Module):
    """Somebody's model: a nested table used by two towers, and one of its own with padding."""

    def __init__(self):
        super().__init__()
        shared = nn.Embedding(30, DIM)
        self.towers = nn.ModuleList([Tower(shared), Tower(shared)])
        self.alias = self.again = shared
        self.users = nn.Embedding(22, DIM, padding_idx=20)

    def forward(self, users, items):
        towers = self.towers[0](items) + self.towers[1](items)
        return towers + self.alias(items)[..., :3] * self.users(users)[..., :3]


@pytest.fixture
def codes():
    return {
        "towers.0.embedding": assign_by_random(30, 4, 5, seed=1),
        "users": assign_by_random(20, 2, 5, seed=2).codes,
    }


def values_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(model, kinds, values):
    assert [type(m) for m in model.modules()] == kinds
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())
    assert len(model.state_dict()) == len(values)


def test_a_shared_nested_table_is_swapped_under_all_its_names(codes):
    model = quantise(Foreign(), codes, codebook_size=5)
    places = [model.towers[0].embedding, model.towers[1].embedding, model.alias, model.again]
    assert all(type(place) is JPQEmbedding for place in places)
    assert len({id(place) for place in places}) == 1
    np.testing.assert_array_equal(model.alias.codes, codes["towers.0.embedding"].codes)


@pytest.mark.parametrize("name", ["towers.0.embedding", "towers.1.embedding", "alias", "again"])
def test_a_shared_table_answers_to_each_of_its_names(name, codes):
    model = quantise(Foreign(), {name: codes["towers.0.embedding"]}, codebook_size=5)
    assert not any(isinstance(m, nn.Embedding) and m is not model.users for m in model.modules())


def test_codes_for_one_table_under_two_names_are_refused(codes):
    given = codes["towers.0.embedding"]
    with pytest.raises(InputError, match="alias must be given codes once.*towers.0.embedding"):
        quantise(Foreign(), {"towers.0.embedding": given, "alias": given}, codebook_size=5)


def test_the_swapped_model_still_runs_and_trains(codes):
    model = Foreign()
    assert quantise(model, codes, codebook_size=5) is model
    users, items = torch.tensor([0, 20, 21]), torch.tensor([[1], [2], [29]])
    model(users, items).sum().backward()
    for table in (model.alias, model.users):
        assert table.centroids.grad.abs().sum() > 0


def test_rows_beyond_the_codes_keep_their_values(codes):
    model = Foreign()
    nn.init.normal_(model.users.weight)
    mask = model.users.weight.detach()[21].clone()
    quantise(model, codes, codebook_size=5)
    assert model.users.num_embeddings == 22
    assert torch.equal(model.users(torch.tensor(21)), mask)


def test_centroids_of_an_assignment_are_the_start():
    centroids = np.random.default_rng(0).normal(size=(4, 5, 2)).astype(np.float32)
    given = assign_by_random(30, 4, 5)._replace(centroids=centroids)
    model = quantise(Foreign(), {"alias": given}, codebook_size=5)
    np.testing.assert_array_equal(model.alias.centroids.detach(), centroids)


def test_the_type_of_the_table_is_kept(codes):
    model = quantise(Foreign().double(), codes, codebook_size=5)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    model(torch.tensor([0]), torch.tensor([1])).sum().backward()


def test_the_model_may_not_be_the_table_itself():
    with pytest.raises(InputError, match="codes must name tables out of .*; got ''"):
        quantise(nn.Embedding(30, DIM), {"": assign_by_random(30, 4, 5)}, codebook_size=5)


def test_an_unknown_name_is_refused_with_the_tables_there_are(codes):
    model = Foreign()
    kinds, values = [type(m) for m in model.modules()], values_of(model)
    codes["movies"] = codes["users"]
    with pytest.raises(
        InputError, match=r"codes must name tables out of .*'users'.*; got 'movies'"
    ):
        quantise(model, codes, codebook_size=5)
    assert_same(model, kinds, values)


def test_too_many_codes_are_refused(codes):
    model = Foreign()
    kinds, values = [type(m) for m in model.modules()], values_of(model)
    codes["users"] = assign_by_random(23, 2, 5)
    with pytest.raises(InputError, match="codes of users must have at most 22 rows; got 23"):
        quantise(model, codes, codebook_size=5)
    assert_same(model, kinds, values)


@pytest.mark.parametrize(
    ("wrong", "size", "message"),
    [
        (np.zeros((20, 3)), 5, "embedding_dim must be a multiple of the code length 3; got 8"),
        (np.full((20, 2), 5), 5, r"sub-ids must lie in \[0, 5\); got \[5, 5\]"),
        (np.zeros(20), 5, r"codes must have shape \(num_rows, m\)"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(codes, wrong, size, message):
    model = Foreign()
    kinds, values = [type(m) for m in model.modules()], values_of(model)
    codes["users"] = wrong
    with pytest.raises(InputError, match=message):
        quantise(model, codes, codebook_size=size)
    assert_same(model, kinds, values)


def test_a_weight_that_another_layer_shares_is_refused(codes):
    model = Foreign()
    model.head = nn.Linear(DIM, 30, bias=False)
    model.head.weight = model.alias.weight
    kinds, values = [type(m) for m in model.modules()], values_of(model)
    with pytest.raises(InputError, match=r"must not share its weight .*; got \['head'\]\. Score"):
        quantise(model, codes, codebook_size=5)
    assert_same(model, kinds, values)


@pytest.mark.parametrize("option", ["max_norm", "sparse", "scale_grad_by_freq"])
def test_what_a_quantised_table_cannot_do_is_refused(codes, option):
    model = Foreign()
    model.alias.__setattr__(option, True)
    kinds, values = [type(m) for m in model.modules()], values_of(model)
    with pytest.raises(InputError, match=rf"must have no max_norm or .*; got {option}=True\. Make"):
        quantise(model, codes, codebook_size=5)
    assert_same(model, kinds, values)


def test_a_table_of_a_class_of_its_own_is_refused():
    class Scaled(nn.Embedding):
        def forward(self, input):
            return 2 * super().forward(input)

    model = nn.ModuleDict({"table": Scaled(30, DIM)})
    with pytest.raises(InputError, match="table must be an nn.Embedding itself; got Scaled"):
        quantise(model, {"table": assign_by_random(30, 4, 5)}, codebook_size=5)


def test_a_parametrised_weight_is_refused():
    model = nn.ModuleDict({"table": nn.utils.parametrizations.weight_norm(nn.Embedding(30, DIM))})
    with pytest.raises(InputError, match="table must be an nn.Embedding itself; got Parametrized"):
        quantise(model, {"table": assign_by_random(30, 4, 5)}, codebook_size=5)


@pytest.mark.parametrize(("with_code", "rows"), [(True, 30), (False, 30), (False, 31)])
def test_padding_before_the_items_stays_zero_and_the_codes_of_items_stay_theirs(with_code, rows):
    codes = assign_by_random(29, 4, 5, seed=1).codes
    given = np.concatenate([codes[:1], codes]) if with_code else codes
    model = nn.ModuleDict({"table": nn.Embedding(rows, DIM, padding_idx=0)})
    nn.init.normal_(model["table"].weight)  # as frameworks do to every table, padding included
    mask = model["table"].weight.detach()[30:].clone()
    items = quantise(model, {"table": given}, codebook_size=5)["table"]
    np.testing.assert_array_equal(items.codes[1:], codes)
    assert torch.equal(items.weight[30:], mask)
    ids = torch.tensor([[0, 3], [29, 0]])
    assert torch.equal(items(ids), items.weight[ids])
    assert items(ids)[0, 0].tolist() == items.weight[0].tolist() == [0] * DIM
    items(torch.tensor([0])).sum().backward()
    assert items.centroids.grad.abs().sum() == 0
    items.weight[0].sum().backward()
    assert items.centroids.grad.abs().sum() == 0


def test_padding_among_the_special_tokens_is_zero_too(codes):
    model = quantise(Foreign(), codes, codebook_size=5)
    assert model.users.padding_idx == 20
    assert model.users(torch.tensor(20)).tolist() == [0] * DIM
    model.users(torch.tensor([20, 21])).sum().backward()
    assert model.users.special.grad.sum(dim=1).tolist() == [0, DIM]


def test_a_padding_row_that_is_none_is_refused():
    with pytest.raises(InputError, match="padding_idx must be a row below 30; got 30"):
        JPQEmbedding(assign_by_random(30, 4, 5).codes, DIM, 5, padding_idx=30)


def test_frozen_tables_stay_frozen(codes):
    model = Foreign()
    model.users.requires_grad_(False)
    quantise(model, codes, codebook_size=5)
    assert not any(parameter.requires_grad for parameter in model.users.parameters())
    assert model.alias.centroids.requires_grad


def test_a_copy_of_the_model_can_be_swapped_alone(codes):
    model = Foreign()
    twin = quantise(copy.deepcopy(model), codes, codebook_size=5)
    assert type(model.users) is nn.Embedding
    assert type(twin.users) is JPQEmbedding


def test_gowalla_as_published():
    """RecJPQ (arXiv:2312.06165), Table 2: the largest of its catalogues."""
    memory = table_memory(1_271_638, embedding_dim=512, code_length=8, codebook_size=256)
    assert memory.code_bytes == 10_173_104
    assert memory.centroid_bytes == 524_288
    assert memory.full_bytes == 2_604_314_624
    assert memory.percent == pytest.approx(0.4108, abs=5e-5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1000, 64, 4, 256, 4), (256_000, 4_000, 65_536)),
        ((1000, 64, 4, 257, 4), (256_000, 8_000, 65_792)),
        ((1000, 64, 4, 256, 2), (128_000, 4_000, 32_768)),
    ],
)
def test_bytes_are_those_of_real_tables(arguments, expected):
    memory = table_memory(*arguments)
    assert memory[:3] == expected
    assert memory.percent == pytest.approx(100 * (expected[1] + expected[2]) / expected[0])
    num_rows, dim, code_length, size, bytes_per_number = arguments
    table = JPQEmbedding(np.zeros((num_rows, code_length)), dim, size)
    table = table.half() if bytes_per_number == 2 else table
    assert (table.codes.nbytes, table.centroids.nbytes) == expected[1:]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"num_rows": 0}, r"num_rows must be at least 1; got 0"),
        ({"codebook_size": -1}, r"codebook_size must be at least 1; got -1"),
        ({"bytes_per_number": 0}, r"bytes_per_number must be at least 1; got 0"),
        ({"code_length": 3}, r"code_length must divide embedding_dim 512; got 3"),
    ],
)
def test_sizes_that_no_table_has_are_refused(bad, message):
    with pytest.raises(InputError, match=message):
        table_memory(**{"num_rows": 10, **bad})
