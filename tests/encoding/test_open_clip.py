"""CLIP through open_clip, small and with random weights."""

import json

import numpy as np
import pytest
from PIL import Image

from urecjpq.encoding import Work, encode_catalogue, encode_contents
from urecjpq.errors import InputError
from urecjpq.testing_encoders import encoder_card, make_open_clip


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("clip")
    make_open_clip(made)
    return made


def test_catalogue_gains_pictures_and_texts_in_one_space(shop, folder, tmp_path):
    names = []
    for modality in ("image", "text"):
        names.append(tmp_path / f"tiny-{modality}.toml")
        names[-1].write_text(
            f'name = "tiny-{modality}"\ntitle = "Tiny"\nlibrary = "open_clip"\ndimension = 16\n'
            f'modality = "{modality}"\nlicence = "none"\nrevision = "1"\n'
            'pooling = "projection"\nweights = "./clip"\n'
        )
    (tmp_path / "clip").symlink_to(folder)
    encoded = encode_catalogue(shop.catalogue, names)
    image, text = encoded.features["image"], encoded.features["text"]
    assert image.present.sum() == 294 and text.present.all()
    assert image.values.shape == text.values.shape == (300, 16)
    assert isinstance(image.values, np.memmap) and not image.values.flags.writeable
    lengths = np.linalg.norm(image.values[image.present], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


def test_a_picture_is_encoded_as_among_others(shop, folder, tmp_path, monkeypatch):
    card = encoder_card(weights=str(folder))
    paths = [path for path in shop.catalogue.images if path is not None][:50]
    together = encode_contents(card, paths).features.values
    for name, some, size in (("back", paths[::-1], 32), ("few", paths[:9], 32)):
        monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / name))
        found = encode_contents(card, some, work=Work(batch_size=size)).features.values
        order = [paths.index(path) for path in some]
        assert (found == together[order]).all(), name


def test_damaged_pictures_are_counted(shop, folder, tmp_path):
    paths = [path for path in shop.catalogue.images if path is not None][:3]
    (tmp_path / "cut.png").write_bytes(paths[0].read_bytes()[:200])
    (tmp_path / "zero.png").write_bytes(b"")
    Image.new("CMYK", (40, 30)).save(tmp_path / "cmyk.jpg")
    names = ("cut.png", "zero.png", "cmyk.jpg", "gone.png")
    contents = [*paths, *(tmp_path / name for name in names), None]
    encoded = encode_contents(encoder_card(weights=str(folder)), contents)
    assert encoded.features.present.tolist() == [True] * 3 + [False, False, True, False, False]
    assert encoded.missing == {
        "damaged picture": 1, "empty file": 1, "no such file": 1, "nothing to encode": 1
    }  # fmt: skip


def test_random_weights_are_asked_for_and_announced(shop, capsys):
    paths = [path for path in shop.catalogue.images if path is not None][:2]
    card = encoder_card(weights="random:3", model="RN50", dimension=1024, name="scratch")
    with pytest.raises(InputError, match="model of other must be one of open_clip's; got none"):
        encode_contents(card.model_copy(update={"model": "none", "name": "other"}), paths)
    first = encode_contents(card, paths, work=Work(batch_size=2))
    assert "scratch has RANDOM weights (seed 3)" in capsys.readouterr().err
    manifest = json.loads((first.folder / "manifest.json").read_text())
    assert manifest["weights"]["random"] and manifest["weights"]["source"] == "random:3"
    assert len(manifest["weights"]["sha256"]) == 64
    assert encode_contents(card, paths).encoded == 0
    other = card.model_copy(update={"weights": "random:4"})
    assert encode_contents(other, paths, work=Work(batch_size=2)).encoded == 2


def test_other_weights_are_other_features(shop, folder, tmp_path):
    paths = [path for path in shop.catalogue.images if path is not None][:8]
    make_open_clip(tmp_path / "other", seed=1)
    one = encode_contents(encoder_card(weights=str(folder)), paths)
    two = encode_contents(encoder_card(weights=str(tmp_path / "other")), paths)
    assert two.encoded == 8 and (one.features.values != two.features.values).any()


def test_weights_that_do_not_fit_are_refused(shop, folder, tmp_path):
    broken = tmp_path / "broken"
    make_open_clip(broken)
    paths = [path for path in shop.catalogue.images if path is not None][:1]
    card = encoder_card(weights=str(broken))
    config = json.loads((broken / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["layers"] = 3
    for name, content in (
        ("open_clip_config.json", json.dumps(config).encode()),
        ("open_clip_config.json", b"{"),
        ("open_clip_model.safetensors", b"not weights"),
    ):
        kept = (folder / name).read_bytes()
        (broken / name).write_bytes(content)
        with pytest.raises(InputError, match="weights of tiny must be a model of open_clip; got "):
            encode_contents(card, paths)
        (broken / name).write_bytes(kept)
