"""Runs in other programs' formats: the same numbers, the same ids, whole or not at all."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from urecjpq import InputError, JPQEmbedding, TopKIndex
from urecjpq.cli import app
from urecjpq.config import TrainingConfig
from urecjpq.experiment import describe, run_experiment
from urecjpq.export import FORMATS, export_run
from urecjpq.graphs import LightGCNConfig
from urecjpq.runs import load_run
from urecjpq.table_config import TABLES
from urecjpq.testing import tiny_catalogue

KINDS = ("full", "jpq-kmeans", "quotient-remainder")
SMALL = {"embedding_dim": 8, "code_length": 4, "codebook_size": 5}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with each kind of table."""
    catalogue, folders = tiny_catalogue(), {}
    for kind in KINDS:
        config = describe(
            catalogue,
            name=kind,
            seed=0,
            backbone=LightGCNConfig(),
            tables=TABLES[kind].model_copy(update=SMALL),
            training=TrainingConfig(max_epochs=2),
        )
        folders[kind] = run_experiment(catalogue, config, tmp_path_factory.mktemp(kind) / "run")
    return folders


def expected(folder, what):
    run = load_run(folder)
    if what == "vectors":
        vectors = run.vectors
    else:
        vectors = [table.weight.detach() for table in tables_of(run)]
    return {
        "users": (run.user_ids.tolist(), vectors[0].numpy()),
        "items": (run.item_ids.tolist(), vectors[1].numpy()),
    }


def tables_of(run):
    return run.backbone.user_table, run.backbone.item_table


def ids_of(out, side):
    return json.loads((out / f"{side}.ids.json").read_text(encoding="utf-8"))


def read_safetensors(out, side):
    from safetensors.numpy import load_file

    if not (out / side).exists():
        return ids_of(out, side), load_file(out / f"{side}.safetensors")["vectors"]
    table = JPQEmbedding.from_pretrained(out / side)
    return table.raw_ids.tolist(), table.weight.detach().numpy()


def read_numpy(out, side):
    return ids_of(out, side), np.load(out / f"{side}.npy", allow_pickle=False)


def read_faiss(out, side):
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    index = faiss.read_index(str(out / f"{side}.faiss"))
    return ids_of(out, side), index.reconstruct_n(0, index.ntotal)


def read_parquet(out, side):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    table = parquet.read_table(out / f"{side}.parquet")
    assert table.column_names == ["id", "vector"]
    rows = table.column("vector").to_pylist()
    return table.column("id").to_pylist(), np.array(rows, dtype=np.float32)


def read_word2vec(out, side):
    """As gensim reads it: split at single spaces, the first is the word."""
    with open(out / f"{side}.txt", "rb") as file:
        count, dim = map(int, file.readline().split())
        lines = [line.decode("utf-8").rstrip().split(" ") for line in file]
    values = np.array([line[1:] for line in lines]).astype(np.float32)
    assert values.shape == (count, dim)
    return [line[0] for line in lines], values


READERS = {
    "safetensors": read_safetensors,
    "numpy": read_numpy,
    "faiss": read_faiss,
    "parquet": read_parquet,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["vectors", "tables"])
@pytest.mark.parametrize("form", READERS)
def test_an_export_has_the_numbers_and_ids_of_the_run(runs, kind, what, form, tmp_path):
    out = tmp_path / "new" / "out"
    export_run(runs[kind], out, form, what)
    for side, (ids, values) in expected(runs[kind], what).items():
        found_ids, found = READERS[form](out, side)
        assert found_ids == ids
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values)
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def plain_ids(folder, monkeypatch):
    """Let the run have ids without spaces: the tiny catalogue's are awkward on purpose."""
    run = load_run(folder)
    run.user_ids[:] = [raw.replace(" ", "_") for raw in run.user_ids]
    run.item_ids[:] = [raw.replace(" ", "_") for raw in run.item_ids]
    monkeypatch.setattr("urecjpq.export.load_run", lambda _: run)
    return run


def test_word2vec_text_is_exact(runs, tmp_path, monkeypatch):
    run = plain_ids(runs["jpq-kmeans"], monkeypatch)
    export_run(runs["jpq-kmeans"], tmp_path / "out", "word2vec")
    for side, ids, values in [
        ("users", run.user_ids, run.vectors[0]),
        ("items", run.item_ids, run.vectors[1]),
    ]:
        found_ids, found = read_word2vec(tmp_path / "out", side)
        assert found_ids == ids.tolist()
        np.testing.assert_array_equal(found, values.numpy())


def test_ids_that_word2vec_cannot_hold_are_refused_and_nothing_is_left(runs, tmp_path):
    message = r"ids of users must be without spaces for word2vec; got 'a b'\. Take parquet\."
    with pytest.raises(InputError, match=message):
        export_run(runs["full"], tmp_path / "out", "word2vec")
    assert list(tmp_path.iterdir()) == []


def test_faiss_finds_what_our_index_finds(runs, tmp_path):
    faiss = pytest.importorskip("faiss", reason="faiss is not installed")
    export_run(runs["jpq-kmeans"], tmp_path / "out", "faiss", "tables", "items")
    theirs = faiss.read_index(str(tmp_path / "out" / "items.faiss"))
    assert type(theirs).__name__ == "IndexPQ"
    queries = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    scores, _ = theirs.search(queries, 5)
    _, items = tables_of(load_run(runs["jpq-kmeans"]))
    ours = TopKIndex.from_table(items).search(queries, 5)
    np.testing.assert_allclose(scores, ours.scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", ["users", "items"])
def test_one_side_alone(runs, side, tmp_path):
    paths = export_run(runs["full"], tmp_path, "numpy", side=side)
    assert [path.name for path in paths] == [f"{side}.ids.json", f"{side}.npy"]


def test_tables_of_models_that_keep_their_vectors(tmp_path):
    from urecjpq.graphs import BACKBONES

    catalogue = tiny_catalogue()
    config = describe(
        catalogue,
        name="vbpr",
        seed=0,
        backbone=BACKBONES["vbpr"](),
        tables=TABLES["jpq-kmeans"].model_copy(update=SMALL),
        training=TrainingConfig(max_epochs=1),
    )
    folder = run_experiment(catalogue, config, tmp_path / "run")
    export_run(folder, tmp_path / "tables", "safetensors", "tables")
    items = JPQEmbedding.from_pretrained(tmp_path / "tables" / "items")
    assert items.weight.shape == (catalogue.num_items, 8)
    assert torch.equal(items.rows_of(["007"]), torch.tensor([1]))


def test_a_sequential_model_has_a_table_of_items_alone(tmp_path):
    from urecjpq.sequential import SASRecConfig

    catalogue = tiny_catalogue()
    config = describe(
        catalogue,
        name="sasrec",
        seed=0,
        backbone=SASRecConfig(max_length=6),
        tables=TABLES["jpq-svd"].model_copy(update=SMALL),
        training=TrainingConfig(max_epochs=1, batch_size=32),
    )
    folder = run_experiment(catalogue, config, tmp_path / "run")
    export_run(folder, tmp_path / "vectors", "numpy", side="items")
    _, vectors = read_numpy(tmp_path / "vectors", "items")
    expected = load_run(folder).backbone.item_vectors().detach().numpy()
    np.testing.assert_array_equal(vectors, expected)
    with pytest.raises(InputError, match="every history must end in an item"):  # one user has none
        export_run(folder, tmp_path / "both", "numpy")
    export_run(folder, tmp_path / "tables", "safetensors", "tables", "items")
    found_ids, _ = read_safetensors(tmp_path / "tables", "items")
    assert found_ids == catalogue.item_ids.tolist()
    with pytest.raises(InputError, match=r"side must be one that .*run has a table of; got users"):
        export_run(folder, tmp_path / "both", "safetensors", "tables")
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"form": "csv"}, "format must be one of safetensors, numpy, faiss, .*; got 'csv'"),
        ({"what": "all"}, "what must be one of vectors, tables; got 'all'"),
        ({"side": "user"}, "side must be one of users, items, both; got 'user'"),
    ],
)
def test_unknown_choices_are_refused(runs, choice, message, tmp_path):
    with pytest.raises(InputError, match=message):
        export_run(runs["full"], tmp_path / "out", **({"form": "numpy"} | choice))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(runs, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="must not exist yet; got something there. Choose"):
        export_run(runs["full"], tmp_path, "numpy")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("form", "module"), [("faiss", "faiss"), ("parquet", "pyarrow.parquet")])
def test_a_missing_package_is_one_clear_error(runs, form, module, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(
        InputError, match=rf'{module.split(".")[0]} is needed .*; pip install "urecjpq\[{form}\]'
    ):
        export_run(runs["full"], tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_and_names_what_it_wrote(runs, tmp_path):
    arguments = ["export", str(runs["full"]), "-o", str(tmp_path / "out"), "--format", "numpy"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    names = [line.rpartition("/")[2] for line in result.output.split()]
    assert names == ["items.ids.json", "items.npy", "users.ids.json", "users.npy"]


def test_every_format_is_tested_and_explained():
    assert set(FORMATS) == {*READERS, "word2vec"}
    assert all(
        f"\n    {form} " in (__import__("urecjpq.export").export.__doc__) for form in FORMATS
    )
