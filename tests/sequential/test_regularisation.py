"""The recipe that holds random codes against dropout and weight decay, on a small catalogue."""

import numpy as np
import pytest

CARD = """name = "shelves"
title = "Shelves"
reader = "table"
licence = "none"
citation = "none"
source = "generated"

[files]
interactions = "sequences.csv"

[columns]
user = "user"
item = "item"
timestamp = "place"

[partition]
method = "leave_one_out"
"""


@pytest.mark.slow
def test_every_regulariser_is_trained_and_compared(recipe, tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = ["user,item,place"]
    for user in range(1100):  # 1,024 of them validate
        items = rng.permutation(280)[:6]
        rows += [f"{user},{item},{place}" for place, item in enumerate(items)]
    (tmp_path / "sequences.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "shelves.toml").write_text(CARD)
    options = ["--card", tmp_path / "shelves.toml", "--out", tmp_path / "out", "--epochs", 1]
    recipe("regularisation", *options)
    shown = capsys.readouterr().out
    names = ("full", "full-dropout0.5", "full-decay1e-06", "jpq-random", "jpq-random-dropout0.2")
    for name in names:
        assert f"\n{name} " in shown
    assert (tmp_path / "out" / "regularisation.html").is_file()
