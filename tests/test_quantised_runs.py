"""Trained runs made small: codes of their tables, trained on, as runs among others."""

import pytest
import torch

from urecjpq import compare_runs, describe, load_run, quantise_run, run_experiment
from urecjpq.backbones import BACKBONES
from urecjpq.build import build_model
from urecjpq.config import TrainingConfig
from urecjpq.errors import InputError
from urecjpq.files import read_json, sha256_of
from urecjpq.quantised_runs import quantised_model
from urecjpq.table_config import TABLES, TableConfig
from urecjpq.tables import JPQEmbedding
from urecjpq.testing import tiny_catalogue
from urecjpq.trained import full_config, full_model, tables_of

DIM, SIZES = 16, {"code_length": 8, "codebook_size": 32}
MODELS = {"sasrec": {"tied": False, "num_heads": 2}, "lightgcn": {}, "freedom": {}, "dragon": {}}
EPOCHS = TrainingConfig(max_epochs=2, batch_size=256)


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture(scope="module", params=MODELS)
def run(request, catalogue, tmp_path_factory):
    """A finished run with full tables."""
    config = describe(
        catalogue,
        name=request.param,
        seed=1,
        backbone={"name": request.param, **MODELS[request.param]},
        tables=TableConfig(embedding_dim=DIM),
        training=EPOCHS,
    )
    return run_experiment(catalogue, config, tmp_path_factory.mktemp("runs") / request.param)


def quantised(run, catalogue, out, **choices):
    return quantise_run(run, catalogue, out, **SIZES | choices)


def test_it_is_a_run_like_others(run, catalogue, tmp_path):
    made = quantised(run, catalogue, tmp_path / "small")
    loaded, config = load_run(made), read_json(made / "config.json")
    assert (config["tables"]["strategy"], config["tables"]["code_length"]) == ("trained", 8)
    assert config["source"] == sha256_of(run / "model.safetensors")
    full, small = compare_runs([run, made]).lines
    assert small.name == f"{full.name}-quantised-m8"
    assert small.sizes["checkpoint_bytes"] < full.sizes["checkpoint_bytes"]
    assert len(loaded.recommend(str(loaded.user_ids[0]), 5)) == 5


def test_before_training_rows_are_the_nearest_joined_centroids(run, catalogue, tmp_path):
    out = quantised(run, catalogue, tmp_path / "small")
    model = quantised_model(load_run(out).config, catalogue, run, full_config(run))
    before = tables_of(full_model(run, full_config(run), catalogue))
    for side, tables in tables_of(model).items():
        for name, table in tables.items():
            assert isinstance(table, JPQEmbedding)
            rows = before[side][name].weight
            error = (table.weight - rows).square().sum() / rows.square().sum()
            assert error < 0.5
        first, *others = tables.values()
        assert all(other.codes is first.codes for other in others)


def test_an_item_counts_as_often_as_it_occurs(run, catalogue, tmp_path):
    config = load_run(quantised(run, catalogue, tmp_path / "small")).config
    assert config.tables.weight_power == 1
    trained = tables_of(full_model(run, full_config(run), catalogue))["items"]
    counts = torch.from_numpy(catalogue.matrix("train").sum(axis=0)).ravel()
    errors = []
    for power in (1.0, 0.0):
        tables = config.tables.model_copy(update={"weight_power": power})
        asked = config.model_copy(update={"tables": tables})
        made = tables_of(quantised_model(asked, catalogue, run, full_config(run)))["items"]
        gaps = [(made[name].weight - table.weight).detach() for name, table in trained.items()]
        errors.append(sum(float(counts @ gap.square().sum(dim=1)) for gap in gaps))
    assert errors[0] < errors[1]


def test_same_run_same_bits(run, catalogue, tmp_path):
    one, two = (quantised(run, catalogue, tmp_path / name) for name in ("one", "two"))
    for name in ("model.safetensors", "codes.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    before = (one / "manifest.json").read_bytes()
    assert quantised(run, catalogue, tmp_path / "one", resume=True) == one
    assert (one / "manifest.json").read_bytes() == before


def test_one_side_alone(run, catalogue, tmp_path):
    made = load_run(quantised(run, catalogue, tmp_path / "items", sides="items"))
    values = read_json(tmp_path / "items" / "metrics.json")["sizes"]
    full = read_json(run / "metrics.json")["sizes"]
    assert made.config.tables.sides == "items"
    assert values["item_table_bytes"] < full["item_table_bytes"]
    assert values["user_table_bytes"] == full["user_table_bytes"]


def test_bad_runs_and_sizes_are_refused(run, catalogue, tmp_path):
    with pytest.raises(InputError, match="code length"):
        quantise_run(run, catalogue, tmp_path / "out", code_length=5)
    with pytest.raises(InputError, match="other data|the configuration names"):
        quantised(run, tiny_catalogue(seed=1), tmp_path / "out")
    small = quantised(run, catalogue, tmp_path / "small")
    with pytest.raises(InputError, match="must have full tables; got jpq"):
        quantised(small, catalogue, tmp_path / "out")
    with pytest.raises(InputError, match="must not hold a run yet"):
        quantised(run, catalogue, tmp_path / "small")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="tables must not start from trained ones"):
        build_model(load_run(small).config, catalogue)


def test_users_of_a_model_without_them_are_refused(catalogue, tmp_path):
    given = {"backbone": {"name": "gru4rec"}, "tables": TableConfig(embedding_dim=DIM)}
    config = describe(catalogue, name="g", seed=0, training=EPOCHS, **given)
    full = run_experiment(catalogue, config, tmp_path / "full")
    with pytest.raises(InputError, match="sides must be both, or one that the model has tables of"):
        quantised(full, catalogue, tmp_path / "small", sides="users")
    assert not (tmp_path / "small").exists()


def test_weights_belong_to_kmeans():
    with pytest.raises(ValueError, match="weight_power must be 0 unless strategy is kmeans or"):
        TableConfig(kind="jpq", strategy="svd", weight_power=1)
    assert "weight_power" not in TABLES["jpq-kmeans"].model_dump_json()


@pytest.mark.parametrize("choice", [{"strategy": "trained"}, {"start": "trained"}])
def test_codes_and_start_are_trained_both(choice):
    with pytest.raises(ValueError, match="strategy and start must both be trained, or neither"):
        TableConfig(**{"kind": "jpq", "strategy": "kmeans", **choice})


def test_a_source_belongs_to_trained_codes(catalogue):
    with pytest.raises(ValueError, match="source must be given where tables start from trained"):
        given = {"backbone": {"name": "lightgcn"}, "tables": TABLES["full"]}
        describe(catalogue, name="x", seed=0, source="0" * 64, **given)


def test_runs_of_other_seeds_are_one_line(catalogue, tmp_path):
    made = []
    for seed in (0, 1):
        given = {"backbone": {"name": "lightgcn"}, "tables": TableConfig(embedding_dim=DIM)}
        config = describe(catalogue, name="l", seed=seed, training=EPOCHS, **given)
        full = run_experiment(catalogue, config, tmp_path / f"full-{seed}")
        made.append(quantised(full, catalogue, tmp_path / f"small-{seed}"))
    (line,) = compare_runs(made).lines
    assert line.seeds == (0, 1)


def test_every_model_has_its_tables(catalogue):
    for name in BACKBONES:
        tables = TABLES["full"].model_copy(update={"embedding_dim": DIM})
        config = describe(catalogue, name=name, seed=0, backbone={"name": name}, tables=tables)
        model = build_model(config, catalogue)
        named = {id(table) for side in tables_of(model).values() for table in side.values()}
        grown = {catalogue.num_users, catalogue.num_items}
        others = [
            module
            for module in model.modules()
            if isinstance(module, torch.nn.Embedding)
            and module.num_embeddings in grown
            and id(module) not in named
        ]
        assert not others, name
