"""What every table promises, whatever it stores."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from urecjpq.quotient_remainder import QuotientRemainderEmbedding
from urecjpq.tables import JPQEmbedding

NUM_ROWS, DIM = 50, 12


def jpq(code_length, codebook_size, special_tokens=0, num_rows=NUM_ROWS):
    rng = np.random.default_rng([code_length, codebook_size])
    codes = rng.integers(codebook_size, size=(num_rows - special_tokens, code_length))
    return JPQEmbedding(codes, DIM, codebook_size, special_tokens=special_tokens)


TABLES = {
    "full": lambda: nn.Embedding(NUM_ROWS, DIM),
    "one centroid": lambda: jpq(1, 1),
    "m=3 b=7": lambda: jpq(3, 7),
    "m=4 b=256": lambda: jpq(4, 256),
    "m=2 b=300": lambda: jpq(2, 300),
    "m=12 b=40000": lambda: jpq(12, 40_000),
    "padding": lambda: jpq(4, 16, special_tokens=1),
    "padding and mask": lambda: jpq(3, 300, special_tokens=2),
    "quotient_remainder": lambda: QuotientRemainderEmbedding(NUM_ROWS, DIM),
}
CODED = [name for name in TABLES if name != "full"]
every_table = pytest.mark.parametrize("name", TABLES)
every_coded_table = pytest.mark.parametrize("name", CODED)
ALL_IDS = torch.arange(NUM_ROWS)


def gradients(table, rows):
    """The gradient of every parameter for a loss that weighs every number of every row."""
    weights = torch.linspace(-1, 1, rows.numel(), dtype=rows.dtype).view_as(rows)
    return torch.autograd.grad((weights * rows.square()).sum(), list(table.parameters()))


def other_codes(table):
    return (table.codes.long() + 1 + torch.arange(len(table.codes))[:, None]) % table.codebook_size


@every_table
@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4), (2, 0, 3), (2, 3, 1, 2)])
def test_any_shape_of_ids_gains_one_dimension(name, shape):
    table = TABLES[name]()
    ids = torch.randint(NUM_ROWS, shape)
    assert table(ids).shape == (*shape, DIM)
    assert torch.equal(table(ids), table.weight[ids])


@every_table
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_a_row_is_the_row_of_the_weight(name, dtype):
    table = TABLES[name]()
    assert table.weight.shape == (table.num_embeddings, table.embedding_dim) == (NUM_ROWS, DIM)
    assert torch.equal(table(ALL_IDS.to(dtype)), table.weight)


@every_table
@pytest.mark.parametrize("wrong", [-1, NUM_ROWS])
def test_an_id_outside_the_table_is_refused(name, wrong):
    with pytest.raises(IndexError):
        TABLES[name]()(torch.tensor([0, wrong]))


@every_table
def test_both_routes_give_the_same_gradient(name):
    table = TABLES[name]().double()  # one centroid's sum of both signs is in float32 rounding's
    by_id, by_weight = gradients(table, table(ALL_IDS)), gradients(table, table.weight)
    for one, other in zip(by_id, by_weight, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        assert one.abs().max() > 0


@every_coded_table
def test_a_centroid_gathers_the_gradients_of_its_rows(name):
    table = TABLES[name]()
    (gradient,) = torch.autograd.grad(
        (table(ALL_IDS) * torch.arange(NUM_ROWS * DIM).view(NUM_ROWS, DIM)).sum(), table.centroids
    )
    expected = np.zeros(table.centroids.shape, dtype=np.float32)
    pieces = np.arange(NUM_ROWS * DIM, dtype=np.float32).reshape(NUM_ROWS, table.code_length, -1)
    for row, code in enumerate(table.codes.tolist()):
        for split, sub_id in enumerate(code):
            expected[split, sub_id] += pieces[row, split]
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-5)


@every_table
def test_a_step_moves_exactly_the_rows_asked_for(name):
    table = TABLES[name]()
    before = table.weight.detach().clone()
    asked = torch.tensor([0, 7, NUM_ROWS - 1])
    table(asked).square().sum().backward()
    torch.optim.SGD(table.parameters(), lr=0.1).step()
    moved = (table.weight != before).any(1)
    assert moved[asked].all()
    if name in ("full", "m=12 b=40000"):  # no centroid is shared here
        assert moved.sum() == len(asked)


@every_table
def test_state_survives_saving_and_loading(name):
    table, other = TABLES[name](), TABLES[name]()
    assert not torch.equal(table.weight, other.weight)
    other.load_state_dict(table.state_dict())
    assert torch.equal(other.weight, table.weight)


@every_table
def test_double_precision_moves_values_and_gradients(name):
    table = TABLES[name]()
    table.weight.sum().backward()
    table.zero_grad()
    expected = table.weight.detach().double()
    table.double()
    assert torch.equal(table(ALL_IDS), expected)
    by_id, by_weight = gradients(table, table(ALL_IDS)), gradients(table, table.weight)
    for one, other in zip(by_id, by_weight, strict=True):
        assert one.dtype == torch.float64
        torch.testing.assert_close(one, other)
    assert {value.dtype for key, value in table.state_dict().items() if key != "codes"} == {
        torch.float64
    }


@every_table
def test_another_device_keeps_shapes(name):
    table = TABLES[name]().to("meta")
    assert table(torch.zeros(2, 3, dtype=torch.long, device="meta")).shape == (2, 3, DIM)
    assert table.weight.device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_table
def test_cuda_gives_the_rows_and_gradients_of_the_cpu(name):
    table = TABLES[name]()
    table.weight.sum().backward()
    expected = table.weight.detach().clone(), gradients(table, table.weight)
    table.cuda()
    assert torch.equal(table(ALL_IDS.cuda()).cpu(), expected[0])
    for one, other in zip(gradients(table, table.weight.cpu()), expected[1], strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-3, atol=1e-3)


@every_coded_table
def test_a_copy_is_independent(name):
    table = TABLES[name]().double()
    table.weight.sum().backward()
    twin = copy.deepcopy(table)
    twin.set_codes(other_codes(twin))
    with torch.no_grad():
        twin.centroids.add_(1)
    assert not torch.equal(twin.weight[0], table.weight[0])
    for one in (table, twin):
        by_id, by_weight = gradients(one, one(ALL_IDS)), gradients(one, one.weight)
        torch.testing.assert_close(by_id, by_weight, rtol=1e-5, atol=1e-6)


def reassign_by_method(table, codes):
    table.set_codes(codes)


def reassign_by_state(table, codes):
    other = JPQEmbedding(codes, DIM, table.codebook_size, table.centroids, table.special_tokens)
    state = other.state_dict()
    if table.special_tokens:
        state["special"] = table.special
    table.load_state_dict(state)


def reassign_by_assigned_state(table, codes):
    state = table.state_dict() | {"codes": codes.to(table.codes.dtype)}
    table.load_state_dict(state, assign=True)


def reassign_in_place(table, codes):
    table.codes.copy_(codes)


@pytest.mark.parametrize("name", ["m=3 b=7", "m=2 b=300", "padding"])
@pytest.mark.parametrize(
    "reassign",
    [reassign_by_method, reassign_by_state, reassign_by_assigned_state, reassign_in_place],
)
def test_new_codes_change_rows_and_gradients(name, reassign):
    table = TABLES[name]()
    before = table.weight.detach().clone()
    stale = gradients(table, table.weight)  # from here on, anything kept for speed is kept
    codes = other_codes(table)
    reassign(table, codes)

    coded = len(codes)
    assert torch.equal(table.codes.long(), codes)
    splits = torch.arange(table.code_length)
    expected = table.centroids[splits, codes].flatten(1)
    assert torch.equal(table.weight[:coded], expected)
    assert not torch.equal(table.weight[:coded], before[:coded])
    assert torch.equal(table.weight[coded:], before[coded:])
    by_id, by_weight = gradients(table, table(ALL_IDS)), gradients(table, table.weight)
    torch.testing.assert_close(by_id, by_weight, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(by_weight[0], stale[0])


def test_codes_that_change_before_the_backward_are_refused():
    table = TABLES["m=3 b=7"]()
    loss = table.weight.square().sum()
    table.set_codes(other_codes(table))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@every_coded_table
def test_sub_scores_add_up_to_the_dot_product(name):
    table = TABLES[name]()
    queries = torch.randn(6, DIM)
    scores = table.score_table(queries)
    assert scores.shape == (6, table.code_length, table.codebook_size)
    codes = table.codes.long()
    found = sum(scores[:, split, codes[:, split]] for split in range(table.code_length))
    expected = queries @ table.weight[: len(codes)].T
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@every_coded_table
def test_codes_are_a_buffer_in_the_narrowest_type(name):
    table = TABLES[name]()
    narrowest = {True: torch.uint8, False: torch.int16}[table.codebook_size <= 256]
    assert table.codes.dtype == (torch.int32 if table.codebook_size > 32_768 else narrowest)
    assert "codes" in dict(table.named_buffers())
    assert "codes" not in dict(table.named_parameters())
    assert not table.codes.requires_grad


@every_coded_table
def test_the_full_table_is_never_a_parameter(name):
    table = TABLES[name]()
    expected = table.codebook_size * DIM + table.special_tokens * DIM
    assert sum(p.numel() for p in table.parameters()) == expected


@pytest.mark.parametrize("special_tokens", [1, 3])
def test_special_tokens_have_rows_outside_the_codes(special_tokens):
    table = jpq(4, 16, special_tokens)
    coded = NUM_ROWS - special_tokens
    assert torch.equal(table.weight[coded:], table.special)
    (centroids, special) = torch.autograd.grad(
        table(torch.tensor([[NUM_ROWS - 1, coded]])).sum(), [table.centroids, table.special]
    )
    assert centroids.abs().max() == 0
    assert special.sum() == 2 * DIM


@pytest.mark.parametrize("name", ["m=4 b=256", "m=3 b=7", "padding", "quotient_remainder"])
def test_one_and_two_threads_give_the_same_bits(name):
    rows = 5000
    table = {
        "m=4 b=256": lambda: jpq(4, 256, num_rows=rows),
        "m=3 b=7": lambda: jpq(3, 7, num_rows=rows),
        "padding": lambda: jpq(4, 16, 1, num_rows=rows),
        "quotient_remainder": lambda: QuotientRemainderEmbedding(rows, DIM),
    }[name]()
    ids = torch.randint(rows, (20_000,))
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        table._members = None
        found.append([*gradients(table, table(ids)), *gradients(table, table.weight)])
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)
