"""What is packaged: no package of a borrowed name, and a wheel that works on its own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from urecjpq.testing import REPOSITORY


@pytest.mark.parametrize("folder", ["encoders", "datasets", "recipes"])
def test_folder_is_not_a_package(folder):
    # A package called "datasets" would hide Hugging Face's from transformers.
    assert (REPOSITORY / folder).is_dir()
    assert list((REPOSITORY / folder).rglob("__init__.py")) == []


def test_nothing_that_is_loaded_can_run_code():
    forbidden = re.compile(
        r"\b(pickle|torch\.load|dill|joblib|marshal)\b|allow_pickle=True|(?<![.\w])(eval|exec)\("
    )
    files = list((REPOSITORY / "urecjpq").rglob("*.py"))
    assert len(files) > 50
    for path in files:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            code = line.partition("#")[0]
            assert not forbidden.search(code), f"{path.name}:{number}: {line.strip()}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built with the compiler that is here."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel_python(wheel) -> Path:
    """Python of a fresh environment that holds the wheel; dependencies come from this one."""
    return install(wheel, wheel.parent)


def build_wheel(folder: Path, **variables: str) -> Path:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    environment = os.environ | variables
    subprocess.run([*build, REPOSITORY], check=True, capture_output=True, env=environment)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    paths = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", site]
    subprocess.run([*install, wheel], check=True, capture_output=True)
    # A path listed in a .pth file is searched, but its own .pth files (our editable install among
    # them) are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run_in_empty_folder(python: Path, folder: Path, *arguments: str) -> str:
    return result_in_empty_folder(python, folder, *arguments).stdout


def result_in_empty_folder(python: Path, folder: Path, *arguments: str):
    environment = {**os.environ, "URECJPQ_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    (folder / "empty").mkdir(exist_ok=True)
    result = subprocess.run(
        [python, *arguments],
        cwd=folder / "empty",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def test_wheel_has_the_cards(wheel_python, tmp_path):
    code = "import urecjpq; print(urecjpq.__file__)"
    place = run_in_empty_folder(wheel_python, tmp_path, "-c", code)
    assert str(wheel_python.parents[1]) in place
    listed = run_in_empty_folder(wheel_python, tmp_path, "-m", "urecjpq.cli", "datasets")
    cards = sorted(path.stem for path in (REPOSITORY / "datasets").glob("*.toml"))
    assert len(cards) >= 5
    names = [line.split()[0] for line in listed.splitlines() if not line.startswith(" ")]
    assert sorted(names) == cards  # categories are on lines of their own, indented
    code = "from urecjpq.encoding import list_encoders; print(len(list_encoders()))"
    encoders = len(list((REPOSITORY / "encoders").glob("*.toml")))
    assert int(run_in_empty_folder(wheel_python, tmp_path, "-c", code)) == encoders


SEARCH = """
import numpy as np
from urecjpq import TopKIndex
from urecjpq.index import native
rng = np.random.default_rng(0)
codes, centroids = rng.integers(0, 256, (20_000, 8)), rng.normal(size=(8, 256, 4))
index = TopKIndex.from_codes(codes, centroids)
for method in ("auto", "scan", "prune", "pqtopk"):
    found = index.search(rng.normal(size=(3, 32)).astype(np.float32), method=method)
    print(found.ids.tolist(), found.scores.tobytes().hex())
print(native.path())
"""


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler")
def test_wheel_has_the_kernels_and_not_their_sources(wheel, wheel_python, tmp_path):
    assert len([name for name in names_in(wheel) if "_kernels" in name]) == 1
    assert not [name for name in names_in(wheel) if "kernels/" in name or name.endswith("pp")]
    result = result_in_empty_folder(wheel_python, tmp_path, "-c", SEARCH)
    assert result.stdout.splitlines()[-1] in ("avx512", "avx2", "neon", "plain")
    assert result.stderr == ""


@pytest.mark.slow
def test_without_a_compiler_the_wheel_is_pure_and_answers_the_same(wheel_python, tmp_path):
    missing = {"CXX": "/nonexistent/c++", "CC": "/nonexistent/cc"}
    wheel = build_wheel(tmp_path, **missing)
    assert wheel.name.endswith("-py3-none-any.whl")
    assert not [name for name in names_in(wheel) if "kernels" in name]
    python = install(wheel, tmp_path)
    result = result_in_empty_folder(python, tmp_path, "-c", SEARCH)
    *lists, path = result.stdout.splitlines()
    assert path == "reference"
    assert lists == run_in_empty_folder(wheel_python, tmp_path, "-c", SEARCH).splitlines()[:-1]
    assert result.stderr.count("RuntimeWarning") == 1
    assert "urecjpq.index runs without its compiled kernels" in result.stderr


def test_wheel_trains_and_recommends(wheel_python, tmp_path):
    train = ["train", "toy-shop", "--out", "run", "--encoder", "tfidf", "--backbone", "freedom"]
    small = ["--set", "training.max_epochs=1", "--set", "tables.codebook_size=32"]
    out = run_in_empty_folder(wheel_python, tmp_path, "-m", "urecjpq.cli", *train, *small)
    assert "Run: run" in out
    recommend = ["recommend", "run", "U0007"]
    best = run_in_empty_folder(wheel_python, tmp_path, "-m", "urecjpq.cli", *recommend)
    assert len(best.splitlines()) == 10
