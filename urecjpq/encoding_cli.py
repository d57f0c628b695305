"""The commands of encoders; as in cli.py, rooms are imported inside them."""

import os
from pathlib import Path
from typing import Annotated

import typer

Card = Annotated[str, typer.Argument(help="Name of a data-set card, or the path of your own.")]
Data = Annotated[Path | None, typer.Option(help="Folder with the files that the card names.")]
Threads = Annotated[int | None, typer.Option(help="Threads of torch; the bits do not change.")]


def encode(
    card: Card,
    encoder: Annotated[str, typer.Option(help="Name of an encoder card, or its path.")],
    data: Data = None,
    weights: Annotated[
        str | None, typer.Option(help="Folder with the encoder's files, or random:SEED.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to copy the features to.")] = None,
    output: Annotated[str, typer.Option(help="Type of the file: float32 or float16.")] = "float32",
    precision: Annotated[
        str, typer.Option(help="Of the network: float32 or bfloat16.")
    ] = "float32",
    device: Annotated[
        str | None, typer.Option(help="Of torch, e.g. cpu or cuda:1; a GPU if there is one.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Rows per batch.")] = 32,
    save_every: Annotated[float, typer.Option(help="Seconds of work a kill can cost.")] = 10.0,
    threads: Threads = None,
) -> None:
    """Encode a data set's texts or pictures with a frozen encoder; goes on where it was stopped.

    Started by torchrun, its processes share the work.
    """
    import torch

    from urecjpq.encoding import Work
    from urecjpq.encoding_commands import encode_card

    if threads is not None:
        torch.set_num_threads(threads)
    work = Work(device, precision, output, batch_size, save_every)
    told = encode_card(card, encoder, data, weights, out, work)
    if os.environ.get("RANK", "0") == "0":
        _print(told)


def encoders() -> None:
    """List the encoder cards."""
    from urecjpq.encoding_commands import describe_encoders

    for line in describe_encoders():
        typer.echo(line)


def pictures(card: Card, data: Data = None) -> None:
    """Fetch the pictures of a prepared data set's items, politely; called again, it goes on."""
    from urecjpq.encoding_commands import fetch_card_pictures

    _print({name: f"{count:,}" for name, count in fetch_card_pictures(card, data).items()})


def neighbours(
    card: Card,
    out: Annotated[Path, typer.Option(help="HTML page to write.")],
    data: Data = None,
    encoder: Annotated[
        list[str] | None, typer.Option(help="Encoder, or NAME=WEIGHTS; one per modality.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="Run whose item table is shown too.")] = None,
    item: Annotated[list[str] | None, typer.Option(help="Raw id to show; repeatable.")] = None,
    items: Annotated[int, typer.Option(help="How many to draw, without --item.")] = 12,
    k: Annotated[int, typer.Option("-k", help="Neighbours of each.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
) -> None:
    """Write a page of items with their nearest by each modality, and by a run's trained table."""
    from urecjpq.encoding_commands import show_neighbours

    page = show_neighbours(card, out, data, encoder or [], run, item or [], items, k, seed)
    typer.echo(f"Page: {page}")


def _print(told: dict[str, str]) -> None:
    for name, value in told.items():
        typer.echo(f"{name:<24}{value}")
