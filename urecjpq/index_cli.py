"""The commands `urecjpq index …`; as in cli.py, rooms are imported inside them."""

from pathlib import Path
from typing import Annotated

import typer

from urecjpq.errors import InputError

index_app = typer.Typer(
    help="Build, search and describe exact top-K indexes.", rich_markup_mode=None
)

Folder = Annotated[Path, typer.Argument(help="Folder of the index.")]
K = Annotated[int, typer.Option("-k", help="How many items.")]
Method = Annotated[str, typer.Option(help="auto, scan, prune, pqtopk or dense.")]


@index_app.command()
def build(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="Folder of the index.")],
    code_length: Annotated[int, typer.Option(help="Splits of final vectors.")] = 8,
    codebook_size: Annotated[int, typer.Option(help="Centroids of a split.")] = 64,
) -> None:
    """Build the index of a run's items, for many questions; tables bring their own codes."""
    from urecjpq.index_commands import build_index, describe_index

    _print(describe_index(build_index(run, out, code_length, codebook_size)))
    typer.echo(f"Index: {out}")


@index_app.command()
def search(
    folder: Folder,
    run: Annotated[Path | None, typer.Option(help="Run it was built from; with --user.")] = None,
    user: Annotated[
        str | None, typer.Option(help="Raw user id; training items are left out.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option(help="NumPy file of query vectors, float32, (q, d).")
    ] = None,
    k: K = 10,
    method: Method = "auto",
    threads: Annotated[int, typer.Option(help="Threads for many queries.")] = 1,
) -> None:
    """Print the best items for a user of the run, or for each query vector of a file.

    For query vectors: query, place, item row and score.
    """
    from urecjpq.index_commands import search_for_queries, search_for_user

    if queries is not None and run is None and user is None:
        print_rows(search_for_queries(folder, queries, k, method, threads))
    elif queries is None and run is not None and user is not None:
        print_list(search_for_user(folder, run, user, k, method))
    else:
        raise InputError("search must be given --run and --user, or --queries alone.")


@index_app.command()
def info(folder: Folder) -> None:
    """Print what an index holds, and the instruction sets this machine would search it with."""
    from urecjpq.index_commands import describe_index

    _print(describe_index(folder))


def print_list(best) -> None:
    """Print the rows of `Run.recommend`, numbered."""
    for place, row in enumerate(best.itertuples(index=False), start=1):
        typer.echo(f"{place:>3}  {row.score:8.4f}  {row.item_id}  {row.title}".rstrip())


def print_rows(found) -> None:
    """Print the rows of a `TopK`, tab-separated: query, place, item, score."""
    for query, (ids, scores) in enumerate(zip(found.ids, found.scores, strict=True)):
        for place, (item, score) in enumerate(zip(ids, scores, strict=True), start=1):
            if item >= 0:
                typer.echo(f"{query}\t{place}\t{item}\t{score:.6g}")


def _print(facts: dict[str, str]) -> None:
    for name, value in facts.items():
        typer.echo(f"{name:<20}{value}")
