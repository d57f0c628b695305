"""Tables that are saved, shared and loaded again: the same bits, and nothing that can run code."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import urecjpq.table_folder
from urecjpq import InputError, JPQEmbedding, QuotientRemainderEmbedding
from urecjpq.tables import sibling
from urecjpq.testing_hub import hub_at, local_hub

IDS = ["NA", "007", "a\tb\nc", "ünï", '"', *(f"item{row}" for row in range(25))]


def jpq(special_tokens=0, codebook_size=5, padding_idx=None):
    codes = np.random.default_rng(0).integers(codebook_size, size=(30, 4))
    return JPQEmbedding(codes, 8, codebook_size, None, special_tokens, padding_idx)


TABLES = {
    "jpq": jpq,
    "special": lambda: jpq(special_tokens=2),
    "padding": lambda: jpq(padding_idx=0),
    "padding at the end": lambda: jpq(special_tokens=2, padding_idx=31),
    "two bytes": lambda: jpq(codebook_size=300),
    "half": lambda: jpq().half(),
    "bfloat16": lambda: jpq().bfloat16(),
    "double": lambda: jpq().double(),
    "quotient remainder": lambda: QuotientRemainderEmbedding(30, 8),
    "scrambled": lambda: QuotientRemainderEmbedding(30, 8, scramble=True),
    "sibling": lambda: sibling(jpq()),
}


def assert_same_bits(one, other):
    for name in ("codes", *(name for name, _ in one.named_parameters())):
        first, second = (getattr(table, name).detach().contiguous() for table in (one, other))
        assert first.dtype == second.dtype
        assert torch.equal(first.view(torch.uint8), second.view(torch.uint8))
    assert torch.equal(one.weight, other.weight)


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_a_saved_table_is_loaded_with_the_same_bits(make, tmp_path):
    table = make()
    folder = table.save_pretrained(tmp_path / "table")
    before = torch.get_rng_state()
    loaded = JPQEmbedding.from_pretrained(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(loaded) is type(table)
    assert_same_bits(table, loaded)
    assert loaded.raw_ids is None
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_equal_tables_give_equal_bytes(tmp_path):
    torch.manual_seed(0)
    table = jpq()
    one, other = (table.save_pretrained(tmp_path / name / "table") for name in "ab")
    for file in one.iterdir():
        assert file.read_bytes() == (other / file.name).read_bytes()


def test_raw_ids_travel_and_align_the_rows_of_others(tmp_path):
    table = jpq(special_tokens=1)
    table.set_ids(IDS)
    loaded = JPQEmbedding.from_pretrained(table.save_pretrained(tmp_path))
    assert loaded.raw_ids.tolist() == IDS
    assert loaded.rows_of(["item3", "NA", "item3"]).tolist() == [8, 0, 8]
    assert loaded.rows_of(np.array(["a\tb\nc"])).tolist() == [2]
    assert loaded.rows_of([]).tolist() == []
    assert loaded.rows_of(["new", "007"], unknown=30).tolist() == [30, 1]
    with pytest.raises(InputError, match=r"among the 30 of the table; got 2 others: 'x', 'y'\. Pa"):
        loaded.rows_of(["x", "NA", "y"])


def test_rows_of_a_table_without_ids_are_refused():
    with pytest.raises(InputError, match=r"the table must have raw ids; got none\. Save it after"):
        jpq().rows_of(["NA"])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (IDS[:-1], "ids must be 30, one per row; got 29"),
        ([*IDS[:-1], "NA"], "ids must all be different; got 1 repeated"),
        ([*IDS[:-1], 7], r"ids must be text; got 7\. Write str"),
        (dict.fromkeys(IDS), "ids must be a list; got dict"),
        ("x" * 30, "ids must be a list; got str"),
    ],
)
def test_ids_that_do_not_fit_are_refused(ids, message):
    table = jpq()
    with pytest.raises(InputError, match=message):
        table.set_ids(ids)
    assert table.raw_ids is None


def test_a_table_saved_over_another_leaves_nothing_of_it(tmp_path):
    first = jpq(special_tokens=1)
    first.set_ids(IDS)
    first.save_pretrained(tmp_path)
    second = QuotientRemainderEmbedding(20, 4)
    second.save_pretrained(tmp_path)
    loaded = QuotientRemainderEmbedding.from_pretrained(tmp_path)
    assert_same_bits(second, loaded)
    assert loaded.raw_ids is None
    assert not (tmp_path / "ids.json").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "manifest.json", "ids.json"])
def test_files_of_others_are_not_written_over(name, tmp_path):
    (tmp_path / name).write_text('{"model_type": "bert"}')
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(InputError, match=rf"written over; got other {name}\. Choose another folde"):
        jpq().save_pretrained(tmp_path)
    assert (tmp_path / name).read_text() == '{"model_type": "bert"}'
    assert len(list(tmp_path.iterdir())) == 2


def test_an_edited_card_is_kept_and_a_cut_save_can_be_repeated(tmp_path):
    table = jpq()
    table.save_pretrained(tmp_path)
    (tmp_path / "README.md").write_text("edited")
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "model.safetensors").write_bytes(b"")
    table.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "edited"
    assert_same_bits(table, JPQEmbedding.from_pretrained(tmp_path))


def test_a_save_that_is_cut_between_two_tables_does_not_load(tmp_path, monkeypatch):
    jpq().save_pretrained(tmp_path)

    def cut(folder, names):
        raise OSError("no space left on device")

    monkeypatch.setattr(urecjpq.table_folder, "write_manifest", cut)
    with pytest.raises(OSError, match="no space"):
        jpq(codebook_size=300).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="must have"):
        JPQEmbedding.from_pretrained(tmp_path)


def test_a_table_of_another_class_is_refused(tmp_path):
    jpq().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="must hold a QuotientRemainderEmbedding; got JPQEmbeddi"):
        QuotientRemainderEmbedding.from_pretrained(tmp_path)


def test_what_cannot_be_loaded_is_not_saved(tmp_path):
    broken = jpq()
    broken.centroids.data[0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="centroids must be finite; got NaN or infinity"):
        broken.save_pretrained(tmp_path / "broken")
    changed = QuotientRemainderEmbedding(30, 8)
    changed.set_codes(changed.codes.flip(0))
    with pytest.raises(InputError, match="codes must be those that follow from the row numbers"):
        changed.save_pretrained(tmp_path / "changed")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def saved(tmp_path):
    table = jpq(special_tokens=1)
    table.set_ids(IDS)
    return table.save_pretrained(tmp_path / "table")


FILES = ("config.json", "model.safetensors", "ids.json", "manifest.json")


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_anywhere_is_refused(saved, name):
    path = saved / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.permutation(len(whole))[:40]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="must") as refused:
            JPQEmbedding.from_pretrained(saved)
        assert name in str(refused.value) or "manifest" in str(refused.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_or_gone_is_refused_by_its_name(saved, name):
    path = saved / name
    whole = path.read_bytes()
    for kept in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match=name):
            JPQEmbedding.from_pretrained(saved)
    path.unlink()
    with pytest.raises(InputError, match=name):
        JPQEmbedding.from_pretrained(saved)


def resign(folder):
    """Write a manifest that agrees with whatever the files are now."""
    from urecjpq.files import sha256_of

    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for name, file in manifest["files"].items():
        file |= {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_rows": 31}, r"model.safetensors must hold .*'codes': \(31, 4\).*; got"),
        ({"codebook_size": 6}, r"model.safetensors must hold .*\(4, 6, 2\)"),
        ({"special_tokens": 0}, "model.safetensors must hold"),
        ({"code_length": 3}, "embedding_dim in .*config.json must be a multiple of 3; got 8"),
        ({"padding_idx": 31}, "padding_idx must be a row below 31; got 31"),
        ({"dtype": "float16"}, r"must hold numbers of torch.float16; got \['torch.float32'\]"),
        ({"dtype": "object"}, "config.json: dtype: .*; got 'object'"),
        ({"schema": 2}, "config.json: schema: .*; got 2"),
        ({"run_this": "rm"}, "config.json: run_this: Extra inputs are not permitted"),
        ({"kind": "quotient_remainder"}, "model.safetensors must hold"),
        ({"num_rows": 10**15}, "model.safetensors must hold"),
        ({"num_rows": 0}, "config.json: num_rows"),
    ],
)
def test_a_signed_configuration_that_does_not_fit_is_refused(saved, change, message):
    path = saved / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    resign(saved)
    with pytest.raises(InputError, match=message):
        JPQEmbedding.from_pretrained(saved)


def test_a_signed_number_of_hashed_rows_must_fit_the_codebook(tmp_path):
    QuotientRemainderEmbedding(30, 8).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"num_rows": 30', '"num_rows": 3000000000'))
    resign(tmp_path)
    with pytest.raises(InputError, match="must be of a quotient-remainder table"):
        JPQEmbedding.from_pretrained(tmp_path)


def test_signed_values_that_do_not_fit_are_refused(saved):
    from safetensors.torch import load_file, save_file

    path = saved / "model.safetensors"
    values = load_file(path)
    for name, wrong, message in [
        ("centroids", values["centroids"] * float("inf"), "centroids must be finite"),
        ("codes", values["codes"] + 200, r"sub-ids must lie in \[0, 5\)"),
        ("codes", values["codes"].float(), "codes in .* must be whole numbers; got torch.float32"),
        ("extra", torch.zeros(1), "must hold .*; got .*'extra'"),
    ]:
        save_file(values | {name: wrong.contiguous()}, path)
        resign(saved)
        with pytest.raises(InputError, match=message):
            JPQEmbedding.from_pretrained(saved)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", '{"files": 3}', '{"files": {}}'])
def test_a_manifest_of_anything_else_is_refused(saved, text):
    (saved / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json must"):
        JPQEmbedding.from_pretrained(saved)


TOUCHED = """
import sys
from urecjpq import JPQEmbedding
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
print(JPQEmbedding.from_pretrained(sys.argv[1]).rows_of(["007"]).item())
print(*[path for path in opened if path.startswith(sys.argv[1])], sep="\\n")
"""
BOMB = b"cos\nsystem\n(S'touch exploded'\ntR."


def test_pickles_and_other_files_in_the_folder_are_not_touched(saved):
    for name in ("pytorch_model.bin", "model.pkl", "optimizer.pt", "modeling.py", "__init__.py"):
        (saved / name).write_bytes(BOMB)
    command = [sys.executable, "-c", TOUCHED, str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=saved.parent)
    assert done.stdout.splitlines()[0] == "1", done.stderr
    opened = {line.rpartition("/")[2] for line in done.stdout.splitlines()[1:]}
    assert opened == {*FILES}
    assert not (saved.parent / "exploded").exists()


def test_a_folder_with_nothing_but_a_pickle_is_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(BOMB)
    with pytest.raises(InputError, match=r"must hold a table; got no manifest.json\. Only what"):
        JPQEmbedding.from_pretrained(tmp_path)


@pytest.fixture
def hub(tmp_path):
    """A hub on this machine, and a cache of its own."""
    with local_hub(tmp_path / "cache") as served:
        yield served


NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("name", ["special", "scrambled", "half"])
def test_a_table_pushed_and_pulled_has_the_same_bits(hub, name, tmp_path):
    table = TABLES[name]()
    table.set_ids(IDS)
    hub.repositories["me/my-table"] = {"README.md": b"edited"}
    address = table.push_to_hub("me/my-table", token="of-no-one")
    assert hub.repositories["me/my-table"]["README.md"] == b"edited"
    assert address.startswith(f"{hub.url}/me/my-table/commit/")
    hub.repositories["me/my-table"] |= {"pytorch_model.bin": BOMB, "modeling.py": BOMB}
    pulled = JPQEmbedding.from_pretrained("me/my-table", cache_dir=tmp_path / "mine")
    assert_same_bits(table, pulled)
    assert pulled.rows_of(["item24"]).tolist() == [29]
    assert set(hub.asked) - {"README.md"} == {*FILES}  # which push alone asks for
    kept = {path.name for path in (tmp_path / "mine").rglob("*") if path.is_symlink()}
    assert kept == {*FILES}


def test_without_the_hub_what_was_fetched_still_loads(hub, tmp_path):
    table = jpq()
    table.push_to_hub("me/kept", token="of-no-one")
    JPQEmbedding.from_pretrained("me/kept")
    hub.repositories.clear()
    kept = JPQEmbedding.from_pretrained("me/kept", local_files_only=True)
    assert_same_bits(table, kept)
    with hub_at(NOWHERE, tmp_path / "cache"):
        assert_same_bits(table, JPQEmbedding.from_pretrained("me/kept"))


def test_a_hub_that_cannot_be_reached_is_one_clear_error(hub, tmp_path):
    rule = "me/none must be a folder, or reachable on the hub; got "
    with pytest.raises(InputError, match=rule + "RepositoryNotFoundError: .* Or fetch config.json"):
        JPQEmbedding.from_pretrained("me/none")
    with hub_at(NOWHERE, tmp_path):
        with pytest.raises(InputError, match=rule + "LocalEntryNotFoundError: .* Or fetch config"):
            JPQEmbedding.from_pretrained("me/none")
        with pytest.raises(InputError, match=r"me/none must be a repository that you .*ConnectErr"):
            jpq().push_to_hub("me/none", token="of-no-one")


def test_a_repository_with_nothing_but_a_pickle_is_refused_unfetched(hub):
    hub.repositories["me/pickle"] = {"pytorch_model.bin": BOMB}
    with pytest.raises(InputError, match=r"must .*Only what save_pretrained wrote is loaded"):
        JPQEmbedding.from_pretrained("me/pickle")
    assert hub.asked == []


@pytest.mark.parametrize("source", ["no such folder", "/no/such/folder", "../up/here", "a/b/c", ""])
def test_what_is_neither_folder_nor_repository_is_refused(source):
    with pytest.raises(InputError, match="source must be a folder or a repository owner/name"):
        JPQEmbedding.from_pretrained(source)
