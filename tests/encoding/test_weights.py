"""Where weights come from, and what is said where they are not."""

import hashlib
import subprocess
import sys

import pytest

from urecjpq.encoding import libraries, load_encoder
from urecjpq.encoding.libraries import import_library
from urecjpq.encoding.weights import find_weights
from urecjpq.errors import InputError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"may run code")
    return tmp_path


def test_folder_is_known_by_its_files(folder):
    weights = find_weights(load_encoder("minilm", folder), "model*.safetensors")
    assert weights.folder == folder and weights.source == str(folder)
    assert weights.sha256 == hashlib.sha256(b"weights").hexdigest()
    (folder / "pytorch_model.bin").write_bytes(b"other")
    assert find_weights(load_encoder("minilm", folder), "model*.safetensors") == weights
    (folder / "config.json").write_text("[]")
    changed = find_weights(load_encoder("minilm", folder), "model*.safetensors")
    assert changed.sha256 == weights.sha256 and changed != weights


def test_name_can_carry_weights(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    card = load_encoder(f"minilm={folder.name}")
    assert card.name == "minilm" and card.weights == str(folder)
    assert load_encoder("clip-image=random:7").weights == "random:7"


def test_folder_without_safetensors_is_refused(folder):
    (folder / "model.safetensors").unlink()
    rule = r"weights of minilm must be a folder with model\*\.safetensors; got .*Take the files"
    with pytest.raises(InputError, match=rule):
        find_weights(load_encoder("minilm", folder), "model*.safetensors")
    with pytest.raises(InputError, match="got .*gone, no such folder"):
        find_weights(load_encoder("minilm", folder / "gone"), "model*.safetensors")
    nameless = load_encoder("minilm").model_copy(update={"weights": None})
    with pytest.raises(InputError, match="must be a repository, a folder or random:SEED; got ''"):
        find_weights(nameless, "model*.safetensors")


def test_without_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    library = pytest.importorskip("huggingface_hub")

    def offline(*_, **__):
        raise library.errors.LocalEntryNotFoundError("no connection")

    # The real attempt takes 23 seconds where there is no network, and succeeds where there is one.
    monkeypatch.setattr(library, "snapshot_download", offline)
    rule = (
        r"weights of minilm must be on this machine or reachable; got no "
        r"sentence-transformers/all-MiniLM-L6-v2 .*--weights FOLDER, or --encoder minilm=FOLDER"
    )
    with pytest.raises(InputError, match=rule):
        find_weights(load_encoder("minilm"), "model*.safetensors")


def test_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    rule = r'open_clip is needed for the encoder clip-image; pip install "urecjpq\[clip\]"\.'
    with pytest.raises(InputError, match=rule):
        import_library("open_clip", "clip", "clip-image")


@pytest.mark.parametrize("module", ["open_clip", "transformers"])
def test_libraries_can_be_imported_beside_any_torch(module):
    script = f"""
from urecjpq.encoding.libraries import import_library, mend_torchvision
library = import_library({module!r}, "x", "y")
mend_torchvision()
import torchvision
print(torchvision.__name__, library.__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["torchvision", module]
