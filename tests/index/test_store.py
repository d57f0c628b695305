"""What a saved index is, and that no damaged one is believed, or read outside its arrays."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from urecjpq.errors import InputError
from urecjpq.index import TopKIndex
from urecjpq.index.arrays import read_arrays

RNG = np.random.default_rng(0)
KINDS = ("codes", "wide codes", "gaps", "one split", "vectors", "unquantised")
every_kind = pytest.mark.parametrize("kind", KINDS)
LOADS = [(True, True), (True, False), (False, True), (False, False)]


def made(kind, n=3000):
    rng = np.random.default_rng(len(kind))
    if kind == "vectors":
        return TopKIndex.from_vectors(rng.standard_normal((n, 12)).astype(np.float32), 4, 16)
    if kind == "unquantised":
        return TopKIndex.from_vectors(rng.standard_normal((n, 12)).astype(np.float32), None)
    m, b = (1 if kind == "one split" else 4), (300 if kind == "wide codes" else 16)
    centroids = rng.standard_normal((m, b, 12 // m))
    index = TopKIndex.from_codes(rng.integers(0, b, (n, m)), centroids)
    if kind == "gaps":
        index.remove(rng.choice(n, n // 3, replace=False))
    return index


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    return {kind: made(kind).save(folder / kind) for kind in KINDS}


def queries(count=5):
    return np.random.default_rng(1).standard_normal((count, 12)).astype(np.float32)


@every_kind
@pytest.mark.parametrize(("memory_map", "verify"), LOADS)
def test_what_was_saved_answers_the_same(kind, memory_map, verify, saved):
    index, loaded = made(kind), TopKIndex.load(saved[kind], memory_map, verify)
    sizes = (loaded.num_items, loaded.num_ids, loaded.embedding_dim)
    assert sizes == (index.num_items, index.num_ids, index.embedding_dim)
    for method in ("scan", "prune", "pqtopk", "dense"):
        right, found = (each.search(queries(), 20, method=method) for each in (index, loaded))
        assert np.array_equal(found.ids, right.ids)
        assert found.scores.tobytes() == right.scores.tobytes()


@every_kind
def test_a_loaded_index_can_change(kind, saved):
    index, loaded = made(kind), TopKIndex.load(saved[kind])
    for each in (index, loaded):
        new = each.codes()[1][:70]
        if kind in ("vectors", "unquantised"):
            new = each._state.base.vectors[:70, :12]
        each.add(new)
        each.remove(np.array([each.num_ids - 1, int(each.codes()[0][5])]))
        each.compact()
    found, right = loaded.search(queries(), 20), index.search(queries(), 20)
    assert np.array_equal(found.ids, right.ids)
    assert found.scores.tobytes() == right.scores.tobytes()


@every_kind
def test_the_same_index_gives_the_same_bytes(kind, saved, tmp_path):
    again = TopKIndex.load(saved[kind]).save(tmp_path / "again")
    for name in ("index.safetensors", "manifest.json"):
        assert (again / name).read_bytes() == (saved[kind] / name).read_bytes()


@every_kind
def test_the_library_of_the_format_reads_it(kind, saved):
    path = saved[kind] / "index.safetensors"
    arrays, _ = read_arrays(path, True)
    theirs = load_file(path)
    assert theirs.keys() == arrays.keys()
    for name, array in arrays.items():
        assert array.flags.aligned and not array.flags.writeable
        assert theirs[name].dtype == array.dtype
        assert np.array_equal(theirs[name], array)
    assert arrays["lines"].ctypes.data % 64 == 0


def test_saving_over_an_index_leaves_a_mapped_one_alone(tmp_path):
    folder = made("codes").save(tmp_path)
    mapped = TopKIndex.load(folder)
    right = mapped.search(queries(), 20)
    made("vectors", 50).save(tmp_path)
    assert np.array_equal(mapped.search(queries(), 20).ids, right.ids)
    assert TopKIndex.load(folder).num_items == 50
    assert sorted(os.listdir(folder)) == ["index.safetensors", "manifest.json"]


@pytest.fixture
def copy(saved, tmp_path):
    shutil.copytree(saved["codes"], tmp_path / "copy")
    return tmp_path / "copy"


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("kept", [0, 7, 100, 0.5, -1])
def test_a_cut_file_is_refused(copy, kept, verify):
    path = copy / "index.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match=r"index.safetensors must have [\d,]+ bytes; got"):
        TopKIndex.load(copy, verify=verify)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["bytes"] = path.stat().st_size
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="index.safetensors must"):
        TopKIndex.load(copy, verify=verify)


@pytest.mark.parametrize("place", [0, 20, 0.01, 0.5, 0.99, -1])
def test_a_flipped_file_is_refused(copy, place):
    path = copy / "index.safetensors"
    data = bytearray(path.read_bytes())
    data[int(place * len(data)) if isinstance(place, float) else place] ^= 4
    path.write_bytes(data)
    with pytest.raises(InputError, match="index.safetensors must have the sha256 .* of the manif"):
        TopKIndex.load(copy)


@every_kind
@pytest.mark.parametrize("block", range(4))
def test_a_flipped_file_that_is_not_verified_harms_nobody(kind, block, saved, tmp_path):
    # It is refused, or its answers may be wrong, but nothing outside the arrays is read.
    folder = shutil.copytree(saved[kind], tmp_path / "copy")
    path, rng = folder / "index.safetensors", np.random.default_rng([block, len(kind)])
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    arrays, _ = read_arrays(path, True)
    refused = 0
    for _ in range(25):
        data = bytearray(whole)
        array = arrays[str(rng.choice(sorted(arrays)))]
        begin = array.ctypes.data - next(iter(arrays.values())).ctypes.data + header
        places = [begin + int(rng.integers(max(array.nbytes, 1))), int(rng.integers(len(data)))]
        for place in places[: int(rng.integers(1, 3))]:
            data[min(place, len(data) - 1)] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            index = TopKIndex.load(folder, verify=False)
        except InputError:
            refused += 1
            continue
        for method in ("scan", "prune", "pqtopk"):
            try:
                found = index.search(queries(2), 50, [np.arange(20)] * 2, method=method)
            except InputError:
                continue  # scores beyond float32
            assert found.ids.shape == (2, 50)
    assert refused > 0


WRONG = {
    "no header": lambda header: None,
    "not JSON": lambda header: b"{",
    "a list": lambda header: [],
    "no array": lambda header: {},
    "one array less": lambda header: {k: v for k, v in header.items() if k != "keys"},
    "an unknown type": lambda header: change(header, "lines", dtype="F8"),
    "another type": lambda header: change(header, "lines", dtype="F32"),
    "another shape": lambda header: change(header, "lines", shape=[64, -1]),
    "a huge shape": lambda header: change(header, "lines", shape=[2**40, 64]),
    "beyond the file": lambda header: change(header, "lines", data_offsets=[0, 2**50]),
    "before the file": lambda header: change(header, "lines", data_offsets=[-64, 0]),
    "backwards": lambda header: change(header, "lines", data_offsets=[64, 0]),
    "unaligned": lambda header: moved(header, "id_planes", 1),
    "another line": lambda header: moved(header, "first_line", 4),
    "no number": lambda header: change(header, "__metadata__", num_items="many"),
    "more items": lambda header: change(header, "__metadata__", num_items="99999"),
    "fewer ids": lambda header: change(header, "__metadata__", num_ids="5"),
    "more ids": lambda header: change(header, "__metadata__", num_ids="99999"),
    "another codebook": lambda header: change(header, "__metadata__", codebook_size="17"),
    "numbers as numbers": lambda header: change(header, "__metadata__", num_items=3000),
}


def change(header, name, **values):
    return header | {name: header[name] | values}


def moved(header, name, by):
    begin, end = header[name]["data_offsets"]
    return change(header, name, data_offsets=[begin + by, end + by])


@pytest.mark.parametrize("name", WRONG)
def test_a_header_is_not_believed(name, copy):
    path = copy / "index.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    wrong = WRONG[name](json.loads(data[8 : 8 + length]))
    text = wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode()
    start = (2**60 if wrong is None else length).to_bytes(8, "little")
    path.write_bytes(start + text.ljust(length)[:length] + data[8 + length :])
    with pytest.raises(InputError, match="index.safetensors must be a whole|must hold a whole"):
        TopKIndex.load(copy, verify=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "manifest.json must hold JSON"),
        ("[]", "manifest.json must give schema, bytes and sha256; got others"),
        ('{"schema": 1}', "manifest.json must give schema, bytes and sha256; got others"),
        ('{"schema": 2, "bytes": 1, "sha256": ""}', "manifest.json must have the schema 1; got 2"),
    ],
)
def test_a_wrong_manifest_is_refused(copy, text, message):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=message):
        TopKIndex.load(copy)


def test_what_is_missing_is_named(copy):
    with pytest.raises(InputError, match="must be the folder of an index; got no such folder"):
        TopKIndex.load(copy / "nowhere")
    (copy / "index.safetensors").rename(copy / "other")
    with pytest.raises(InputError, match="index.safetensors must be there; got no such file"):
        TopKIndex.load(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(InputError, match="must hold a whole index; got no manifest.json"):
        TopKIndex.load(copy)


def test_the_folder_of_a_run_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    index = TopKIndex.from_codes(np.zeros((3, 1), int), np.ones((1, 1, 2), np.float32))
    with pytest.raises(InputError, match=r"must not hold anything but an index; got .*\. Choose"):
        index.save(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == "{}"
