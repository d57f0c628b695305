import numpy as np
import pytest

from urecjpq.data import features as module
from urecjpq.data import limits, read_features, read_neighbours
from urecjpq.errors import InputError
from urecjpq.testing import shared_data


def save(folder, values, name="f.npy"):
    np.save(folder / name, values)
    return folder / name


def test_npy_is_memory_mapped_in_its_own_type(tmp_path):
    values = np.array([[1, 2], [0, 0]], dtype=np.float16)
    found = read_features(save(tmp_path, values), 2)
    assert isinstance(found.values, np.memmap) and found.values.dtype == np.float16
    # An all-zero row is a vector like any other.
    assert found.present.tolist() == [True, True]


def test_npz_may_hold_its_mask_and_an_argument_overrides_it(tmp_path):
    values, mask = np.ones((2, 3), dtype=np.float32), np.array([True, False])
    np.savez(tmp_path / "f.npz", values=values, present=mask)
    np.savez(tmp_path / "one.npz", anything=values)
    assert read_features(tmp_path / "f.npz", 2).present.tolist() == [True, False]
    assert read_features(tmp_path / "f.npz", 2, present=~mask).present.tolist() == [False, True]
    assert read_features(tmp_path / "one.npz", 2).values.tolist() == values.tolist()
    file = save(tmp_path, mask, "present.npy")
    assert read_features(tmp_path / "one.npz", 2, present=file).present.tolist() == mask.tolist()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_with_their_row(tmp_path, monkeypatch, wrong):
    values = np.ones((10, 4), dtype=np.float32)
    values[7, 2] = wrong
    path = save(tmp_path, values)
    monkeypatch.setattr(module, "BLOCK_BYTES", 3 * 4 * 4)
    with pytest.raises(InputError, match=rf"image features .* finite, row 7 too; got {wrong}"):
        read_features(path, 10, "image")
    # What an item without content holds does not matter.
    assert read_features(path, 10, "image", np.arange(10) != 7).present.sum() == 9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((3, 2)), r"must have shape \(2, f\), one row per item; got \(3, 2\)"),
        (np.ones(2), r"must have shape \(2, f\), one row per item; got \(2,\)"),
        (np.ones((2, 0)), r"must have shape \(2, f\)"),
        (np.ones((2, 2), dtype=int), "must be floats; got int64"),
        (np.array([[{}], [{}]]), "must hold plain numpy arrays; got"),
    ],
)
def test_other_arrays_are_refused(tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        read_features(save(tmp_path, values), 2)


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 1000)
    np.savez_compressed(tmp_path / "f.npz", values=np.zeros((1000, 1000), dtype=np.float32))
    with pytest.raises(InputError, match="f.npz must unpack to at most .* bytes; got 4,000,128"):
        read_features(tmp_path / "f.npz", 1000)


def test_other_files_and_masks_are_refused(tmp_path):
    path = save(tmp_path, np.ones((2, 2)))
    with pytest.raises(InputError, match=r"must be bool with shape \(2,\); got bool with shape"):
        read_features(path, 2, present=np.ones(3, dtype=bool))
    np.savez(tmp_path / "two.npz", a=np.ones((2, 2)), b=np.ones((2, 2)))
    with pytest.raises(InputError, match=r"must have the array 'values'; got \['a', 'b'\]"):
        read_features(tmp_path / "two.npz", 2)
    with pytest.raises(InputError, match="path must end in .npy or .npz"):
        read_features(__file__, 2)
    with pytest.raises(InputError, match="path must be a file; got .*no.npy"):
        read_features(tmp_path / "no.npy", 2)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="must hold plain numpy arrays"):
        read_features(path, 2)


def graph(folder, idx, cos):
    path = folder / "knn.npz"
    np.savez(path, idx=np.array(idx), cos=np.array(cos, dtype=np.float32))
    return path


def test_neighbours(tmp_path):
    found = read_neighbours(graph(tmp_path, [[0, 1], [1, 0]], [[1.000001, 0.5], [1, 0.5]]), 2)
    assert found.item_ids.tolist() == [[0, 1], [1, 0]] and found.item_ids.dtype == np.int32
    assert found.similarities.dtype == np.float32


@pytest.mark.parametrize(
    ("idx", "cos", "message"),
    [
        ([[0], [2]], [[1], [1]], r"idx of .* must lie in \[0, 2\); got 2"),
        ([[0], [-1]], [[1], [1]], r"idx of .* must lie in \[0, 2\); got -1"),
        ([[0.0], [1.0]], [[1], [1]], "idx of .* must be integers"),
        ([[0, 1], [1, 0]], [[1], [1]], r"idx of .* with shape \(2, 1\); got int64 with shape"),
        ([[0], [1]], [[1], [1.1]], r"cos of .* must lie in \[-1, 1\]; got 1.1"),
        ([[0], [1]], [[1], [np.nan]], "must be finite, row 1 too; got nan"),
        ([[0, 1], [1, 0]], [[1, 0.5], [0.5, 1]], "cos of .* must fall, best first"),
        ([[0], [1], [2]], [[1], [1], [1]], r"must have shape \(2, f\), one row per item"),
    ],
)
def test_wrong_neighbours_are_refused(tmp_path, idx, cos, message):
    with pytest.raises(InputError, match=message):
        read_neighbours(graph(tmp_path, idx, cos), 2)


def test_union_of_real_neighbours_has_the_published_edges():
    """FREEDOM's item graph of Baby: 126,598 edges (shared/data, SOURCE.txt)."""
    edges = []
    for modality in ("image", "text"):
        path = shared_data() / "amazon-baby" / f"{modality}_knn10.npz"
        item_ids = read_neighbours(path, 7050).item_ids.astype(np.int64)
        edges.append((np.arange(7050)[:, None] * 7050 + item_ids).ravel())
    assert len(np.union1d(*edges)) == 126_598
