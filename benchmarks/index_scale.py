"""Cost of exact search as the catalogue grows: per item, per query of a batch, per thread, on disk.

    python benchmarks/index_scale.py | tee benchmarks/results/index-scale.jsonl
    python benchmarks/index_scale.py --items 50000000 100000000 --no-opening  # 12 GB, half an hour

k = 10, m = 8, b = 256. Codes are independent or zipf (d = 512) or structured (d = 64): see
`topk_data`; structured ones need ``benchmarks/train_large.py`` once. One line per size and kind:
seconds to build, bytes beside those of the codes, share of blocks skipped, single queries on one
thread, and 1,000 queries in one call on one thread and on two. The three ways take turns, and
every rate is the median over the turns. Before, `scan` is held against `pqtopk` bit for bit.

A last line has 10,000,000 structured items in a folder: milliseconds to open it memory-mapped in a
new process, and that process' resident memory before, after opening and after 1,000 queries.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from topk_data import load_average, make_case, rounded, summary, work

from urecjpq.environment import environment
from urecjpq.index import TopKIndex

KINDS = ("independent", "zipf", "structured")
SIZES = (1_000_000, 2_000_000, 10_000_000, 20_000_000)
K, BATCH, SINGLE, CHECKED, TURNS = 10, 1000, 200, 5, 3
OPENED = 10_000_000


def measure(kind: str, num_items: int, large: Path, batches: bool) -> dict[str, object]:
    """Build one index, check it, and return its line."""
    case = make_case(kind, num_items, BATCH, large)
    started = time.perf_counter()
    index = TopKIndex.from_codes(case.codes, case.centroids)
    line: dict[str, object] = {"codes": kind, "items": num_items, "dim": case.queries.shape[1]}
    line["build_seconds"] = round(time.perf_counter() - started, 2)
    line["code_bytes"] = code_bytes = case.codes.nbytes
    line["index_bytes"] = index_bytes = sum(index.memory().values())
    line["bytes_per_code_byte"] = round(index_bytes / code_bytes, 4)
    queries = case.queries
    del case  # at 100 million items another 800 MB
    check(index, queries[:CHECKED])
    times = rates(index, queries) if batches else single_rate(index, queries)
    return line | work(index, queries[:SINGLE], K, "scan") | times


def check(index: TopKIndex, queries: np.ndarray) -> None:
    """Stop unless scan returns the ids and score bits of the exhaustive reference."""
    expected = index.search(queries, K, method="pqtopk")
    found = index.search(queries, K, method="scan")
    same = np.array_equal(found.ids, expected.ids)
    if not (same and np.array_equal(found.scores.view(int), expected.scores.view(int))):
        sys.exit("scan differs from pqtopk")


def single_rate(index: TopKIndex, queries: np.ndarray) -> dict[str, float | str]:
    """Return times of single queries."""
    ask = [lambda query=query: index.search(query, K, method="scan") for query in queries[:SINGLE]]
    figures = summary(np.array([milliseconds(work) for work in ask]))
    per_item = figures["median_ms"] * 1e6 / index.num_items
    return figures | {"ns_per_item": per_item, "load": load_average()}


def rates(index: TopKIndex, queries: np.ndarray) -> dict[str, float | str]:
    """Return times of single queries and, per query, of batches on one thread and on two."""
    single: list[float] = []
    batches: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(TURNS):
        for query in queries[:SINGLE]:
            single.append(milliseconds(lambda query=query: index.search(query, K, method="scan")))
        for threads, times in batches.items():
            work = lambda t=threads: index.search(queries, K, method="scan", threads=t)  # noqa: E731
            times.append(milliseconds(work) / len(queries))
    one, two = (float(np.median(times)) for times in batches.values())
    figures = summary(np.array(single))
    median = figures["median_ms"]
    figures |= {"ns_per_item": median * 1e6 / index.num_items, "batch_ms": one}
    figures |= {"batch_two_threads_ms": two, "batch_over_single": median / one}
    figures |= {"two_threads_over_one": one / two, "load": load_average()}
    return figures


def milliseconds(work: Callable[[], object]) -> float:
    """Return the time of one call."""
    started = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - started) / 1e6


def opening(num_items: int, large: Path) -> dict[str, object]:
    """Save an index, and return what a new process measured of opening and asking it."""
    case = make_case("structured", num_items, BATCH, large)
    index = TopKIndex.from_codes(case.codes, case.centroids)
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        np.save(Path(folder) / "queries.npy", case.queries)
        del index, case
        command = [sys.executable, __file__, "--open", folder]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        sizes = [path.stat().st_size for path in Path(folder, "index").rglob("*")]
    return {"codes": "structured", "items": num_items, "file_bytes": sum(sizes)} | json.loads(
        printed
    )


def open_saved(folder: Path) -> dict[str, object]:
    """Open the index in ``folder`` five times each way, ask all queries, and return the figures."""
    queries = np.load(folder / "queries.npy")
    figures: dict[str, object] = {"resident_mb_before": resident_mb()}
    for verify in (False, True):
        load = lambda v=verify: TopKIndex.load(folder / "index", verify=v)  # noqa: E731
        times = [milliseconds(load) for _ in range(5)]
        figures["open_verified_ms" if verify else "open_ms"] = round(float(np.median(times)), 2)
        if not verify:
            figures["first_open_ms"] = round(times[0], 2)
            index = load()
            figures["resident_mb_open"] = resident_mb()
            for query in queries:
                index.search(query, K)
            figures["resident_mb_asked"] = resident_mb()
    return figures


def resident_mb() -> dict[str, int]:
    """Return this process' resident memory: its own, and pages of files that others may share."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kinds = {"own": "RssAnon", "file": "RssFile"}
    return {name: int(fields[field].split()[0]) // 1024 for name, field in kinds.items()}


def main(arguments: argparse.Namespace) -> None:
    """Print one line per size and kind of codes, and one of opening."""
    if arguments.open:
        print(json.dumps(open_saved(arguments.open)))
        return
    for num_items in arguments.items:
        for kind in arguments.codes:
            line = measure(kind, num_items, arguments.large, arguments.batches)
            print(json.dumps(rounded(line) | environment()), flush=True)
    if arguments.opening:
        print(json.dumps(opening(OPENED, arguments.large) | environment()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Exact search as the catalogue grows")
    parser.add_argument("--items", type=int, nargs="+", default=SIZES)
    parser.add_argument("--codes", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--large", type=Path, default=Path("runs/large"))
    parser.add_argument("--no-opening", dest="opening", action="store_false")
    parser.add_argument("--no-batches", dest="batches", action="store_false")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    main(parser.parse_args())
