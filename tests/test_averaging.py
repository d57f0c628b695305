"""Moving averages and warm-up: off they change nothing, on they resume to the same bits."""

import pytest
import torch

from urecjpq.averaging import averaged, copied, holding, past_share
from urecjpq.build import build_backbone, build_tables
from urecjpq.config import TrainingConfig
from urecjpq.graphs import LightGCNConfig
from urecjpq.table_config import TableConfig
from urecjpq.testing import tiny_catalogue
from urecjpq.training import train, warmup_rates

TABLES = TableConfig(kind="jpq", strategy="random", embedding_dim=8, code_length=4, codebook_size=8)
USED = TrainingConfig(learning_rate=0.01, batch_size=64, warmup_epochs=3, averaging=0.75)


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


def build(catalogue):
    interactions = catalogue.matrix("train")
    tables = build_tables(TABLES, interactions, 0)
    return build_backbone(LightGCNConfig(), tables, interactions, {}, {}, 0)


def values_after(catalogue, config, epochs, checkpoint=None):
    backbone = build(catalogue)
    config = config.model_copy(update={"max_epochs": epochs, "patience": 100})
    progress = train(backbone, catalogue, config, 0, checkpoint)
    return backbone.state_dict(), progress


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_rates_rise_in_equal_steps_to_the_rate_and_stay():
    config = TrainingConfig(learning_rate=0.6, warmup_epochs=2)
    assert warmup_rates(config, 1, 3) == pytest.approx([0.1, 0.2, 0.3])
    assert warmup_rates(config, 2, 3) == pytest.approx([0.4, 0.5, 0.6])
    assert warmup_rates(config, 2, 3)[-1] == 0.6
    assert warmup_rates(config, 3, 3) is None
    assert warmup_rates(TrainingConfig(), 1, 3) is None


def test_a_run_with_warmup_and_average_resumes_to_the_same_bits(catalogue, tmp_path):
    straight, expected = values_after(catalogue, USED, 6)
    for epochs in (2, 4, 6):
        resumed, found = values_after(catalogue, USED, epochs, tmp_path / "c")
    assert_same_bits(resumed, straight)
    assert_same_bits(found.average, expected.average)
    assert [r["loss"] for r in found.history] == [r["loss"] for r in expected.history]


def test_each_setting_changes_the_values(catalogue):
    plain = values_after(catalogue, USED.model_copy(update={"warmup_epochs": 0, "averaging": 0}), 3)
    for changes in ({"warmup_epochs": 0}, {"averaging": 0}):
        other = values_after(catalogue, USED.model_copy(update=changes), 3)
        assert not torch.equal(other[0]["user_table.centroids"], plain[0]["user_table.centroids"])
    assert plain[1].average == {}


def test_the_average_is_what_is_validated_and_kept(catalogue):
    """By hand: the values after each epoch come from a run that takes no average."""
    config = USED.model_copy(update={"averaging": 0.0})
    parts = []
    for epochs in (1, 2, 3):
        backbone = build(catalogue)
        only = config.model_copy(update={"max_epochs": epochs, "patience": 100})
        progress = train(backbone, catalogue, only, 0)
        backbone.load_state_dict(progress.best_values)
        parts.append(last_values(catalogue, only))
    weights = [0.75**2, 0.75, 1.0]
    by_hand = sum(w * part for w, part in zip(weights, parts, strict=True)) / sum(weights)
    _, found = values_after(catalogue, USED, 3)
    torch.testing.assert_close(found.average["user_table.centroids"], by_hand)
    assert torch.equal(found.average["user_table.codes"], build(catalogue).user_table.codes)


def last_values(catalogue, config):
    """The values after the last epoch, whichever was the best: a decay of zero keeps them."""
    backbone = build(catalogue)
    found = train(backbone, catalogue, config.model_copy(update={"averaging": 1e-12}), 0)
    return found.average["user_table.centroids"]


def test_the_share_of_the_past_rises_to_the_decay():
    assert past_share(0.8, 1) == 0
    assert past_share(0.8, 2) == pytest.approx(0.8 / 1.8)
    assert past_share(0.8, 100) == pytest.approx(0.8)
    assert past_share(0.0, 5) == 0


def test_values_are_given_back_whatever_happens():
    module = torch.nn.Linear(2, 1)
    own = copied(module)
    other = {name: value + 1 for name, value in own.items()}
    with pytest.raises(RuntimeError, match="on purpose"), holding(module, other):
        assert_same_bits(module.state_dict(), other)
        raise RuntimeError("on purpose")
    assert_same_bits(module.state_dict(), own)
    assert_same_bits(averaged({}, module, 0.9), own)


def test_settings_that_are_off_leave_configurations_as_they_were():
    assert "averaging" not in TrainingConfig().model_dump_json()
    assert '"warmup_epochs":2' in TrainingConfig(warmup_epochs=2).model_dump_json()
    assert TrainingConfig(**TrainingConfig(averaging=0.5).model_dump()).averaging == 0.5
