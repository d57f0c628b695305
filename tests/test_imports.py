"""What an import costs, proven in fresh processes."""

import subprocess
import sys

import pytest

import urecjpq


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in result.stdout.split()}


def test_probe_sees_what_is_loaded():
    assert "torch" in loaded_by("import torch")


@pytest.mark.parametrize("statement", ["import urecjpq", "import urecjpq.cli"])
def test_nothing_heavy_is_imported(statement):
    heavy = {"torch", "numpy", "scipy", "sklearn", "pandas", "matplotlib", "jinja2", "PIL"}
    assert loaded_by(statement) & heavy == set()


def test_tables_load_torch_and_nothing_heavier():
    loaded = loaded_by("from urecjpq import JPQEmbedding")
    assert "torch" in loaded
    assert loaded & {"sklearn", "pandas", "matplotlib", "jinja2", "PIL"} == set()


def test_every_public_name_exists():
    assert len(urecjpq.__all__) > 15
    for name in urecjpq.__all__:
        assert getattr(urecjpq, name).__doc__


def test_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'JPQ'"):
        urecjpq.JPQ  # noqa: B018
