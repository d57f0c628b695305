"""Opponents of quantised tables at the same bytes: full tables, pruned, rounded or narrow.

A finished run with full tables becomes a finished run with compressed ones, evaluated by the same
code, so that `urecjpq.compare_runs` sets it beside the others:

    small = read_json(jpq / "metrics.json")["sizes"]
    prune_run(full, catalogue, out, small["user_table_bytes"], small["item_table_bytes"])
    d = largest_dim(small["user_table_bytes"] + small["item_table_bytes"], users + items, bits=8)
    round_run(narrow, catalogue, out, bits=8)      # a run trained with full tables of that d
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from urecjpq.checkpoint import Progress
from urecjpq.compressed_tables import CompressedTable, PrunedTable, RoundedTable
from urecjpq.config import parse_config
from urecjpq.data.catalogue import Catalogue
from urecjpq.errors import InputError, require
from urecjpq.files import read_json, read_json_lines, write_text
from urecjpq.graphs import Backbone
from urecjpq.manifest import is_finished
from urecjpq.saving import save_run
from urecjpq.trained import full_config, full_model, swap_tables, tables_of

SCALE_BYTES = 2


def largest_dim(num_bytes: int, num_rows: int, bits: int = 32) -> int:
    """Return the greatest d at which full tables of ``num_rows`` rows take at most ``num_bytes``.

    Args:
        num_bytes: Of all tables together.
        num_rows: Users and items.
        bits: Of a number: 32, or 8 or 4 if the tables are rounded, with a scale for each row.

    Raises:
        InputError: Not even one number per row fits.
    """
    scale = 0 if bits == 32 else SCALE_BYTES
    dim = int((num_bytes / num_rows - scale) * 8 // bits)
    rule = f"num_bytes must be at least {num_rows * (scale + max(bits // 8, 1))}"
    require(dim >= 1, f"{rule}, for one number per row", num_bytes)
    return dim


def round_run(run: Path | str, catalogue: Catalogue, out: Path | str, bits: int) -> Path:
    """Round the tables of a finished run with full tables to 8 or 4 bits; returns ``out``.

    Args:
        run: Folder of a run with full tables.
        catalogue: The data it was trained on.
        out: Folder of the new run, whose name ends in the bits.
        bits: 4 or 8.

    Raises:
        InputError: The run is damaged, has no full tables or other data, or ``out`` holds a run.
    """
    require(bits in (4, 8), "bits must be 4 or 8", bits)
    change = {"kind": "rounded", "bits": bits}
    return _compress(Path(run), catalogue, Path(out), f"{bits}bit", change, _rounding(bits))


def prune_run(
    run: Path | str, catalogue: Catalogue, out: Path | str, user_bytes: int, item_bytes: int
) -> Path:
    """Prune the tables of a finished run with full tables to given bytes; returns ``out``.

    Tables of users' preferences share the users' bytes in proportion to their size.

    Args:
        run: Folder of a run with full tables.
        catalogue: The data it was trained on.
        out: Folder of the new run, whose name ends in ``pruned``.
        user_bytes: Of all tables of users together, at most.
        item_bytes: Of the table of items, at most.

    Raises:
        InputError: The run is damaged, has no full tables or other data, ``out`` holds a run, or
            too few bytes.
    """
    pruning = _pruning({"user": user_bytes, "item": item_bytes})
    return _compress(Path(run), catalogue, Path(out), "pruned", {"kind": "pruned"}, pruning)


Compress = Callable[[Mapping[str, torch.Tensor]], Mapping[str, CompressedTable]]


def _rounding(bits: int) -> Compress:
    def compress(weights: Mapping[str, torch.Tensor]) -> dict[str, CompressedTable]:
        return {name: RoundedTable(weight, bits) for name, weight in weights.items()}

    return compress


def _pruning(budgets: Mapping[str, int]) -> Compress:
    def compress(weights: Mapping[str, torch.Tensor]) -> dict[str, CompressedTable]:
        sides = {name: "item" if name == "item_table" else "user" for name in weights}
        totals = dict.fromkeys(budgets, 0)
        for name, weight in weights.items():
            totals[sides[name]] += weight.numel()
        return {
            name: PrunedTable(weight, budgets[sides[name]] * weight.numel() // totals[sides[name]])
            for name, weight in weights.items()
        }

    return compress


@torch.no_grad()
def _compress(
    run: Path,
    catalogue: Catalogue,
    out: Path,
    label: str,
    change: dict[str, Any],
    compress: Compress,
) -> Path:
    config = full_config(run)
    require(not is_finished(out), f"folder must not hold a run yet: {out}", "a finished run")
    backbone = full_model(run, config, catalogue)
    if not isinstance(backbone, Backbone):
        raise InputError(f"{run} must be of a graph model; got {config.backbone.name}.")
    sides = tables_of(backbone).values()
    tables = {name: table for side in sides for name, table in side.items()}
    swap_tables(backbone, compress({name: t.weight for name, t in tables.items()}))
    update = {"name": f"{config.name}-{label}"}
    update |= {"tables": config.tables.model_copy(update=change)}
    made = parse_config(config.model_copy(update=update).to_json(), "the compressed run")
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "config.json", made.to_json())
    save_run(out, made, catalogue, backbone, _progress(run))
    return out


def _progress(run: Path) -> Progress:
    best = read_json(run / "metrics.json")["training"]["best_epoch"]
    return Progress(Backbone.STOP_METRIC, read_json_lines(run / "history.jsonl"), best)
