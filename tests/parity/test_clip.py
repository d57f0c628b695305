"""The same CLIP weights through open_clip and through transformers."""

import zipfile

import pytest

from urecjpq.encoding import Work, encode_contents
from urecjpq.encoding.libraries import import_library
from urecjpq.testing import shared_data
from urecjpq.testing_encoders import (
    TINY,
    convert_to_transformers,
    encoder_card,
    make_open_clip,
)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """Real posters and titles."""
    folder = shared_data() / "ml-1m"
    posters = tmp_path_factory.mktemp("posters")
    with zipfile.ZipFile(folder / "posters_short128.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:32:4]
        archive.extractall(posters, names)
    movies = (folder / "movies.dat").read_text(encoding="latin-1").splitlines()[:8]
    titles = [line.split("::")[1] for line in movies]
    return {"image": [posters / name for name in names], "text": titles}


@pytest.mark.slow
@pytest.mark.parametrize("size", ["tiny", "ViT-B-32"])
def test_features_agree(size, items, tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "home"))
    library = import_library("open_clip", "clip", "a test")
    config = TINY if size == "tiny" else library.get_model_config(size)
    network = make_open_clip(tmp_path / "open_clip", config)
    convert_to_transformers(network, config, tmp_path / "transformers")
    for modality, contents in items.items():
        given = {"modality": modality, "dimension": config["embed_dim"]}
        found = [
            encode_contents(
                encoder_card(library=library, weights=str(tmp_path / library), **given),
                contents,
                work=Work(batch_size=8),
            ).features.values
            for library in ("open_clip", "transformers")
        ]
        assert (found[0] * found[1]).sum(axis=1).min() > 0.9999
        assert abs(found[0][0] - found[0][1]).max() > 1e-3  # items do differ
