"""Hold every way to ask the index against brute force on 100,000 random cases.

    python benchmarks/index_cases.py --cases 100000 | tee benchmarks/results/index-cases.jsonl
    python benchmarks/index_cases.py --start 42000            # go on, or see one case again

A case is a function of its number: see `urecjpq.testing_index`. Of each, `scan`, `prune` and
`pqtopk` must give ids and score bits of brute force on every path of this processor, the NumPy
reference included, on one thread and on two, all queries in one call and one by one, and after
saving, from a memory-mapped file and from one that was read; `dense` must be as near as rounding.

Standard error tells how far it is every thousand cases. The first mismatch ends it with exit status
1 and the number of the case; without one it prints a JSON line of counts and seconds.
"""

import argparse
import faulthandler
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from urecjpq.environment import environment
from urecjpq.index.native import paths
from urecjpq.testing_index import Case, check_case, random_case

THREADS = (1, 2)
EVERY = 1000


def kinds_of(case: Case) -> list[str]:
    """Return what a case has that others have not, for the counts of the line."""
    facts = {
        "codes": case.centroids is not None,
        "vectors": case.centroids is None,
        "changed": bool(case.changes),
        "exclusions": case.exclude is not None,
        "mask": case.allow is not None,
        "fewer items than k": len(case.items) < case.k,
        "one item": len(case.items) == 1,
    }
    return [name for name, holds in facts.items() if holds]


def run(start: int, stop: int, save_every: int, folder: Path) -> Counter[str]:
    """Check cases ``start … stop - 1`` and return how many there were of each kind.

    Raises:
        Mismatch: Two answers differ; a note says how to see the case again.
    """
    counts: Counter[str] = Counter()
    began = time.perf_counter()
    for number in range(start, stop):
        case = random_case(number)
        saved = number % save_every == 0
        try:
            check_case(case, paths(), THREADS, folder if saved else None)
        except Exception as error:
            again = f"--start {number} --cases {number + 1}"
            error.add_note(f"See it again: python benchmarks/index_cases.py {again}")
            raise
        counts.update([*kinds_of(case), *(["saved"] if saved else [])])
        if (number + 1) % EVERY == 0:
            seconds = time.perf_counter() - began
            print(f"case {number + 1} of {stop}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return counts


def main(arguments: argparse.Namespace) -> None:
    """Check all cases and print the line."""
    faulthandler.enable()  # a crash of the kernels says at least where Python was
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        stop = arguments.cases
        counts = run(arguments.start, stop, arguments.save_every, Path(folder))
    line = {"first": arguments.start, "cases": stop - arguments.start, "mismatches": 0}
    line |= {"paths": list(paths()), "threads": list(THREADS), "kinds": dict(counts)}
    line |= {"seconds": round(time.perf_counter() - began), **environment()}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Random cases of the index, against brute force")
    parser.add_argument("--cases", type=int, default=100_000, help="number to stop before")
    parser.add_argument("--start", type=int, default=0, help="number to begin with")
    parser.add_argument("--save-every", type=int, default=1, help="save every n-th case only")
    main(parser.parse_args())
