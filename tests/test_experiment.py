"""One call from catalogue to run folder: equal bits, refusals, resuming, whole files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from urecjpq import describe, experiment, load_run, run_experiment, saving, table_config
from urecjpq.config import SCHEMA, parse_config
from urecjpq.errors import InputError
from urecjpq.files import (
    read_json,
    read_json_lines,
    read_tensors,
    sha256_of,
    write_json,
    write_tensors,
    written_whole,
)
from urecjpq.table_config import TableConfig
from urecjpq.testing import tiny_catalogue

EQUAL_FILES = (
    "config.json",
    "model.safetensors",
    "codes.safetensors",
    "graph.safetensors",
    "ids.tsv.gz",
    "user_metrics.safetensors",
)
TABLES = {
    "kind": "jpq",
    "strategy": "kmeans",
    "start": "factors",
    "embedding_dim": 8,
    "code_length": 4,
    "codebook_size": 8,
}


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


def choose(catalogue, **changes):
    choices = {
        "name": "tiny",
        "seed": 0,
        "backbone": {"name": "freedom"},
        "tables": TABLES,
        "training": {"learning_rate": 0.02, "batch_size": 64, "max_epochs": 3},
    }
    return describe(catalogue, **(choices | changes))


def digests(folder):
    return {path.name: sha256_of(path) for path in folder.iterdir()}


def test_the_same_seed_gives_the_same_bytes(catalogue, tmp_path):
    one, other = (
        run_experiment(tiny_catalogue(), choose(catalogue), tmp_path / name) for name in "ab"
    )
    for name in EQUAL_FILES:
        assert sha256_of(one / name) == sha256_of(other / name), name
    third = run_experiment(catalogue, choose(catalogue, seed=1), tmp_path / "c")
    assert sha256_of(third / "model.safetensors") != sha256_of(one / "model.safetensors")


def test_nothing_but_the_run_is_left(catalogue, tmp_path):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "deep" / "run")
    assert not [path.name for path in folder.iterdir() if path.name.startswith((".", "checkpoint"))]


def test_the_card_names_what_it_describes(catalogue, tmp_path):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    card = (folder / "README.md").read_text()
    metrics = read_json(folder / "metrics.json")
    assert "# tiny, seed 0" in card
    assert f"| recall@20 | {metrics['valid']['recall@20']:.4f} |" in card
    assert f"{metrics['sizes']['trainable_parameters']:,} trainable" in card


def test_metrics_follow_from_history(catalogue, tmp_path):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    metrics = read_json(folder / "metrics.json")
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert len(history) == metrics["training"]["epochs"] == 3
    best = max(history, key=lambda record: record["valid"]["recall@20"])
    assert best["epoch"] == metrics["training"]["best_epoch"]
    assert best["valid"]["recall@20"] == metrics["valid"]["recall@20"]
    per_user, _ = read_tensors(folder / "user_metrics.safetensors")
    assert float(per_user["recall@20"].mean()) == metrics["test"]["recall@20"]
    assert len(per_user["users"]) == len(per_user["recall@20"])


def test_the_stricter_exclusion_is_recorded_and_used(catalogue, tmp_path):
    folders = [
        run_experiment(catalogue, choose(catalogue, exclude=rule), tmp_path / rule)
        for rule in ("train", "train+valid")
    ]
    plain, strict = (read_json(folder / "metrics.json") for folder in folders)
    assert strict["protocol"] == {"exclude": "train+valid"}
    assert strict["valid"] == plain["valid"]
    assert strict["test"] != plain["test"]


def test_a_folder_with_a_run_is_refused_without_resume(catalogue, tmp_path):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    before = digests(folder)
    with pytest.raises(InputError, match="must not hold a run yet: .*; got a finished run. Pass"):
        run_experiment(catalogue, choose(catalogue), folder)
    assert digests(folder) == before
    (folder / "manifest.json").unlink()
    with pytest.raises(InputError, match="must not hold a run yet: .*; got an unfinished run"):
        run_experiment(catalogue, choose(catalogue), folder)


def test_a_finished_run_without_its_configuration_is_refused(catalogue, tmp_path):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    (folder / "config.json").unlink()
    before = digests(folder)
    for resume in (False, True):
        with pytest.raises(InputError):
            run_experiment(catalogue, choose(catalogue), folder, resume=resume)
    assert digests(folder) == before


def test_a_finished_run_is_left_alone(catalogue, tmp_path):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    before = {path.name: (sha256_of(path), path.stat().st_mtime_ns) for path in folder.iterdir()}
    assert run_experiment(catalogue, choose(catalogue), folder, resume=True) == folder
    assert before == {
        path.name: (sha256_of(path), path.stat().st_mtime_ns) for path in folder.iterdir()
    }


def test_a_damaged_finished_run_is_not_taken_for_done(catalogue, tmp_path):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="model.safetensors must have"):
        run_experiment(catalogue, choose(catalogue), folder, resume=True)


@pytest.mark.parametrize("changes", [{"seed": 1}, {"exclude": "train+valid"}, {"name": "other"}])
def test_resuming_with_another_configuration_is_refused(catalogue, tmp_path, changes):
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    before = digests(folder)
    message = "config.json must equal the configuration to resume; got another .*Choose another"
    with pytest.raises(InputError, match=message):
        run_experiment(catalogue, choose(catalogue, **changes), folder, resume=True)
    assert digests(folder) == before


def test_other_neighbours_than_the_configuration_names_are_refused(catalogue, tmp_path):
    changed = {
        name: replace(given, item_ids=given.item_ids[::-1].copy())
        for name, given in catalogue.neighbours.items()
    }
    other = replace(catalogue, neighbours=changed)
    assert other.digest == catalogue.digest
    with pytest.raises(InputError, match=r"features and neighbours .*; got other neighbours\."):
        run_experiment(other, choose(catalogue), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_content_that_a_backbone_does_not_use_is_no_part_of_its_configuration(catalogue):
    bare = replace(catalogue, neighbours={}, features={})
    graph = {"backbone": {"name": "lightgcn"}}
    assert choose(bare, **graph) == choose(catalogue, **graph)
    names = choose(catalogue, backbone={"name": "freedom"}).catalogue.content
    assert {name.split(".")[0] for name in names} == {"features", "neighbours"}


def test_another_catalogue_than_the_configuration_names_is_refused(catalogue, tmp_path):
    other = tiny_catalogue(seed=1)
    with pytest.raises(InputError, match="catalogue must be the one that the configuration names"):
        run_experiment(other, choose(catalogue), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "moment", ["save_run", "write_ids", "_write_results", "write_run_manifest"]
)
def test_a_run_that_failed_while_saving_is_finished_by_resuming(
    catalogue, tmp_path, monkeypatch, moment
):
    expected = run_experiment(catalogue, choose(catalogue), tmp_path / "straight")

    def fail(*arguments, **options):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(experiment if moment == "save_run" else saving, moment, fail)
        with pytest.raises(OSError, match="no space left"):
            run_experiment(catalogue, choose(catalogue), tmp_path / "run")
    folder = run_experiment(catalogue, choose(catalogue), tmp_path / "run", resume=True)
    for name in EQUAL_FILES:
        assert sha256_of(folder / name) == sha256_of(expected / name), name
    assert sorted(digests(folder)) == sorted(digests(expected))
    load_run(folder)


def test_only_our_own_files_enter_the_manifest(catalogue, tmp_path):
    folder = tmp_path / "run"
    (folder / "notes").mkdir(parents=True)
    (folder / "model.pkl").write_bytes(b"not ours")
    (folder / ".checkpoint.safetensors.123.part").write_bytes(b"left by a kill")
    run_experiment(catalogue, choose(catalogue), folder)
    named = read_json(folder / "manifest.json")["files"]
    assert len(named) == 9
    assert not {"notes", "model.pkl", ".checkpoint.safetensors.123.part"} & set(named)
    assert (folder / "model.pkl").read_bytes() == b"not ours"
    assert not (folder / ".checkpoint.safetensors.123.part").exists()
    load_run(folder)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"kind": "jpq"}, "strategy must be given for kind jpq"),
        ({"kind": "full", "strategy": "svd"}, "strategy must be given for kind jpq"),
        ({"kind": "quotient_remainder", "strategy": "random"}, "strategy must be given"),
        ({"kind": "jpq", "strategy": "svd", "start": "factors"}, "start must be random unless"),
        ({"kind": "quotient_remainder", "start": "factors"}, "start must be random unless"),
        ({"kind": "full", "size": 3}, "Extra inputs are not permitted"),
        ({"kind": "pq"}, "Input should be 'full', 'quotient_remainder', 'jpq'"),
        ({"embedding_dim": 0}, "greater than or equal to 1"),
        ({"kind": "jpq", "strategy": "svd", "embedding_dim": 10}, "multiple of the code length 8"),
    ],
)
def test_tables_that_make_no_sense_are_refused(choices, message):
    with pytest.raises(ValidationError, match=message):
        TableConfig(**choices)


def test_a_run_without_tables_is_refused_in_one_line(catalogue):
    with pytest.raises(InputError, match="^the run's settings: tables: Field required.$"):
        describe(catalogue, name="x", seed=0, backbone={"name": "lightgcn"})


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c | {"surprise": 1}, r"here: surprise: Extra .*; got 1\."),
        (lambda c: {k: v for k, v in c.items() if k != "seed"}, "here: seed: Field required"),
        (lambda c: c | {"seed": -1}, r"here: seed: .* greater than or equal to 0; got -1\."),
        (lambda c: c | {"seed": "0.5"}, "here: seed: .*; got '0.5'"),
        (lambda c: c | {"backbone": {"name": "mf"}}, "here: backbone: .*'lightgcn', .*'freedom'"),
        (lambda c: c | {"tables": {"kind": "jpq"}}, "here: tables: strategy must be given"),
        (lambda c: c | {"schema": SCHEMA + 1}, rf"here: schema: .*; got {SCHEMA + 1}\."),
        (lambda c: [c], "here: all of it: "),
    ],
)
def test_a_configuration_says_which_field_is_wrong(catalogue, edit, message):
    config = json.loads(choose(catalogue).to_json())
    assert parse_config(json.dumps(config), "here") == choose(catalogue)
    with pytest.raises(InputError, match=message):
        parse_config(json.dumps(edit(config)), "here")


def test_a_configuration_that_is_not_json_is_refused():
    with pytest.raises(InputError, match="here: all of it: Invalid JSON"):
        parse_config("{", "here")


def test_sizes_that_do_not_fit_the_data_leave_no_run(catalogue, tmp_path):
    config = choose(catalogue, tables=TABLES | {"codebook_size": 256})
    with pytest.raises(InputError, match=r"codebook_size must lie in \[1, (40|60)\]"):
        run_experiment(catalogue, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_catalogue_without_titles_or_features_is_fine(catalogue, tmp_path):
    plain = replace(catalogue, titles=None, features={}, neighbours={})
    config = choose(plain, backbone={"name": "lightgcn"})
    run = load_run(run_experiment(plain, config, tmp_path / "run"))
    assert set(run.titles) == {""}


def test_the_digest_follows_every_choice(catalogue):
    configs = [
        choose(catalogue),
        choose(catalogue, seed=1),
        choose(catalogue, tables=TABLES | {"start_norm": 0.2}),
        choose(catalogue, backbone={"name": "lightgcn"}),
        choose(tiny_catalogue(seed=1)),
    ]
    assert len({config.digest for config in configs}) == len(configs)
    assert choose(catalogue).digest == configs[0].digest


def test_files_have_the_mode_of_others(tmp_path):
    write_tensors(tmp_path / "tensors", {"a": torch.zeros(1)})
    (tmp_path / "other").touch()
    modes = {(tmp_path / name).stat().st_mode for name in ("tensors", "other")}
    assert len(modes) == 1


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError, match="half way"), written_whole(path) as temporary:
        temporary.write_text("half")
        assert read_json(path) == {"a": 1}
        raise RuntimeError("half way")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(TypeError):
        write_json(path, {"a": np.float32(1)})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_a_failed_first_write_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_what_they_should_be_are_refused(tmp_path):
    path = tmp_path / "file"
    for read in (read_json, read_json_lines, read_tensors):
        with pytest.raises(InputError, match="file must be a file; got nothing there"):
            read(path)
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(InputError, match="file must hold JSON"):
        read_json(path)
    with pytest.raises(InputError, match="file must be a whole safetensors file"):
        read_tensors(path)
    path.write_text('{"a": 1}\n{"a"\n')
    with pytest.raises(InputError, match="file, line 2, must hold JSON"):
        read_json_lines(path)


def test_what_starts_from_factors_takes_a_lower_rate_unless_told_otherwise(catalogue):
    def rate(tables, **training):
        described = describe(
            catalogue,
            name="run",
            seed=0,
            backbone={"name": "lightgcn"},
            tables=table_config.TABLES[tables],
            training=training,
        )
        return described.training.learning_rate

    assert rate("full") == rate("jpq-random") == 1e-3
    assert rate("full-factors") == rate("jpq-kmeans", batch_size=64) == 3e-4
    assert rate("jpq-kmeans", learning_rate=1e-3) == 1e-3
