"""The training loop: when it stops, what it keeps, and that nothing but seed and epoch matters."""

import shutil

import numpy as np
import pytest
import torch

from urecjpq import training
from urecjpq.build import build_backbone, build_tables
from urecjpq.config import TrainingConfig
from urecjpq.errors import InputError
from urecjpq.evaluation import Evaluation
from urecjpq.graphs import BACKBONES
from urecjpq.table_config import TableConfig
from urecjpq.testing import tiny_catalogue
from urecjpq.training import deterministic, train

CONFIG = TrainingConfig(learning_rate=0.01, batch_size=64, max_epochs=4)
TABLES = TableConfig(kind="jpq", strategy="random", embedding_dim=8, code_length=4, codebook_size=8)
every_backbone = pytest.mark.parametrize("name", BACKBONES)


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


def build(catalogue, name="lightgcn", seed=0, strategy="random"):
    interactions = catalogue.matrix("train")
    config = TABLES.model_copy(update={"strategy": strategy})
    tables = build_tables(config, interactions, seed)
    given = (interactions, catalogue.neighbours, catalogue.features, seed)
    return build_backbone(BACKBONES[name](), tables, *given)


def epochs(count, **changes):
    return CONFIG.model_copy(update={"max_epochs": count, "patience": 100} | changes)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def without_measurements(history):
    """Records without what no two runs share: seconds and memory."""
    return [
        {key: value for key, value in record.items() if not key.endswith(("seconds", "_bytes"))}
        for record in history
    ]


@pytest.fixture
def scripted(monkeypatch):
    """Replace validation by given values, and keep the model's values at each of them."""

    def script(backbone, values):
        seen = []

        def evaluate(*arguments, **options):
            seen.append({k: v.clone() for k, v in backbone.state_dict().items()})
            metrics = {"recall@20": values[len(seen) - 1], "ndcg@20": 0.0}
            return Evaluation(metrics, np.array([]), {}, {})

        monkeypatch.setattr(training, "evaluate", evaluate)
        return seen

    return script


@pytest.mark.parametrize(
    ("values", "patience", "best", "last"),
    [
        ([0.1, 0.3, 0.2, 0.3, 0.1, 0.9], 3, 2, 5),  # an equal value is no better one
        ([0.1, 0.3, 0.2, 0.1, 0.4, 0.1, 0.1, 0.1, 0.9], 3, 5, 8),
        ([0.0, 0.0, 0.0], 1, 1, 2),
        ([0.1, 0.2, 0.3, 0.4], 1, 4, 4),
        ([0.5, 0.1, 0.1, 0.1], 20, 1, 4),
    ],
)
def test_training_stops_in_time_and_keeps_the_best_values(
    catalogue, scripted, values, patience, best, last
):
    backbone = build(catalogue)
    seen = scripted(backbone, values)
    progress = train(backbone, catalogue, epochs(len(values), patience=patience), seed=0)
    assert (progress.best_epoch, progress.epoch) == (best, last)
    assert progress.best == values[best - 1]
    assert_same_bits(backbone.state_dict(), seen[best - 1])
    if best < last:
        assert not torch.equal(
            seen[best - 1]["user_table.centroids"], seen[last - 1]["user_table.centroids"]
        )


def test_a_resumed_run_stops_at_the_same_epoch(catalogue, scripted, tmp_path):
    values = [0.1, 0.3, 0.2, 0.3, 0.1, 0.9]
    backbone = build(catalogue)
    scripted(backbone, values)
    straight = train(backbone, catalogue, epochs(6, patience=3), seed=0)
    for limit, start in ((3, 0), (6, 3), (6, 5)):  # the third time there is nothing left to do
        resumed = build(catalogue, seed=start)  # where it goes on, its own start does not matter
        seen = scripted(resumed, values[start:])
        config = epochs(limit, patience=3)
        progress = train(resumed, catalogue, config, seed=0, checkpoint=tmp_path / "c")
        assert (progress.best_epoch, progress.epoch) == (2, min(limit, 5))
        assert len(seen) == progress.epoch - start
        assert_same_bits(resumed.state_dict(), straight.best_values)


@every_backbone
def test_history_says_what_happened(catalogue, name):
    progress = train(build(catalogue, name), catalogue, epochs(3), seed=0)
    assert [record["epoch"] for record in progress.history] == [1, 2, 3]
    for record in progress.history:
        measured = {"train_seconds", "seconds", "peak_resident_bytes"}
        assert set(record) == {"epoch", "loss", "valid"} | measured
        assert 10**7 < record["peak_resident_bytes"] < 10**11
        assert set(record["valid"]) == {"recall@20", "ndcg@20"}
        assert np.isfinite(record["loss"])
        assert record["seconds"] >= record["train_seconds"]


@every_backbone
def test_training_finds_the_two_tastes(catalogue, name):
    # Random codes tie users of both tastes together: without a graph there is no way round that.
    backbone = build(catalogue, name, strategy="kmeans")
    progress = train(backbone, catalogue, epochs(15, learning_rate=0.05), seed=0)
    # A contrastive part of a loss, as LGMRec's, does not go to zero: it compares with the batch.
    assert progress.history[-1]["loss"] < 0.95 * progress.history[0]["loss"]
    # 20 of the 40 items suit a user, 4 to 9 of them are in training: a list of 20 holds the rest.
    assert progress.best > 0.9


@every_backbone
def test_one_and_two_threads_give_the_same_bits(name):
    catalogue = tiny_catalogue(num_users=500, num_items=300)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        backbone = build(catalogue, name)
        progress = train(backbone, catalogue, epochs(2, batch_size=1024), seed=0)
        found.append((backbone.state_dict(), without_measurements(progress.history)))
    assert_same_bits(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


@every_backbone
def test_a_continued_run_ends_with_the_bits_of_a_straight_one(catalogue, name, tmp_path):
    straight = build(catalogue, name)
    expected = train(straight, catalogue, epochs(6), seed=0)
    path = tmp_path / "checkpoint.safetensors"
    train(build(catalogue, name), catalogue, epochs(3), seed=0, checkpoint=path)
    continued = build(catalogue, name, seed=7)  # nothing of the new values may survive
    torch.manual_seed(123)
    found = train(continued, catalogue, epochs(6), seed=0, checkpoint=path)
    assert_same_bits(continued.state_dict(), straight.state_dict())
    assert without_measurements(found.history) == without_measurements(expected.history)
    assert found.best_epoch == expected.best_epoch


def test_checkpoints_change_no_bit(catalogue, tmp_path):
    plain, saved = build(catalogue), build(catalogue)
    train(plain, catalogue, epochs(3), seed=0)
    train(saved, catalogue, epochs(3), seed=0, checkpoint=tmp_path / "c", save_every=0)
    assert_same_bits(plain.state_dict(), saved.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.fixture
def checkpoint(catalogue, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    train(build(catalogue), catalogue, epochs(2), 0, path, run_digest="ab" * 32)
    return path


def resume(catalogue, path, run_digest="ab" * 32):
    return train(build(catalogue, seed=1), catalogue, epochs(2), 0, path, run_digest=run_digest)


def test_a_flipped_byte_of_a_checkpoint_is_refused(catalogue, checkpoint):
    whole = checkpoint.read_bytes()
    expected = resume(catalogue, checkpoint).history
    header = 8 + int.from_bytes(whole[:8], "little")
    rng = np.random.default_rng(0)
    positions = {*range(8), *rng.integers(8, header, 80), *rng.integers(header, len(whole), 20)}
    positions |= {whole.index(word) for word in (b"best_epoch", b'progress"', b'"loss')}
    for position in sorted(int(position) for position in positions):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        checkpoint.write_bytes(flipped)
        with pytest.raises(InputError, match="checkpoint.safetensors must"):
            resume(catalogue, checkpoint)
    checkpoint.write_bytes(whole)
    assert resume(catalogue, checkpoint).history == expected


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -1])
def test_a_cut_checkpoint_is_refused(catalogue, checkpoint, kept):
    whole = checkpoint.read_bytes()
    checkpoint.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match="checkpoint.safetensors must be a whole safetensors file"):
        resume(catalogue, checkpoint)


def test_a_checkpoint_of_another_run_is_refused(catalogue, checkpoint):
    message = r"must belong to a run with .*; got run 'abababababab'\. Remove .* to start again"
    with pytest.raises(InputError, match=message):
        resume(catalogue, checkpoint, run_digest="cd" * 32)


def test_a_refused_checkpoint_is_left_alone(catalogue, checkpoint):
    before = checkpoint.read_bytes()
    with pytest.raises(InputError):
        resume(catalogue, checkpoint, run_digest="cd" * 32)
    assert checkpoint.read_bytes() == before


def test_a_failed_save_keeps_the_checkpoint_before(catalogue, checkpoint, monkeypatch):
    before = checkpoint.read_bytes()
    shutil.copy(checkpoint, checkpoint.with_name("copy"))

    def full_disk(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr("urecjpq.files.os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        train(build(catalogue), catalogue, epochs(3), 0, checkpoint, run_digest="ab" * 32)
    assert checkpoint.read_bytes() == before
    assert sorted(p.name for p in checkpoint.parent.iterdir()) == [checkpoint.name, "copy"]


def test_a_loss_that_is_not_finite_stops_training(catalogue):
    backbone = build(catalogue)
    with torch.no_grad():
        backbone.user_table.centroids.fill_(float("nan"))
    message = "the loss of epoch 1 is nan; lower the learning rate"
    with pytest.raises(FloatingPointError, match=message):
        train(backbone, catalogue, CONFIG, seed=0)


def test_no_validation_items_are_refused(catalogue):
    labels = catalogue.interactions.partitions.copy()
    labels[labels == 1] = 2
    with pytest.raises(InputError, match="partition must hold interactions; got none in valid"):
        train(build(catalogue), catalogue.with_partitions(labels), CONFIG, seed=0)


def global_state():
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - it is this state that may not move
    return (
        torch.get_rng_state().tolist(),
        (kind, keys.tolist(), *rest),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )


@every_backbone
def test_nothing_global_changes(catalogue, name):
    before = global_state()
    train(build(catalogue, name), catalogue, epochs(2), seed=0)
    assert global_state() == before


def test_nothing_global_changes_when_training_fails(catalogue):
    backbone = build(catalogue)
    before = global_state()
    with torch.no_grad():
        backbone.user_table.centroids.fill_(float("nan"))
    with pytest.raises(FloatingPointError):
        train(backbone, catalogue, CONFIG, seed=0)
    assert global_state() == before


@pytest.mark.parametrize(("enabled", "warn_only"), [(False, False), (True, False), (True, True)])
def test_the_deterministic_flag_is_put_back(enabled, warn_only):
    try:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        before = global_state()
        with deterministic():
            assert torch.are_deterministic_algorithms_enabled()
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert global_state() == before
    finally:
        torch.use_deterministic_algorithms(False)


def test_weight_decay_keeps_trained_values_small(catalogue):
    norms = []
    for weight_decay in (0, 0.1):
        backbone = build(catalogue)
        train(backbone, catalogue, epochs(4, weight_decay=weight_decay), seed=0)
        norms.append(float(sum(p.detach().square().sum() for p in backbone.parameters())))
    assert norms[1] < 0.9 * norms[0]
