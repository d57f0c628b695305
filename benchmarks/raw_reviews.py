"""Speed and memory of reading a publisher's review file in one pass.

    python benchmarks/raw_reviews.py --lines 10000000 | tee benchmarks/results/raw-reviews.jsonl

Writes review lines in the format of Amazon 2014 (gzip, with texts of a few hundred characters) to a
temporary folder, reads them as `urecjpq prepare` does, and prints a JSON line: lines per second on
one core, and the peak of resident memory. Peer in the same run: the standard library's gzip and
json alone, over the first million lines.
"""

import argparse
import gzip
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from urecjpq.data.raw import EVENTS, BadLines
from urecjpq.environment import environment

PEER_LINES = 1_000_000
SENTENCE = "a review of the length that people write, more or less, with a word or two on the toy "


def write_reviews(path: Path, num_lines: int) -> None:
    """Write seeded lines: eight per user and twenty per item on average."""
    draw = random.Random(0).randrange
    text = SENTENCE * 10
    with gzip.open(path, "wt", compresslevel=1) as file:
        for i in range(num_lines):
            record = {
                "reviewerID": f"A{draw(num_lines // 8 + 1):013}",
                "asin": f"B{draw(num_lines // 20 + 1):09}",
                "reviewText": text[: draw(len(text))],
                "overall": float(draw(1, 6)),
                "unixReviewTime": 1_300_000_000 + i,
            }
            file.write(json.dumps(record) + "\n")


def peer_rate(path: Path, num_lines: int) -> float:
    """Return lines per second of gzip and json alone."""
    started = time.perf_counter()
    with gzip.open(path) as file:
        for _, line in zip(range(num_lines), file, strict=False):
            json.loads(line)
    return num_lines / (time.perf_counter() - started)


def main(num_lines: int) -> None:
    """Write, read, and print the line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reviews.json.gz"
        write_reviews(path, num_lines)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        events = EVENTS["amazon-reviews"]({"reviews": path}, BadLines())
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        line = {
            "lines": num_lines,
            "users": len(events.user_ids),
            "items": len(events.item_ids),
            "file_bytes": path.stat().st_size,
            "lines_per_second": round(num_lines / seconds),
            "resident_mb_before": before // 1024,
            "resident_mb_peak": peak // 1024,
            "gzip_and_json_lines_per_second": round(peer_rate(path, min(num_lines, PEER_LINES))),
        }
    print(json.dumps(line | environment()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speed of reading raw reviews")
    parser.add_argument("--lines", type=int, default=10_000_000)
    main(parser.parse_args().lines)
