"""The command `urecjpq quantise`; as in cli.py, rooms are imported inside it."""

from pathlib import Path
from typing import Annotated

import typer


def quantise(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run with full tables.")],
    out: Annotated[Path, typer.Option(help="Folder of the quantised run.")],
    card: Annotated[
        str | None, typer.Option(help="Card, if not the one of the run's name.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder with the files that the card names.")
    ] = None,
    code_length: Annotated[int, typer.Option(help="Sub-ids of a user or an item.")] = 8,
    codebook_size: Annotated[int, typer.Option(help="Centroids of each split.")] = 256,
    sides: Annotated[str, typer.Option(help="both, users or items.")] = "both",
    centroid_dtype: Annotated[str, typer.Option(help="float32, float16 or int8.")] = "float32",
    weight_power: Annotated[
        float, typer.Option(help="Exponent of an item's interactions in its weight; 0: all alike.")
    ] = 1.0,
    encoder: Annotated[
        list[str] | None, typer.Option(help="Those that the run was trained with; repeatable.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
) -> None:
    """Make a small run of a trained one: codes of its tables, centroids trained on."""
    from urecjpq.commands import quantise_folder

    options = {
        "code_length": code_length,
        "codebook_size": codebook_size,
        "sides": sides,
        "centroid_dtype": centroid_dtype,
        "weight_power": weight_power,
    }
    print_run(quantise_folder(run, out, card, data, encoder, options, resume))


def print_run(folder: Path) -> None:
    """Print the card of a finished run, without its front matter, and where it lies."""
    typer.echo((folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)[2])
    typer.echo(f"Run: {folder}")
