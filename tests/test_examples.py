"""The worked examples run as they are, and what they print holds."""

import os
import subprocess
import sys

import pytest

from urecjpq.testing import REPOSITORY

EXAMPLES = sorted(path.stem for path in (REPOSITORY / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One cache for all examples: the shop is generated once."""
    return tmp_path_factory.mktemp("home")


def test_every_example_is_tried():
    assert EXAMPLES == ["pyg_lightgcn", "recbole_style", "two_tower"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains_less_and_recommends_as_well(name, home):
    if name == "pyg_lightgcn":
        pytest.importorskip("torch_geometric", reason="torch_geometric is not installed")
    path = REPOSITORY / "examples" / f"{name}.py"
    environment = os.environ | {"URECJPQ_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0][1:] == ["trained", "bytes", "Recall@20"]
    full, quantised = ([float(cell.replace(",", "")) for cell in row[1:]] for row in rows[1:3])
    assert quantised[0] < full[0] / 9
    assert quantised[1] < full[1] / 7
    # A ranking by popularity reaches 0.10 on this shop.
    assert min(full[2], quantised[2]) > 0.2
