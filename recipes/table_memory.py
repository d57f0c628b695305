"""What an item table takes, full and as codes: RecJPQ's Table 2 for any catalogue and sizes.

    python recipes/table_memory.py
    python recipes/table_memory.py --rows 50000000 --dim 128 --bytes-per-number 2

Rows are by default the items of RecJPQ's three catalogues. Arithmetic alone, at once: `m` bytes per
row and `b · d` numbers, against `d` numbers per row. Prints Markdown.
"""

import argparse
from collections.abc import Sequence

from urecjpq import table_memory
from urecjpq.columns import format_bytes
from urecjpq.errors import InputError

ROWS = (("MovieLens 1M", 3_416), ("Booking.com", 34_742), ("Gowalla", 1_271_638))
CODE_LENGTHS = (2, 4, 8, 16, 32, 64)


def markdown(rows: Sequence[tuple[str, int]], given: argparse.Namespace) -> str:
    """Return a row for each number of rows, and a column for each code length."""
    heads = ["catalogue", "rows", "full", *(f"m = {length}" for length in given.code_lengths)]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, count in rows:
        sizes = (given.codebook_size, given.bytes_per_number)
        found = [table_memory(count, given.dim, m, *sizes) for m in given.code_lengths]
        cells = [name, f"{count:,}", format_bytes(found[0].full_bytes)]
        cells += [
            f"{format_bytes(one.code_bytes + one.centroid_bytes)} ({one.percent:.2g} %)"
            for one in found
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Bytes of item tables, full and as codes")
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="instead of RecJPQ's")
    parser.add_argument("--dim", type=int, default=512, help="d; %(default)s")
    parser.add_argument("--code-lengths", type=int, nargs="+", default=CODE_LENGTHS)
    parser.add_argument("--codebook-size", type=int, default=256, help="b; %(default)s")
    parser.add_argument("--bytes-per-number", type=int, default=4, help="%(default)s")
    given = parser.parse_args()
    try:
        print(markdown([("given", count) for count in given.rows] or ROWS, given))
    except InputError as error:
        parser.error(str(error))
