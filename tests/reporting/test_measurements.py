"""What a report measures: code usage by hand, every method's latency, neighbours by force."""

import json

import numpy as np
import pytest
import torch

from urecjpq.compare import compare_runs
from urecjpq.errors import InputError
from urecjpq.experiment import describe, run_experiment
from urecjpq.report import write_report
from urecjpq.reporting import measure
from urecjpq.reporting.latency import measure_latency
from urecjpq.reporting.sheet import neighbour_sheet, quantised_pairs
from urecjpq.reporting.usage import BINS, bin_names, code_usage, usage_of
from urecjpq.runs import load_run
from urecjpq.testing import tiny_catalogue

TABLES = {
    "full": {"kind": "full", "embedding_dim": 8},
    "jpq": {
        "kind": "jpq",
        "strategy": "kmeans",
        "embedding_dim": 8,
        "code_length": 4,
        "codebook_size": 8,
    },
    "users": {
        "kind": "jpq",
        "strategy": "random",
        "embedding_dim": 8,
        "code_length": 2,
        "codebook_size": 4,
        "sides": "users",
    },
}


@pytest.fixture(scope="module")
def catalogue():
    return tiny_catalogue()


@pytest.fixture(scope="module")
def folders(catalogue, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return {
        name: run_experiment(
            catalogue,
            describe(
                catalogue,
                name=f"lightgcn-{name}",
                seed=0,
                backbone={"name": "lightgcn"},
                tables=tables,
                training={"max_epochs": 2, "batch_size": 64},
            ),
            root / name,
        )
        for name, tables in TABLES.items()
    }


def test_usage_of_a_split_by_hand():
    usage = usage_of(np.array([0, 0, 1, 1, 2, 2, 3, 3, 5]), 8)
    assert usage.dead == 3
    shares = np.array([2, 2, 2, 2, 1]) / 9
    assert usage.entropy == pytest.approx(-(shares * np.log2(shares)).sum())
    assert usage.histogram == (3, 1, 4, *[0] * (len(BINS) - 3))
    even = usage_of(np.arange(8).repeat(3), 8)
    assert even.entropy == 3.0 and even.dead == 0
    assert usage_of(np.zeros(5000, dtype=np.uint8), 4).histogram[-1] == 1
    names = bin_names()
    assert names[:4] == ["0", "1", "2–3", "4–7"] and names[-1] == "1024+"
    assert len(names) == len(BINS)


def test_usage_is_of_the_quantised_tables_of_a_run(folders):
    assert code_usage("full", folders["full"]) == []
    users, items = code_usage("jpq", folders["jpq"])
    assert (users.side, items.side) == ("users", "items")
    assert len(users.splits) == 4 and users.most_entropy == 3.0
    codes = load_run(folders["jpq"]).backbone.item_table.codes.numpy()
    assert items.dead == sum(8 - len(np.unique(split)) for split in codes.T)
    (only,) = code_usage("users", folders["users"])
    assert only.side == "users" and sum(only.splits[0].histogram) == 4


def test_every_method_has_a_latency(folders):
    before = torch.get_num_threads()
    found = measure_latency("jpq", load_run(folders["jpq"]), queries=5)
    assert [latency.method for latency in found] == ["scan", "prune", "pqtopk", "dense"]
    assert all(0 < latency.median <= latency.p95 and latency.queries == 5 for latency in found)
    assert torch.get_num_threads() == before
    with pytest.raises(InputError, match="queries must be at least 1; got 0"):
        measure_latency("jpq", load_run(folders["jpq"]), queries=0)


def test_sheet_has_the_nearest_final_vectors(folders, catalogue):
    runs = [(name, load_run(folders[name])) for name in ("full", "jpq")]
    sheet = neighbour_sheet(runs, num_items=3, k=4)
    assert sheet["views"] == ["full", "jpq"] and len(sheet["items"]) == 3
    rows = {item: row for row, item in enumerate(runs[0][1].item_ids)}
    for name, run in runs:
        vectors = torch.nn.functional.normalize(run.vectors[1])
        for item in sheet["items"]:
            cosines = vectors @ vectors[rows[item["id"]]]
            cosines[rows[item["id"]]] = -2
            best = cosines.argsort(descending=True, stable=True)[:4]
            shown = [rows[other["id"]] for other in item["lists"][name]]
            np.testing.assert_allclose(cosines[shown], cosines[best], rtol=1e-5)
    other = tiny_catalogue(seed=1)
    with pytest.raises(InputError, match="catalogue must be the one that the runs were trained"):
        neighbour_sheet(runs, other)


def test_pairs_are_full_and_the_best_quantised_line(folders):
    comparison = compare_runs(list(folders.values()))
    ((full, coded),) = quantised_pairs(comparison)
    assert full.name == "lightgcn-full"
    both = {line.name: line.metrics["ndcg@20"] for line in comparison.lines[1:]}
    assert coded.name == max(both, key=both.__getitem__)
    assert quantised_pairs(compare_runs([folders["jpq"]])) == []


def test_a_page_with_all_measurements(folders, tmp_path):
    comparison = compare_runs(list(folders.values()))
    measured = measure(comparison, queries=3)
    text = write_report(comparison, tmp_path / "r.html", measurements=measured).read_text()
    for heading in ("Use of the codes", "Latency of the index", "Neighbours before and after"):
        assert text.count(f"<h2>{heading}") == 1
    assert text.count('<article class="near">') == 6
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert len(numbers["code_usage"]) == 3
    assert len(numbers["latency"]["methods"]) == 8
    assert 0 <= float(numbers["neighbours"][0]["shared"]) <= 6
    assert all(line["training"]["peak_resident_bytes"] > 10**7 for line in numbers["lines"])
    assert "folder" not in numbers["lines"][0]
    alone = measure(compare_runs([folders["jpq"]]), queries=0)
    assert alone.latency == () and alone.sheets == ()
