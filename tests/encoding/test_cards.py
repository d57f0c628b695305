"""Encoder cards, and what they make of a catalogue."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from urecjpq.encoding import catalogue as encoding_catalogue
from urecjpq.encoding import encode_catalogue, list_encoders, load_encoder
from urecjpq.errors import InputError

CARD = """
name = "narrow"
title = "Narrow TF-IDF"
library = "{library}"
modality = "{modality}"
dimension = 8
licence = "Apache-2.0"
revision = "1"
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "features"


@pytest.fixture
def card(tmp_path):
    def write(library="scikit-learn", modality="text", more=""):
        path = tmp_path / "narrow.toml"
        path.write_text(CARD.format(library=library, modality=modality) + more)
        return path

    return write


def test_every_card_is_known_and_has_an_adapter():
    cards = list_encoders()
    files = sorted((Path(__file__).parents[2] / "encoders").glob("*.toml"))
    assert [card.name for card in cards] == [file.stem for file in files]
    assert {"colour", "tfidf"} <= {card.name for card in cards}
    known = encoding_catalogue.ADAPTERS | encoding_catalogue.NETWORKS
    assert all((card.library, card.modality) in known for card in cards)


def test_catalogue_gains_features_of_both_modalities(shop):
    encoded = encode_catalogue(shop.catalogue, ["tfidf", "colour"])
    assert set(encoded.features) == {"text", "image"}
    for card in map(load_encoder, ("tfidf", "colour")):
        features = encoded.features[card.modality]
        assert features.values.shape == (300, card.dimension)
        assert isinstance(features.values, np.memmap) and not features.values.flags.writeable
    assert encoded.features["image"].present.sum() == 294
    assert shop.catalogue.features == {}


def test_cache_hit_gives_equal_bytes_and_encodes_nothing(shop, cache, monkeypatch):
    first = encode_catalogue(shop.catalogue, ["tfidf"]).features["text"]
    stored = [path for path in cache.rglob("*.npy")]
    written = [path.stat().st_mtime_ns for path in stored]
    monkeypatch.setattr(encoding_catalogue, "ADAPTERS", {("scikit-learn", "text"): None})
    second = encode_catalogue(shop.catalogue, ["tfidf"]).features["text"]
    assert second.values.tobytes() == first.values.tobytes()
    assert second.present.tobytes() == first.present.tobytes()
    assert [path.stat().st_mtime_ns for path in stored] == written
    assert len(list(cache.iterdir())) == 1


def test_changed_content_or_card_makes_new_features(shop, card, cache, tmp_path):
    encode_catalogue(shop.catalogue, [card()])
    titles = shop.catalogue.titles.copy()
    titles[0] = ""
    changed = encode_catalogue(replace(shop.catalogue, titles=titles), [card()])
    assert not changed.features["text"].present[0]
    encode_catalogue(shop.catalogue, [card(more="[arguments]\nseed = 1\n")])
    assert len(list(cache.iterdir())) == 3


def test_digest_tells_where_one_text_ends():
    tfidf = load_encoder("tfidf")
    texts = (["ab", "c"], ["a", "bc"], ["abc", ""], ["abc"])
    assert len({encoding_catalogue.content_digest(tfidf, text) for text in texts}) == 4


def test_changed_picture_is_noticed(shop, tmp_path):
    copy = tmp_path / "copy.png"
    first, second = [path for path in shop.catalogue.images if path is not None][:2]
    digests = []
    for source in (first, second):
        copy.write_bytes(source.read_bytes())
        digests.append(encoding_catalogue.content_digest(load_encoder("colour"), [copy, None]))
    assert digests[0] != digests[1]


def test_unknown_encoder_lists_names():
    with pytest.raises(InputError, match="encoder must be one of .*colour.*tfidf.*; got 'clip'"):
        load_encoder("clip")
    with pytest.raises(InputError, match=r"encoder must be a card that exists; got gone\.toml"):
        load_encoder("gone.toml")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("depth = 3\n", "must be an encoder card; got depth: Extra inputs"),
        ("weights = 3\n", "must be an encoder card; got weights: Input should be a valid string"),
        ("name = 3\n", "must be TOML"),
    ],
)
def test_card_that_breaks_a_rule_is_refused(card, more, message):
    with pytest.raises(InputError, match=message):
        load_encoder(card(more=more))


def test_encoders_that_cannot_be_used_are_refused(shop, card):
    with pytest.raises(InputError, match="library of narrow must be one of .*; got nothing for"):
        encode_catalogue(shop.catalogue, [card(library="nothing")])
    with pytest.raises(InputError, match="dimension of narrow must be 788; got 8"):
        encode_catalogue(shop.catalogue, [card(library="pillow", modality="image")])
    with pytest.raises(InputError, match="arguments of narrow must fit its library; got .*depth"):
        encode_catalogue(shop.catalogue, [card(more="[arguments]\ndepth = 1\n")])
    with pytest.raises(InputError, match="encoders must be at most one per modality"):
        encode_catalogue(shop.catalogue, ["tfidf", card()])


def test_catalogue_without_content_is_refused(shop):
    bare = replace(shop.catalogue, titles=None, images=None)
    with pytest.raises(InputError, match="catalogue must have titles for the encoder tfidf"):
        encode_catalogue(bare, ["tfidf"])
    with pytest.raises(InputError, match="catalogue must have images for the encoder colour"):
        encode_catalogue(bare, ["colour"])


def test_missing_picture_is_named(shop, tmp_path):
    gone = replace(shop.catalogue, images=[tmp_path / "gone.png"] * 300)
    with pytest.raises(InputError, match=r"got .*gone\.png"):
        encode_catalogue(gone, ["colour"])


def test_damaged_store_says_what_to_delete(shop, cache):
    encode_catalogue(shop.catalogue, ["tfidf"])
    (values,) = cache.glob("*/values.npy")
    values.write_bytes(values.read_bytes()[:200])
    with pytest.raises(InputError, match="stored features must be readable; .*Delete that folder"):
        encode_catalogue(shop.catalogue, ["tfidf"])


def test_import_loads_neither_sklearn_nor_pillow():
    script = "import sys, urecjpq.encoding; print({'sklearn', 'PIL'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
