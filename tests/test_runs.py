"""The run folder: what is loaded is what was saved, and a changed byte is never loaded."""

import gzip
import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch

from urecjpq import describe, load_run, run_experiment
from urecjpq.build import build_backbone, empty_table
from urecjpq.errors import InputError
from urecjpq.evaluation import evaluate, rank_items
from urecjpq.files import read_tensors, sha256_of
from urecjpq.manifest import is_finished, verify_run, write_run_manifest
from urecjpq.testing import tiny_catalogue

FILES = (
    "README.md",
    "codes.safetensors",
    "config.json",
    "graph.safetensors",
    "history.jsonl",
    "ids.tsv.gz",
    "metrics.json",
    "model.safetensors",
    "user_metrics.safetensors",
)
SIZES = {"embedding_dim": 8, "code_length": 4, "codebook_size": 8}
TABLES = {
    "full": {"kind": "full", **SIZES},
    "quotient_remainder": {"kind": "quotient_remainder", **SIZES},
    "jpq": {"kind": "jpq", "strategy": "kmeans", "start": "factors", **SIZES},
    "jpq users": {"kind": "jpq", "strategy": "kmeans", "sides": "users", **SIZES},
    "jpq shared": {"kind": "jpq", "strategy": "kmeans", "centroids": "shared", **SIZES},
    "jpq int8": {"kind": "jpq", "strategy": "kmeans", "centroid_dtype": "int8", **SIZES},
    "jpq float16": {"kind": "jpq", "strategy": "svd", "centroid_dtype": "float16", **SIZES},
}
every_run = pytest.mark.parametrize("backbone", ["lightgcn", "freedom", "vbpr"])


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture(scope="module")
def trained(catalogue, tmp_path_factory):
    """Train each run once."""
    folders = {}

    def folder_of(backbone, table):
        if (backbone, table) not in folders:
            config = describe(
                catalogue,
                name=f"{backbone}, {table}",
                seed=0,
                backbone={"name": backbone},
                tables=TABLES[table],
                training={"learning_rate": 0.02, "batch_size": 64, "max_epochs": 3},
            )
            folder = tmp_path_factory.mktemp("runs") / "run"
            folders[backbone, table] = run_experiment(catalogue, config, folder)
        return folders[backbone, table]

    return folder_of


@pytest.fixture
def run_folder(trained, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(trained("lightgcn", "jpq"), tmp_path / "run")


@pytest.mark.parametrize("table", TABLES)
@every_run
def test_a_loaded_run_gives_the_metrics_that_were_saved(backbone, table, trained, catalogue):
    """Also with float16 centroids: what is evaluated is what is stored."""
    folder = trained(backbone, table)
    users, items = load_run(folder).vectors
    metrics = json.loads((folder / "metrics.json").read_text())
    for partition in ("valid", "test"):
        found = evaluate(users, items, catalogue, partition, features=catalogue.features)
        assert found.metrics == metrics[partition]


@every_run
def test_loading_twice_gives_the_same_scores(backbone, trained):
    one, other = (load_run(str(trained(backbone, "jpq"))) for _ in range(2))
    assert torch.equal(one.vectors[0] @ one.vectors[1].T, other.vectors[0] @ other.vectors[1].T)
    assert backbone == "vbpr" or not one.backbone.training


def test_ids_titles_and_pairs_come_back(trained, catalogue):
    run = load_run(trained("lightgcn", "jpq"))
    assert run.user_ids.tolist() == catalogue.user_ids.tolist()
    assert run.item_ids.tolist() == catalogue.item_ids.tolist()
    assert run.titles.tolist() == catalogue.titles.tolist()
    assert (run.interactions != catalogue.matrix("train")).nnz == 0
    assert run.config.catalogue.digest == catalogue.digest


def test_half_precision_halves_the_centroids(trained):
    sizes = {
        table: json.loads((trained("lightgcn", table) / "metrics.json").read_text())["sizes"]
        for table in ("jpq", "jpq float16")
    }
    centroids = 8 * 8
    assert sizes["jpq"]["user_table_bytes"] == 60 * 4 + 4 * centroids
    assert sizes["jpq float16"]["user_table_bytes"] == 60 * 4 + 2 * centroids
    assert sizes["jpq"]["item_table_bytes"] == 40 * 4 + 4 * centroids
    assert sizes["jpq"]["trainable_parameters"] == sizes["jpq"]["table_parameters"] == 2 * centroids


@pytest.mark.parametrize("table", TABLES)
def test_checkpoint_bytes_are_those_on_disk(table, trained):
    folder = trained("freedom", table)
    sizes = json.loads((folder / "metrics.json").read_text())["sizes"]
    parts = [(folder / name).stat().st_size for name in ("model.safetensors", "codes.safetensors")]
    assert sizes["checkpoint_bytes"] == sum(parts)
    assert sizes["model_file_bytes"] == parts[0]
    assert sizes["graph_file_bytes"] == (folder / "graph.safetensors").stat().st_size


def test_preference_tables_count_as_the_users(trained):
    folder = trained("vbpr", "jpq")
    sizes = json.loads((folder / "metrics.json").read_text())["sizes"]
    centroids = 8 * 8
    assert sizes["user_table_bytes"] == 60 * 4 + 2 * 4 * centroids  # the codes are shared
    assert sizes["table_parameters"] == 3 * centroids
    projections = (6 + 1) * 8 + (5 + 1) * 8
    assert sizes["trainable_parameters"] == 3 * centroids + projections
    stored = (folder / "vectors.safetensors").stat().st_size
    assert sizes["vectors_file_bytes"] == stored > (60 + 40) * 16 * 4
    assert sizes["checkpoint_bytes"] < stored


def test_stored_vectors_are_those_of_the_model_with_its_features(trained, catalogue):
    folder = trained("vbpr", "jpq")
    run = load_run(folder)
    train = catalogue.matrix("train")
    tables = tuple(empty_table(run.config.tables, count) for count in train.shape)
    given = (catalogue.neighbours, catalogue.features, 0)
    model = build_backbone(run.config.backbone, tables, train, *given)
    for name in ("model.safetensors", "codes.safetensors"):
        missing, unknown = model.load_state_dict(read_tensors(folder / name)[0], strict=False)
        assert not unknown
    for one, other in zip(run.vectors, model.vectors(), strict=True):
        assert torch.equal(one, other)


def test_lost_vectors_are_refused(trained, tmp_path):
    folder = shutil.copytree(trained("vbpr", "jpq"), tmp_path / "run")
    (folder / "vectors.safetensors").unlink()
    with pytest.raises(InputError, match="vectors.safetensors must be there; got no such file"):
        load_run(folder)
    write_run_manifest(folder)
    with pytest.raises(InputError, match="vectors.safetensors must be a file; got nothing there"):
        load_run(folder)


def test_recommendations_are_the_best_of_what_is_left(trained, catalogue):
    run = load_run(trained("freedom", "jpq"))
    users, items = run.vectors
    for row, user_id in enumerate(catalogue.user_ids):
        scores = (items @ users[row]).numpy()
        seen = run.interactions[[row]].indices
        order = [i for i in np.argsort(-scores, kind="stable") if i not in seen]
        found = run.recommend(user_id, k=5)
        assert list(found.columns) == ["item_id", "title", "score"]
        assert not set(found["item_id"]) & set(catalogue.item_ids[seen])
        np.testing.assert_allclose(found["score"], scores[order[:5]], rtol=1e-5, atol=1e-6)
        assert found["title"].tolist() == [
            catalogue.titles[catalogue.item_ids.tolist().index(i)] for i in found["item_id"]
        ]


@pytest.mark.parametrize("method", ["scan", "prune", "pqtopk"])
@every_run
def test_exact_methods_and_a_quantised_index_recommend_the_same_bits(backbone, method, trained):
    run = load_run(trained(backbone, "jpq"))
    index = run.build_index(code_length=4, codebook_size=8)
    for user_id in run.user_ids[:20]:
        expected = run.recommend(user_id, 5)
        assert run.recommend(user_id, 5, method).equals(expected)
        assert run.recommend(user_id, 5, method, index).equals(expected)


def test_recommendations_are_the_lists_of_the_evaluation(trained, catalogue):
    run = load_run(trained("freedom", "full"))
    rows = np.arange(catalogue.num_users)
    lists = rank_items(*run.vectors, rows, run.interactions, 5).numpy()
    for row, user_id in enumerate(run.user_ids):
        assert run.recommend(user_id, 5)["item_id"].tolist() == run.item_ids[lists[row]].tolist()


def test_a_table_that_is_final_is_scored_by_its_codes(catalogue, tmp_path):
    config = describe(
        catalogue,
        name="no layers",
        seed=0,
        backbone={"name": "lightgcn", "num_layers": 0},
        tables=TABLES["jpq"],
        training={"max_epochs": 1},
    )
    run = load_run(run_experiment(catalogue, config, tmp_path / "run"))
    assert run.index.memory()["vectors"] == 0
    ids, codes = run.index.codes()
    assert np.array_equal(ids, np.arange(catalogue.num_items))
    assert np.array_equal(codes, run.backbone.item_table.codes.numpy())
    users, items = run.vectors
    found = run.recommend("NA", k=3)
    rows = [run.item_ids.tolist().index(item) for item in found["item_id"]]
    np.testing.assert_allclose(found["score"], (items[rows] @ users[0]).numpy(), rtol=1e-5)


def test_a_list_ends_where_candidates_run_out(trained, catalogue):
    run = load_run(trained("lightgcn", "jpq"))
    found = run.recommend(catalogue.user_ids[12], k=1000)
    assert len(found) == catalogue.num_items - run.interactions[[12]].nnz
    assert found["item_id"].is_unique


def test_an_unknown_user_is_refused(trained):
    run = load_run(trained("lightgcn", "jpq"))
    message = (
        r"user must be one of the 60 users of the run; got 'nobody'\. The first are NA, 007, q"
    )
    with pytest.raises(InputError, match=message):
        run.recommend("nobody")
    with pytest.raises(InputError, match="k must be a whole number of at least 1; got 0"):
        run.recommend("NA", k=0)


@every_run
def test_every_file_is_in_the_manifest(backbone, trained):
    folder = trained(backbone, "jpq")
    manifest = json.loads((folder / "manifest.json").read_text())
    files = [*FILES, "vectors.safetensors"] if backbone == "vbpr" else FILES
    assert list(manifest["files"]) == list(files)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*files, "manifest.json"])
    for name, expected in manifest["files"].items():
        assert expected == {
            "bytes": (folder / name).stat().st_size,
            "sha256": sha256_of(folder / name),
        }


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0, 0.5, -1])
def test_a_flipped_byte_is_refused(name, where, run_folder):
    data = bytearray((run_folder / name).read_bytes())
    data[int(where * len(data)) if isinstance(where, float) else where] ^= 1
    (run_folder / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name} must have the sha256 [0-9a-f]{{12}}… of the"):
        load_run(run_folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0, 1, -1])
def test_a_cut_file_is_refused(name, kept, run_folder):
    (run_folder / name).write_bytes((run_folder / name).read_bytes()[:kept])
    with pytest.raises(InputError, match=rf"{name} must have [\d,]+ bytes; got \d+\. Copy the run"):
        load_run(run_folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(name, run_folder):
    (run_folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} must be there; got no such file"):
        load_run(run_folder)


def test_a_missing_manifest_or_folder_is_refused(run_folder):
    (run_folder / "manifest.json").unlink()
    assert not is_finished(run_folder)
    with pytest.raises(InputError, match=r"run must be a finished run; got no manifest\.json"):
        load_run(run_folder)
    with pytest.raises(InputError, match="must be a run folder; got no such folder"):
        load_run(run_folder / "nowhere")


def test_a_flipped_byte_of_the_manifest_is_refused(run_folder):
    """Each of its bytes, except where white space and nothing else changes."""
    path = run_folder / "manifest.json"
    whole = path.read_bytes()
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(InputError):
            verify_run(run_folder)
    path.write_bytes(whole)
    verify_run(run_folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"files": []}',
        '{"schema": 1, "files": {}}',
        '{"schema": 1, "files": {"a": 1}}',
    ],
)
def test_a_manifest_of_another_kind_is_refused(text, run_folder):
    (run_folder / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        load_run(run_folder)


def test_a_manifest_names_no_file_outside_the_folder(run_folder):
    path = run_folder / "manifest.json"
    manifest = json.loads(path.read_text())
    outside = run_folder.parent / "outside"
    outside.write_text("")
    entry = {"bytes": 0, "sha256": sha256_of(outside)}
    manifest["files"]["../outside"] = entry
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"manifest\.json must"):
        load_run(run_folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("schema", 2), ("schema", "1"), ("surprise", 1), ("seed", -1), ("exclude", "nothing")],
)
def test_a_configuration_of_another_kind_is_refused(field, value, run_folder):
    path = run_folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    write_run_manifest(run_folder)
    with pytest.raises(InputError, match=f"config.json: {field}: .*; got {value!r}"):
        load_run(run_folder)


class Explosive:
    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def test_other_files_are_never_touched(run_folder, tmp_path):
    explosive = Explosive()
    explosive.path = tmp_path / "exploded"
    for name in ("model.pt", "pytorch_model.bin", "state.pkl", "codes.npy"):
        (run_folder / name).write_bytes(pickle.dumps(explosive))
    before = {path.name: sha256_of(path) for path in run_folder.iterdir()}
    load_run(run_folder).recommend("NA")
    assert not explosive.path.exists()
    assert {path.name: sha256_of(path) for path in run_folder.iterdir()} == before
    pickle.loads((run_folder / "model.pt").read_bytes())  # noqa: S301 - proof that it would explode
    assert explosive.path.exists()


def test_a_folder_can_move(run_folder, tmp_path):
    expected = load_run(run_folder).recommend("NA")
    moved = shutil.move(run_folder, tmp_path / "else where")
    assert load_run(moved).recommend("NA").equals(expected)


def test_ids_are_readable_without_us(trained, catalogue):
    text = gzip.decompress((trained("lightgcn", "jpq") / "ids.tsv.gz").read_bytes()).decode()
    lines = text.splitlines()
    assert lines[0] == "kind\tid\ttitle"
    assert lines[1] == "user\tNA\t"
    assert len(lines) == 1 + catalogue.num_users + catalogue.num_items
    assert all(line.count("\t") == 2 for line in lines)
