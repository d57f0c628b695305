"""Full tables made small after training, as runs among others."""

from itertools import product

import pytest
import torch

from urecjpq import compare_runs, describe, load_run, run_experiment
from urecjpq.build import build_tables
from urecjpq.compressed_tables import PrunedTable, RoundedTable
from urecjpq.errors import InputError
from urecjpq.files import read_json
from urecjpq.graphs import BACKBONES
from urecjpq.opponents import largest_dim, prune_run, round_run
from urecjpq.table_config import TableConfig
from urecjpq.testing import tiny_catalogue

DIM = 8
BACKBONE_NAMES = ("lightgcn", "vbpr", "grcn", "freedom")


def weights(rows=50, dim=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=generator) * torch.rand(rows, 1, generator=generator)


@pytest.mark.parametrize(("bits", "dim"), list(product((4, 8), (1, 7, 64))))
def test_rounding_is_off_by_half_a_step(bits, dim):
    weight = weights(dim=dim)
    table = RoundedTable(weight, bits)
    step = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    # bfloat16 scales are off by up to 2^-9 of the greatest number, which may be cut by as much.
    slack = weight.abs().amax(1, keepdim=True) / 2**8
    assert ((table.weight - weight).abs() <= step / 2 + slack).all()
    assert table.num_bytes == 50 * (-(-dim * bits // 8) + 2)
    assert torch.equal(table(torch.tensor([[3], [4]])), table.weight[3:5].unsqueeze(1))


def test_eight_bits_are_closer_than_four_and_zeros_stay():
    weight = weights()
    weight[3] = 0
    errors = [(RoundedTable(weight, bits).weight - weight).square().sum() for bits in (4, 8)]
    assert 100 * errors[1] < errors[0]
    assert (RoundedTable(weight, 4).weight[3] == 0).all()
    assert not list(RoundedTable(weight, 4).parameters())


@pytest.mark.parametrize(("bits", "value"), [(4, 7), (8, 127)])
def test_every_whole_number_is_kept(bits, value):
    weight = torch.arange(-value, value + 1).float()[None]
    assert torch.equal(RoundedTable(weight, bits).weight, weight)


@pytest.mark.parametrize("num_bytes", [50, 52, 53, 500, 50 + 3 * 350, 10_000])
def test_pruning_keeps_the_greatest_that_fit(num_bytes):
    weight = weights()
    table = PrunedTable(weight, num_bytes)
    kept = table.weight != 0
    assert kept.sum() == min((num_bytes - 50) // 3, 350)
    assert table.num_bytes == 50 + 3 * kept.sum() <= num_bytes
    torch.testing.assert_close(table.weight[kept], weight[kept], rtol=1e-3, atol=1e-3)
    if 0 < kept.sum() < 350:
        assert weight[kept].abs().min() >= weight[~kept].abs().max()


def test_wide_tables_count_in_two_bytes():
    table = PrunedTable(weights(4, 300), 10_000)
    assert table.columns.dtype == torch.int16
    assert table.num_bytes == 4 * 2 + 4 * 1200
    torch.testing.assert_close(table.weight, weights(4, 300), rtol=1e-3, atol=1e-3)


def test_bad_tables_are_refused():
    with pytest.raises(InputError, match="bits must be 4 or 8; got 2"):
        RoundedTable(weights(), 2)
    with pytest.raises(InputError, match="num_bytes must be at least 50, the counts of 50 rows"):
        PrunedTable(weights(), 49)
    with pytest.raises(InputError, match="weight must be finite rows"):
        RoundedTable(torch.full((2, 2), torch.nan), 8)


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_the_largest_dim_fits_and_the_next_does_not(bits):
    for num_bytes in (1000, 1600, 2399, 25_600):
        dim = largest_dim(num_bytes, 100, bits)
        scale = 0 if bits == 32 else 2
        assert 100 * (scale + dim * bits / 8) <= num_bytes < 100 * (scale + (dim + 1) * bits / 8)
    with pytest.raises(InputError, match="for one number per row; got 99"):
        largest_dim(99, 100, bits)


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture(scope="module")
def trained(catalogue, tmp_path_factory):
    """Train a model once for all tests."""
    home, done = tmp_path_factory.mktemp("runs"), {}

    def run(backbone, kind="full"):
        if (backbone, kind) not in done:
            strategy = {"kind": "jpq", "strategy": "random", "code_length": 4, "codebook_size": 16}
            config = describe(
                catalogue,
                name=f"{backbone}-{kind}",
                seed=0,
                backbone=BACKBONES[backbone](),
                tables={"embedding_dim": DIM} | (strategy if kind == "jpq" else {}),
                training={"learning_rate": 0.02, "batch_size": 128, "max_epochs": 8},
            )
            path = home / f"{backbone}-{kind}"
            done[backbone, kind] = run_experiment(catalogue, config, path)
        return done[backbone, kind]

    return run


def sizes(run):
    return read_json(run / "metrics.json")["sizes"]


@pytest.mark.parametrize("backbone", BACKBONE_NAMES)
def test_eight_bits_change_little_and_count_what_is_stored(backbone, catalogue, trained, tmp_path):
    full = trained(backbone)
    run = load_run(round_run(full, catalogue, tmp_path / "run", bits=8))
    small, large = sizes(tmp_path / "run"), sizes(full)
    tables = large["user_table_bytes"] // (60 * DIM * 4)
    assert small["user_table_bytes"] == tables * 60 * (DIM + 2)
    assert small["item_table_bytes"] == 40 * (DIM + 2)
    assert run.config.tables == TableConfig(embedding_dim=DIM, kind="rounded", bits=8)
    assert run.config.name == f"{backbone}-full-8bit"
    best = run.recommend("007", k=5)
    assert len(best) == 5
    before = load_run(full)
    for one, other in zip(run.vectors, before.vectors, strict=True):
        error = (one - other).norm() / other.norm()
        assert 0 < error < 0.02  # a step is 1/127 of the greatest number of a row


@pytest.mark.parametrize("backbone", BACKBONE_NAMES)
def test_pruned_to_the_bytes_of_quantised_tables(backbone, catalogue, trained, tmp_path):
    budget = sizes(trained(backbone, "jpq"))
    given = budget["user_table_bytes"], budget["item_table_bytes"]
    small = sizes(prune_run(trained(backbone), catalogue, tmp_path / "run", *given))
    for side in ("user_table_bytes", "item_table_bytes"):
        assert budget[side] - 9 <= small[side] <= budget[side]
    assert small["trainable_parameters"] < sizes(trained(backbone))["trainable_parameters"]


def test_opponents_stand_beside_the_others(catalogue, trained, tmp_path):
    full, jpq = trained("lightgcn"), trained("lightgcn", "jpq")
    opponents = [
        round_run(full, catalogue, tmp_path / "8", bits=8),
        round_run(full, catalogue, tmp_path / "4", bits=4),
        prune_run(full, catalogue, tmp_path / "pruned", 400, 300),
    ]
    lines = compare_runs([full, jpq, *opponents]).lines
    names = ["lightgcn-full", "lightgcn-jpq"]
    names += [f"lightgcn-full-{label}" for label in ("8bit", "4bit", "pruned")]
    assert [line.name for line in lines] == names
    assert [line.baseline for line in lines] == [None] + 4 * ["lightgcn-full"]
    assert lines[2].metrics["recall@20"] == pytest.approx(lines[0].metrics["recall@20"], abs=0.05)
    epochs = [read_json(run / "metrics.json")["training"] for run in (full, opponents[0])]
    assert epochs[0] == epochs[1]


def test_what_cannot_be_compressed_is_refused(catalogue, trained, tmp_path):
    with pytest.raises(InputError, match="must have full tables; got jpq"):
        round_run(trained("lightgcn", "jpq"), catalogue, tmp_path / "run", 8)
    with pytest.raises(InputError, match="bits must be 4 or 8; got 3"):
        round_run(trained("lightgcn"), catalogue, tmp_path / "run", 3)
    with pytest.raises(InputError, match="catalogue must be the one"):
        round_run(trained("lightgcn"), tiny_catalogue(seed=1), tmp_path / "run", 8)
    with pytest.raises(InputError, match="num_bytes must be at least 60"):
        prune_run(trained("lightgcn"), catalogue, tmp_path / "run", 10, 10)
    assert not (tmp_path / "run").exists()
    round_run(trained("lightgcn"), catalogue, tmp_path / "run", 8)
    with pytest.raises(InputError, match="folder must not hold a run yet"):
        round_run(trained("lightgcn"), catalogue, tmp_path / "run", 8)
    with pytest.raises(InputError, match="kind that is trained; got rounded"):
        build_tables(TableConfig(kind="rounded", bits=4), catalogue.matrix("train"), 0)


@pytest.mark.parametrize("wrong", [{"kind": "rounded"}, {"bits": 8}, {"kind": "jpq", "bits": 4}])
def test_bits_belong_to_rounded_tables(wrong):
    with pytest.raises(ValueError, match="bits must be given for kind rounded|strategy must be"):
        TableConfig(**wrong)
