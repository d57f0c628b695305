"""Refusals, starting values and what is stored of the tables; the rest is in contracts/."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from urecjpq import InputError, JPQEmbedding, QuotientRemainderEmbedding
from urecjpq.tables import sibling

CODES = np.arange(40).reshape(10, 4) % 8


def test_a_dimension_that_does_not_divide_is_refused_with_one_that_does():
    message = r"embedding_dim must be a multiple of the code length 4; got 10. Try 12\."
    with pytest.raises(InputError, match=message):
        JPQEmbedding(CODES, 10, 8)


@pytest.mark.parametrize(("codes", "span"), [(CODES, r"\[0, 7\]"), (CODES - 1, r"\[-1, 6\]")])
def test_sub_ids_out_of_range_are_refused(codes, span):
    with pytest.raises(InputError, match=rf"sub-ids must lie in \[0, 7\); got {span}\. Were the"):
        JPQEmbedding(codes, 16, 7)


@pytest.mark.parametrize("shape", [(40,), (10, 2, 2)])
def test_codes_must_be_two_dimensional(shape):
    with pytest.raises(InputError, match=r"codes must have shape \(num_rows, m\); got \("):
        JPQEmbedding(CODES.reshape(shape), 16, 8)


def test_codes_of_no_length_are_refused():
    with pytest.raises(InputError, match=r"codes must have shape \(num_rows, m\); got \(10, 0\)"):
        JPQEmbedding(CODES[:, :0], 16, 8)


@pytest.mark.parametrize("shape", [(4, 8, 5), (8, 4, 4), (128,)])
def test_centroids_of_another_shape_are_refused(shape):
    message = r"centroids must have shape \(4, 8, 4\); got \("
    with pytest.raises(InputError, match=message):
        JPQEmbedding(CODES, 16, 8, centroids=np.zeros(shape))


def test_new_codes_must_keep_the_shape_and_the_range():
    table = JPQEmbedding(CODES, 16, 8)
    before = table.codes.clone()
    with pytest.raises(InputError, match=r"codes must keep the shape \(10, 4\); got \(9, 4\)"):
        table.set_codes(CODES[1:])
    with pytest.raises(InputError, match=r"sub-ids must lie in \[0, 8\); got \[1, 8\]"):
        table.set_codes(CODES + 1)
    assert torch.equal(table.codes, before)


def test_given_centroids_are_the_start():
    centroids = np.random.default_rng(0).normal(size=(4, 8, 4)).astype(np.float32)
    table = JPQEmbedding(CODES, 16, 8, centroids)
    expected = np.concatenate([centroids[split, CODES[:, split]] for split in range(4)], axis=1)
    np.testing.assert_array_equal(table.weight.detach(), expected)


def test_random_rows_have_unit_expected_squared_norm():
    codes = np.random.default_rng(0).integers(256, size=(4000, 8))
    squares = JPQEmbedding(codes, 64, 256, special_tokens=1).weight.detach().square().sum(1)
    # 256 · 64 independent normals: the mean deviates by √(2 / 16384) = 0.011, here four times it.
    assert abs(float(squares.mean()) - 1) < 0.05


def test_codes_come_as_tensor_array_or_whole_floats():
    tables = [
        JPQEmbedding(codes, 16, 8)
        for codes in (CODES, torch.from_numpy(CODES), CODES.astype(np.uint8), CODES.astype(float))
    ]
    for table in tables:
        assert table.codes.tolist() == CODES.tolist()


@pytest.mark.parametrize(
    ("codebook_size", "bytes_per_sub_id"), [(256, 1), (257, 2), (32_768, 2), (32_769, 4)]
)
def test_stored_bytes_follow_the_codebook_size(codebook_size, bytes_per_sub_id):
    table = JPQEmbedding(np.full((10, 4), codebook_size - 1), 16, codebook_size)
    assert table.codes.nbytes == 10 * 4 * bytes_per_sub_id
    assert table.codes.long().min() == codebook_size - 1


@pytest.mark.parametrize("num_rows", [1, 2, 9, 10, 99, 100, 101, 1000])
def test_quotient_and_remainder_tell_every_row_apart(num_rows):
    table = QuotientRemainderEmbedding(num_rows, 6)
    assert table.codebook_size == int(np.ceil(np.sqrt(num_rows)))
    assert len(np.unique(table.codes.numpy(), axis=0)) == num_rows


def test_quotient_and_remainder_store_nothing_per_row():
    table = QuotientRemainderEmbedding(100, 6)
    assert set(table.state_dict()) == {"centroids"}
    with pytest.raises(InputError, match="embedding_dim must be a multiple of the code length 2"):
        QuotientRemainderEmbedding(100, 7)


def test_the_table_says_its_sizes():
    expected = "JPQEmbedding(11, 16, code_length=4, codebook_size=8)"
    assert repr(JPQEmbedding(CODES, 16, 8, special_tokens=1)) == expected


@pytest.mark.parametrize(
    "table",
    [
        nn.Embedding(30, 8),
        QuotientRemainderEmbedding(30, 8, scramble=True),
        JPQEmbedding(np.random.default_rng(0).integers(5, size=(30, 4)), 8, codebook_size=5),
    ],
    ids=["full", "quotient_remainder", "jpq"],
)
def test_a_sibling_has_the_same_codes_and_other_values(table):
    twin = sibling(table)
    assert twin.weight.shape == table.weight.shape
    assert not torch.equal(twin.weight, table.weight)
    # As long in the root mean square, up to what 30 rows vary.
    ratio = (twin.weight.square().mean() / table.weight.square().mean()).detach()
    assert 0.6 < ratio.item() < 1.6
    assert "codes" not in twin.state_dict()
    if isinstance(table, JPQEmbedding):
        assert isinstance(twin, JPQEmbedding)
        assert twin.codes is table.codes


def test_siblings_change_their_codes_together():
    table = JPQEmbedding(np.zeros((3, 2)), 4, codebook_size=2)
    twin = sibling(table)
    assert torch.equal(twin.weight[0], twin.weight[2])
    loss = twin.weight[2].sum()
    loss.backward()
    state = table.state_dict()
    state["codes"] = torch.tensor([[0, 0], [0, 1], [1, 1]], dtype=torch.uint8)
    table.load_state_dict(state)
    assert not torch.equal(twin.weight[0], twin.weight[2])
    twin.zero_grad()
    twin.weight[2].sum().backward()
    assert twin.centroids.grad[:, 0].abs().sum() == 0  # row 2 now reads the second centroids
    pair = copy.deepcopy(nn.ModuleList([table, twin]))
    assert pair[0].codes is pair[1].codes
