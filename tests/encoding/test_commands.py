"""`urecjpq encode`, `encoders`, `pictures` and `neighbours`, as a user runs them."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from urecjpq.data import load_catalogue
from urecjpq.testing_encoders import make_open_clip

CARD = """
name = "own"
title = "Own CLIP"
library = "open_clip"
modality = "image"
dimension = 16
licence = "none"
revision = "1"
pooling = "projection"
weights = "./weights"
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setenv("URECJPQ_HOME", str(tmp_path / "home"))

    def run(*arguments, **environment):
        given = [sys.executable, "-m", "urecjpq.cli", *map(str, arguments)]
        return subprocess.run(
            given,
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | environment,
            cwd=tmp_path,
        )

    return run


def test_encode_writes_features_that_a_card_can_name(command, tmp_path):
    make_open_clip(tmp_path / "weights")
    (tmp_path / "own.toml").write_text(CARD)
    asked = ("encode", "toy-shop", "--encoder", "own.toml", "--out", "out")
    done = command(*asked, "--output", "float16", "--threads", "1")
    assert done.returncode == 0, done.stderr
    values = np.load(tmp_path / "out" / "image.npy")
    present = np.load(tmp_path / "out" / "image-present.npy")
    assert values.shape == (1000, 16) and values.dtype == np.float16 and present.sum() == 980
    assert "missing                 20 nothing to encode" in done.stdout
    manifest = json.loads((tmp_path / "out" / "image-manifest.json").read_text())
    digest = hashlib.sha256((tmp_path / "out" / "image.npy").read_bytes()).hexdigest()
    assert digest == manifest["values_sha256"] and digest in done.stdout
    missing = (tmp_path / "out" / "image-missing.tsv").read_text().splitlines()
    absent = load_catalogue("toy-shop").item_ids[~present]
    assert [line.split("\t")[1] for line in missing[1:]] == absent.tolist()
    assert "encoded now             0 in" in command(*asked).stdout


def test_encoders_are_listed(command):
    lines = command("encoders").stdout.splitlines()
    assert len(lines) == 7
    assert any(line.startswith("minilm          text     384  transformers") for line in lines)


def test_neighbours_page_from_the_command_line(command, tmp_path):
    asked = ("neighbours", "toy-shop", "--encoder", "colour", "--out", "page.html", "--items", 2)
    done = command(*asked, "-k", 3)
    assert done.stdout == "Page: page.html\n", done.stderr
    assert (tmp_path / "page.html").read_text().count("<article>") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("encode", "toy-shop", "--encoder", "gone"), "encoder must be one of clip-image, "),
        (
            ("encode", "toy-shop", "--encoder", "minilm", "--weights", "gone"),
            "weights of minilm must be a folder with model*.safetensors; got ",
        ),
        (
            ("encode", "toy-shop", "--encoder", "minilm=random:0"),
            "weights of minilm must be a repository or a folder; got random:0",
        ),
        (("pictures", "toy-shop"), "picture_url"),
        (("neighbours", "toy-shop", "--out", "p.html"), "catalogue must have features"),
    ],
)
def test_mistakes_are_one_line(command, arguments, message):
    done = command(*arguments)
    assert done.returncode == 2 and message in done.stderr
    assert len(done.stderr.splitlines()) == 1
