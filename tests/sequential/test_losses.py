"""Losses against plain formulas over dense scores."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from torch import nn

import urecjpq.losses
from urecjpq import InputError, JPQEmbedding
from urecjpq.sequential import softmax_losses
from urecjpq.sequential.losses import BCE, GBCE, LambdaRank, LossSettings, SampledSoftmax, Softmax
from urecjpq.training import deterministic

NUM_ITEMS, DIM, NUM_QUERIES = 40, 8, 12
LOSSES = (
    BCE(num_negatives=3),
    GBCE(num_negatives=5, t=0.5),
    Softmax(),
    SampledSoftmax(num_negatives=10),
    LambdaRank(num_negatives=10),
)
CODES = np.random.default_rng(0).integers(6, size=(NUM_ITEMS, 4))


def full_table(dtype=torch.float64):
    return nn.Embedding(NUM_ITEMS, DIM).to(dtype)


def jpq_table(dtype=torch.float64):
    return JPQEmbedding(CODES, DIM, 6, special_tokens=1).to(dtype)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=[full_table, jpq_table], ids=["full", "jpq"])
def table(request):
    return request.param()


@pytest.fixture
def queries():
    return torch.randn(NUM_QUERIES, DIM, dtype=torch.float64, requires_grad=True)


POSITIVES = torch.arange(NUM_QUERIES) * 3 % NUM_ITEMS


def hold_at_most(scores, patch):
    patch.setattr(urecjpq.losses, "QUERIES_AT_ONCE", 1)
    patch.setattr(urecjpq.losses, "SCORES_AT_ONCE", scores)
    patch.setattr(softmax_losses, "SCORES_AT_ONCE", scores)


def dense_scores(table, queries):
    return queries @ table.weight[:NUM_ITEMS].T


def gradients(loss, table, queries):
    return torch.autograd.grad(loss, [queries, next(table.parameters())])


def assert_same(actual, expected, table, queries):
    torch.testing.assert_close(actual, expected)
    pairs = zip(*(gradients(x, table, queries) for x in (actual, expected)), strict=True)
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted)


def test_bce_is_the_formula(table, queries):
    actual = BCE(num_negatives=3)(table, queries, POSITIVES, generator())
    scores = dense_scores(table, queries) - math.log(3)
    negatives = torch.randint(NUM_ITEMS, (NUM_QUERIES, 3), generator=generator())
    positive = -F.logsigmoid(scores.gather(1, POSITIVES[:, None])).sum(1)
    negative = -F.logsigmoid(-scores.gather(1, negatives)).sum(1)
    assert_same(actual, ((positive + negative) / 4).mean(), table, queries)


@pytest.mark.parametrize("t", [0.25, 0.75, 1.0])
def test_gbce_is_bce_of_transformed_scores(table, queries, t):
    k = 5
    actual = GBCE(num_negatives=k, t=t)(table, queries, POSITIVES, generator())
    negatives = torch.randint(NUM_ITEMS, (NUM_QUERIES, k), generator=generator())
    alpha = k / (NUM_ITEMS - 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    scores = dense_scores(table, queries) + math.log(beta / k)
    positive = scores.gather(1, POSITIVES[:, None])
    transformed = (1 / (positive.sigmoid() ** -beta - 1)).log()
    logits = torch.cat([transformed, scores.gather(1, negatives)], 1)
    targets = torch.zeros_like(logits)
    targets[:, 0] = 1
    assert_same(actual, F.binary_cross_entropy_with_logits(logits, targets), table, queries)


def test_gbce_without_calibration_is_bce(table, queries):
    settings = {"table": table, "queries": queries, "positives": POSITIVES}
    with_gbce = GBCE(num_negatives=7, t=0)(**settings, generator=generator())
    assert_same(with_gbce, BCE(num_negatives=7)(**settings, generator=generator()), table, queries)


@pytest.mark.parametrize("loss", [BCE(), BCE(num_negatives=20), GBCE(num_negatives=20)])
def test_all_scores_zero_is_where_no_common_offset_helps(loss):
    rows, queries = nn.Embedding(NUM_ITEMS, 1), torch.ones(NUM_QUERIES, 1)
    nn.init.zeros_(rows.weight)
    loss(rows, queries, POSITIVES, generator()).backward()
    assert rows.weight.grad is not None
    torch.testing.assert_close(rows.weight.grad.sum(), torch.tensor(0.0), atol=1e-7, rtol=0)
    assert rows.weight.grad.abs().sum() > 0


def test_gbce_refuses_more_negatives_than_there_are():
    message = r"num_negatives must be at most 39, the number of other items; got 40\. Draw fewer"
    with pytest.raises(InputError, match=message):
        GBCE(num_negatives=40)(
            full_table(), torch.zeros(1, DIM), torch.zeros(1).long(), generator()
        )


@pytest.mark.parametrize("at_once", [1, 100, 10**6])
@pytest.mark.parametrize("rows_at_once", [0, 10**6])
def test_softmax_is_the_cross_entropy(monkeypatch, table, queries, at_once, rows_at_once):
    hold_at_most(at_once, monkeypatch)
    monkeypatch.setattr(softmax_losses, "ROWS_AT_ONCE", rows_at_once)
    actual = Softmax()(table, queries, POSITIVES, generator())
    expected = F.cross_entropy(dense_scores(table, queries), POSITIVES)
    assert_same(actual, expected, table, queries)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0, 1e4), num_queries=st.integers(1, 5), at_once=st.integers(1, 200))
def test_softmax_stands_large_scores_and_any_block(scale, num_queries, at_once):
    table = jpq_table()
    queries = (scale * torch.randn(num_queries, DIM, dtype=torch.float64)).requires_grad_()
    expected = F.cross_entropy(dense_scores(table, queries), POSITIVES[:num_queries])
    with pytest.MonkeyPatch.context() as patch:
        hold_at_most(at_once, patch)
        actual = Softmax()(table, queries, POSITIVES[:num_queries], generator())
    assert_same(actual, expected, table, queries)


def test_softmax_of_a_large_catalogue_needs_no_table(monkeypatch, queries):
    def refuse(self):
        raise AssertionError("materialised")

    table = jpq_table()
    expected = F.cross_entropy(dense_scores(table, queries), POSITIVES)
    monkeypatch.setattr(softmax_losses, "ROWS_AT_ONCE", NUM_ITEMS - 1)
    monkeypatch.setattr(JPQEmbedding, "weight", property(refuse))
    actual = Softmax()(table, queries, POSITIVES, generator())
    assert_same(actual, expected, table, queries)


def test_sampled_softmax_is_the_formula(table, queries):
    k = 30  # so many of 40 items that some negatives are positives
    actual = SampledSoftmax(num_negatives=k)(table, queries, POSITIVES, generator())
    scores = dense_scores(table, queries)
    negatives = torch.randint(NUM_ITEMS, (k,), generator=generator())
    assert torch.isin(POSITIVES, negatives).any()
    parts = []
    for row, wanted in enumerate(POSITIVES.tolist()):
        others = negatives[negatives != wanted]
        partition = scores[row, wanted].exp() + NUM_ITEMS / k * scores[row, others].exp().sum()
        parts.append(partition.log() - scores[row, wanted])
    assert_same(actual, torch.stack(parts).mean(), table, queries)


def test_sampled_softmax_tends_to_the_full_one(table, queries):
    full = Softmax()(table, queries, POSITIVES, generator())
    sampled = SampledSoftmax(num_negatives=200_000)(table, queries, POSITIVES, generator())
    # exp(s) has a relative deviation near 1, so 200,000 draws leave 1/√200,000 = 0.002; four times.
    torch.testing.assert_close(sampled, full, rtol=0, atol=0.009)
    pairs = zip(*(gradients(x, table, queries) for x in (sampled, full)), strict=True)
    for found, wanted in pairs:
        torch.testing.assert_close(found, wanted, rtol=0, atol=0.009)


def test_the_sampled_partition_is_unbiased(table, queries):
    """The mean over many samples of Σ exp is the full one, hits of the positive included."""
    table.requires_grad_(False)
    query, wanted = queries[:1].detach() / 4, POSITIVES[:1]
    score = dense_scores(table, query)[0, wanted]
    draws = generator()
    partitions = torch.stack(
        [
            (SampledSoftmax(num_negatives=4)(table, query, wanted, draws) + score).exp()
            for _ in range(3000)
        ]
    )
    error = partitions.std() / math.sqrt(len(partitions))
    full = dense_scores(table, query).exp().sum()
    assert abs(partitions.mean() - full) < 4 * error
    assert 4 * error < 0.05 * full


def test_lambdarank_is_the_formula(table, queries):
    k = 30
    actual = LambdaRank(num_negatives=k)(table, queries, POSITIVES, generator())
    negatives = torch.randint(NUM_ITEMS, (k,), generator=generator())
    scores = dense_scores(table, queries)
    parts = []
    for row, wanted in enumerate(POSITIVES.tolist()):
        others = negatives[negatives != wanted].tolist()
        ranked = sorted(others, key=lambda j, row=row: -scores[row, j].item())
        above = sum(scores[row, j] >= scores[row, wanted] for j in others)
        loss = scores.new_zeros(())
        for place, item in enumerate(ranked):
            rank = place + 1 + (place >= above)
            gain = abs(1 / math.log2(2 + above) - 1 / math.log2(1 + rank))
            loss = loss + gain * F.softplus(scores[row, item] - scores[row, wanted])
        parts.append(loss)
    assert_same(actual, torch.stack(parts).mean(), table, queries)


# LambdaRank's weights are constants by design: what it gives is the gradient of no function.
@pytest.mark.parametrize("loss", LOSSES[:-1], ids=lambda loss: loss.name)
def test_gradients_are_those_of_finite_differences(loss, queries):
    def of_values(queries, centroids):
        table = jpq_table()
        del table.centroids  # a plain tensor takes the parameter's place
        table.centroids = centroids
        table.requires_grad_(False)
        return loss(table, queries, POSITIVES, generator())

    centroids = jpq_table().centroids.detach().requires_grad_()
    assert torch.autograd.gradcheck(of_values, (queries, centroids))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("make", [full_table, jpq_table])
def test_same_seed_same_bits_with_deterministic_algorithms(loss, make):
    table = make(torch.float32)
    start = torch.randn(NUM_QUERIES, DIM)
    found = []
    with deterministic():
        for seed in (0, 0, 1):
            queries = start.clone().requires_grad_()
            value = loss(table, queries, POSITIVES, generator(seed))
            found.append((value, *gradients(value, table, queries)))
    assert all(torch.equal(*pair) for pair in zip(*found[:2], strict=True))
    assert torch.equal(found[0][0], found[2][0]) == (loss.name == "softmax")


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_training_by_it_ranks_the_positive_first(loss):
    table = full_table()
    queries = torch.randn(NUM_QUERIES, DIM, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([queries, *table.parameters()], lr=0.05)
    draws = generator()
    for _ in range(200):
        optimizer.zero_grad()
        loss(table, queries, POSITIVES, draws).backward()
        optimizer.step()
    ranked_first = dense_scores(table, queries).argmax(1) == POSITIVES
    assert ranked_first.double().mean() > 0.9


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_loss_survives_json(loss):
    adapter = TypeAdapter(LossSettings)
    assert adapter.validate_json(adapter.dump_json(loss)) == loss


@pytest.mark.parametrize(
    "settings", [{"name": "bce", "num_negatives": 0}, {"name": "gbce", "t": 1.5}, {"name": "mse"}]
)
def test_a_loss_that_cannot_be_is_refused(settings):
    with pytest.raises(ValidationError):
        TypeAdapter(LossSettings).validate_python(settings)
