"""Run folders, made by hand, read into one table."""

import hashlib
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import ttest_rel

from urecjpq.columns import change, format_bytes, metric_meaning
from urecjpq.compare import METRICS, compare_runs
from urecjpq.errors import InputError

NUM_USERS = 200
FULL = {"kind": "full", "strategy": None, "start": "random"}
JPQ = {"kind": "jpq", "strategy": "kmeans", "start": "factors"}


def make_run(root, name, seed=1, tables=JPQ, shift=0.0, **other):
    """Write a finished run folder and return it; per-user values follow from name, seed, shift."""
    folder = root / f"{name}-{seed}-{len(list(root.iterdir()))}"
    folder.mkdir()
    rng = np.random.default_rng([len(name), seed])
    per_user = {k: rng.random(NUM_USERS) * 0.1 + shift for k in METRICS}
    size = 5_000_000 if tables["kind"] == "full" else 350_000
    config = {
        "schema": other.get("schema", 1),
        "version": "0.1.0",
        "name": name,
        "seed": seed,
        "catalogue": {"name": "made", "digest": other.get("digest", "ab" * 32)},
        "backbone": {
            "name": other.get("backbone", "lightgcn"),
            "num_layers": other.get("layers", 2),
        },
        "tables": tables,
        "training": {},
    }
    results = {
        "protocol": {"exclude": other.get("exclude", "train")},
        "valid": {},
        "test": {k: float(v.mean()) for k, v in per_user.items()} | {"coverage@20": 0.5},
        "sizes": {
            "trainable_parameters": size // 4,
            "user_table_bytes": size * 3 // 4,
            "item_table_bytes": size // 4,
            "checkpoint_bytes": size + 600,
        },
        "training": {"best_epoch": 10 * seed, "seconds_to_best": 5.0, "seconds": 9.0},
    }
    users = torch.arange(other.get("first_user", 0), NUM_USERS, dtype=torch.int32)
    tensors = {k: torch.from_numpy(v[NUM_USERS - len(users) :].copy()) for k, v in per_user.items()}
    save_file(tensors | {"users": users}, folder / "user_metrics.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.json").write_text(json.dumps(results))
    (folder / "history.jsonl").write_text('{"epoch": 1, "valid": {"recall@20": 0.1}}\n')
    for unread in ("model", "codes", "graph"):
        (folder / f"{unread}.safetensors").write_bytes(b"")
    for unread in ("ids.tsv.gz", "README.md"):
        (folder / unread).write_bytes(b"")
    files = {
        path.name: {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in folder.iterdir()
    }
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "files": files}))
    return folder


def test_seeds_of_one_name_become_one_line(tmp_path):
    folders = [make_run(tmp_path, "jpq", seed=seed) for seed in (3, 1, 2)]
    (line,) = compare_runs(folders).lines
    means = [json.loads((f / "metrics.json").read_text())["test"]["ndcg@20"] for f in folders]
    assert line.seeds == (1, 2, 3)
    assert line.metrics["ndcg@20"] == pytest.approx(np.mean(means))
    assert line.spread["ndcg@20"] == pytest.approx(np.std(means, ddof=1))
    assert line.training["best_epoch"] == 20
    assert line.sizes["checkpoint_bytes"] == 350_600
    assert line.per_user["ndcg@20"].mean() == pytest.approx(np.mean(means))
    assert line.history == [{"epoch": 1, "valid": {"recall@20": 0.1}}]
    assert compare_runs(folders[:1]).lines[0].spread == {}


def test_p_values_are_paired_over_users_averaged_over_seeds_and_corrected(tmp_path):
    full = [make_run(tmp_path, "full", seed, FULL) for seed in (1, 2)]
    others = [make_run(tmp_path, "better", shift=0.02), make_run(tmp_path, "similar")]
    found = compare_runs([*full, *others])
    assert found.num_tests == 2 * len(METRICS)
    base, better, similar = found.lines
    assert base.p_values == {} and base.baseline is None
    assert better.baseline == similar.baseline == "full"
    for line in (better, similar):
        for name in METRICS:
            p = ttest_rel(line.per_user[name], base.per_user[name]).pvalue
            assert line.p_values[name] == pytest.approx(min(1, 8 * p))
    assert better.p_values["recall@20"] < 0.001


def test_the_same_numbers_differ_by_nothing(tmp_path):
    found = compare_runs([make_run(tmp_path, "abc", tables=FULL), make_run(tmp_path, "xyz")])
    assert set(found.lines[1].p_values.values()) == {1.0}


def test_each_backbone_has_its_own_plain_full_baseline(tmp_path):
    started = FULL | {"start": "factors"}
    folders = [
        make_run(tmp_path, "lightgcn-jpq"),
        make_run(tmp_path, "lightgcn-full-started", tables=started),
        make_run(tmp_path, "lightgcn-full", tables=FULL),
        make_run(tmp_path, "freedom-full", tables=FULL, backbone="freedom"),
        make_run(tmp_path, "freedom-jpq", backbone="freedom"),
        make_run(tmp_path, "other-jpq", backbone="other"),
    ]
    found = {line.name: line.baseline for line in compare_runs(folders).lines}
    assert found == {
        "lightgcn-jpq": "lightgcn-full",
        "lightgcn-full-started": "lightgcn-full",
        "lightgcn-full": None,
        "freedom-full": None,
        "freedom-jpq": "freedom-full",
        "other-jpq": "lightgcn-jpq",
    }
    named = compare_runs(folders, baseline="freedom-jpq")
    assert {line.baseline for line in named.lines} == {"freedom-jpq", None}
    assert named.num_tests == 5 * len(METRICS)


def test_a_full_line_of_the_same_settings_comes_before_others_of_the_backbone(tmp_path):
    folders = [
        make_run(tmp_path, "two-full", tables=FULL),
        make_run(tmp_path, "three-full", tables=FULL, layers=3),
        make_run(tmp_path, "three-jpq", layers=3),
        make_run(tmp_path, "four-jpq", layers=4),
    ]
    found = {line.name: line.baseline for line in compare_runs(folders).lines}
    assert found == {
        "two-full": None,
        "three-full": None,
        "three-jpq": "three-full",
        "four-jpq": "two-full",
    }


def test_metrics_not_kept_per_user_are_shown_and_not_tested(tmp_path):
    folders = [make_run(tmp_path, "full", tables=FULL), make_run(tmp_path, "jpq")]
    found = compare_runs(folders, metrics=("recall@20", "coverage@20"))
    assert found.num_tests == 1
    assert list(found.lines[1].p_values) == ["recall@20"]
    assert "coverage@20" in found.to_text()


def test_text_fits_a_terminal_and_says_what_it_shows(tmp_path):
    folders = [make_run(tmp_path, "lightgcn-full", s, FULL) for s in (1, 2)]
    folders += [make_run(tmp_path, "lightgcn-jpq-kmeans-start", s, shift=0.02) for s in (1, 2)]
    text = compare_runs(folders).to_text()
    table = text.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 170
    assert "***" in table[3] and "-93.0%" in table[3] and "%" not in table[2]
    assert "350 kB" not in table[2] and "351 kB" in table[3]
    assert "all items minus the user's training items" in text
    assert "Bonferroni over 4 tests" in text and "200 users" in text
    assert "± is the standard deviation over seeds" in text


def test_markdown_is_a_table_with_escaped_stars(tmp_path):
    folders = [make_run(tmp_path, "full", tables=FULL), make_run(tmp_path, "a|b", shift=0.02)]
    lines = compare_runs(folders).to_markdown().splitlines()
    assert lines[1].startswith("| --- | ---: |")
    assert lines[3].startswith("| a\\|b | 1 |") and "\\*\\*\\*" in lines[3]
    assert len({line.replace("\\|", "").count("|") for line in lines[:4]}) == 1


def test_latex_is_a_tabular_with_nothing_that_latex_would_read_otherwise(tmp_path):
    folders = [make_run(tmp_path, "full_a&b", tables=FULL), make_run(tmp_path, "jpq", shift=0.02)]
    text = compare_runs(folders).to_latex()
    rows = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    columns = text[text.index("{tabular}{") :].split("}", 2)[1].strip("{")
    assert len(rows) == 2 and columns == "l" + "r" * 13
    assert all(len(re.findall(r"(?<!\\)&", row)) == 13 for row in rows)
    assert rows[0].startswith(r"full\_a\&b & 1 & ") and "$^{***}$" in rows[1]
    assert r"-93.0\% & --" in rows[1]
    assert not re.search(r"(?<!\\)[%#_]", text.partition("\n")[2])


def test_json_holds_every_number_and_no_nan(tmp_path):
    found = compare_runs(
        [make_run(tmp_path, "full", tables=FULL), make_run(tmp_path, "jpq")]
    ).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["lines"][1]["p_values"].keys() == set(METRICS)
    assert "per_user" not in found["lines"][0] and found["users"] == NUM_USERS


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"digest": "cd" * 32}, r"same catalogue; got made \(abababababab…\) and made \(cdcdcd"),
        ({"exclude": "train+valid"}, "same protocol; got {'exclude': 'train'} and {'exclude': 'tr"),
        ({"first_user": 1}, "must hold metrics of the same users"),
        (
            {"name": "jpq", "layers": 3},
            "named jpq must differ in the seed alone; got different back",
        ),
        ({"name": "jpq", "seed": 1}, r"named jpq must have different seeds; got seeds \[1, 1\]"),
        ({"schema": 2}, "must have the schema 1; got 2. Update urecjpq"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(tmp_path, second, message):
    first = make_run(tmp_path, "jpq")
    other = make_run(tmp_path, **({"name": "other", "seed": 2} | second))
    with pytest.raises(InputError, match=message):
        compare_runs([first, other])


def test_bad_arguments_and_damaged_runs_are_refused(tmp_path):
    run = make_run(tmp_path, "jpq")
    with pytest.raises(InputError, match="folders must name at least one run; got none"):
        compare_runs([])
    with pytest.raises(InputError, match="baseline must be one of jpq; got 'full'"):
        compare_runs([run], baseline="full")
    with pytest.raises(InputError, match="metrics must be among .*; got 'auc'. Known: recall@10"):
        compare_runs([run], metrics=("auc",))
    (run / "metrics.json").write_text("{}")
    with pytest.raises(InputError, match="metrics.json must"):
        compare_runs([run])


def test_numbers_are_written_with_three_digits():
    sizes = (0, 999, 1000, 9_994, 99_940, 999_499, 999_500, 4_980_000, 12_345_678_901)
    expected = "0 B,999 B,1.00 kB,9.99 kB,99.9 kB,999 kB,1.00 MB,4.98 MB,12.3 GB"
    assert ",".join(map(format_bytes, sizes)) == expected
    assert [change(2, 100), change(3, 2), change(5, 5), change(5, 0)] == [
        "-98.0%",
        "+50.0%",
        "±0%",
        "",
    ]
    assert metric_meaning("recall@20").startswith("Hits in the first 20 places")
    assert metric_meaning("diversity_image@20") == "diversity_image@20"
