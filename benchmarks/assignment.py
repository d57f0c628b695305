"""Time and memory of every strategy on a large synthetic catalogue, one JSON line per run.

    python benchmarks/assignment.py | tee benchmarks/results/assignment.jsonl

1,000,000 users, 100,000 items and 10,000,000 different pairs: items are drawn by Zipf's law, and
half of a user's draws move to the items of one of 200 tastes. Each strategy and side has a process
of its own; ``factors`` is the SVD that k-means shares between both sides. Seconds exclude making
and loading the data, peak memory includes it (`data_mb` is what was resident before the start).
Where the load average exceeds the threads, compare `cpu_seconds`, not `seconds`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy
from scipy.sparse import csr_matrix, load_npz, save_npz

from urecjpq import assignment

NUM_USERS, NUM_ITEMS, NUM_PAIRS = 1_000_000, 100_000, 10_000_000
TASTES = 200
CODE_LENGTH, CODEBOOK_SIZE, EMBEDDING_DIM = 8, 256, 64
STRATEGIES = ("random", "quotient_remainder", "svd", "factors", "kmeans", "bpr")


def synthetic_interactions(num_users: int, num_items: int, num_pairs: int) -> csr_matrix:
    """Return different pairs of seeded users and items as a 0/1 matrix."""
    rng = np.random.default_rng(0)
    # A third more than needed, since popular pairs are drawn more than once.
    draws = num_pairs * 4 // 3
    users = rng.integers(num_users, size=draws)
    shares = np.cumsum(1 / np.arange(1, num_items + 1))
    items = np.searchsorted(shares / shares[-1], rng.random(draws)).clip(max=num_items - 1)
    own_taste = items // TASTES * TASTES + users % TASTES
    items = np.where(rng.random(draws) < 0.5, own_taste.clip(max=num_items - 1), items)
    pairs = np.unique(users * num_items + items)
    pairs = np.sort(rng.permutation(pairs)[:num_pairs])
    ones = np.ones(len(pairs), dtype=np.float32)
    shape = (num_users, num_items)
    return csr_matrix((ones, (pairs // num_items, pairs % num_items)), shape=shape)


def measure(strategy: str, side: str, path: str) -> dict[str, object]:
    """Run one strategy in this process and return its line."""
    interactions = csr_matrix(load_npz(path))
    if side == "users":
        interactions = csr_matrix(interactions.T)
    num_entities: int = interactions.shape[1]  # type: ignore[index]
    sizes = (CODE_LENGTH, CODEBOOK_SIZE)
    calls = {
        "random": lambda: assignment.assign_by_random(num_entities, *sizes),
        "quotient_remainder": lambda: assignment.assign_by_quotient_remainder(num_entities),
        "svd": lambda: assignment.assign_by_svd(interactions, *sizes),
        "bpr": lambda: assignment.assign_by_bpr(interactions, *sizes),
        "kmeans": lambda: assignment.assign_by_kmeans(
            interactions, *sizes, embedding_dim=EMBEDDING_DIM
        ),
        "factors": lambda: assignment.normalised_factors(interactions, EMBEDDING_DIM),
    }
    before = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    calls[strategy]()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "strategy": strategy,
        "side": side,
        "entities": num_entities,
        "pairs": int(interactions.nnz),
        "seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mb": _peak_mb(),
        "data_mb": before,
        "cpu": _field("/proc/cpuinfo", "model name"),
        "threads": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def _peak_mb() -> int:
    # Not getrusage: its maximum survives exec, so it would report the parent's memory.
    return int(_field("/proc/self/status", "VmHWM").split()[0]) // 1024


def _field(path: str, name: str) -> str:
    lines = Path(path).read_text().splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith(name))


def main() -> None:
    """Make the data once, then measure in one process after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--only", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measure(*arguments.only)), flush=True)
        return
    sizes = (int(size * arguments.scale) for size in (NUM_USERS, NUM_ITEMS, NUM_PAIRS))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "interactions.npz")
        save_npz(path, synthetic_interactions(*sizes), compressed=False)
        for strategy in arguments.strategies:
            for side in ("items",) if strategy == "factors" else ("items", "users"):
                command = [sys.executable, __file__, "--only", strategy, side, path]
                subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
