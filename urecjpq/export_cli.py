"""The command `urecjpq export`; as in cli.py, rooms are imported inside it."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to make.")],
    form: Annotated[
        str, typer.Option("--format", help="safetensors, numpy, faiss, parquet or word2vec.")
    ] = "safetensors",
    what: Annotated[str, typer.Option(help="Final vectors, or the bare tables.")] = "vectors",
    side: Annotated[str, typer.Option(help="users, items or both.")] = "both",
) -> None:
    """Write a run's vectors or tables for other programs."""
    from urecjpq.export import export_run

    for path in export_run(run, out, form, what, side):
        typer.echo(path)
