"""The command line. Rooms are imported inside the commands, so ``--help`` answers at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from urecjpq import encoding_cli, export_cli, quantise_cli
from urecjpq.errors import InputError
from urecjpq.index_cli import K, Method, index_app, print_list

app = typer.Typer(
    help="Quantised user and item embeddings for recommender systems.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(index_app, name="index")
for command in ("encode", "encoders", "neighbours", "pictures"):
    app.command()(getattr(encoding_cli, command))
app.command()(export_cli.export)
app.command()(quantise_cli.quantise)

Card = Annotated[str, typer.Argument(help="Name of a data-set card, or the path of your own.")]
Data = Annotated[Path | None, typer.Option(help="Folder with the files that the card names.")]
Runs = Annotated[list[Path], typer.Argument(help="Folders of finished runs.")]
Baseline = Annotated[str | None, typer.Option(help="Name of the run to test against.")]
RunFolder = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
Threads = Annotated[int | None, typer.Option(help="Threads of torch; the bits do not change.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the runs.")] = Path("runs/demo"),
    workers: Annotated[int, typer.Option(help="Runs side by side.")] = 2,
) -> None:
    """Train full and quantised recommenders on a generated toy shop and compare them."""
    from urecjpq.demo import run_demo

    run_demo(out, workers)


@app.command()
def train(
    card: Card,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: Data = None,
    backbone: Annotated[
        str, typer.Option(help="lightgcn, freedom, sasrec, …: see the README.")
    ] = "lightgcn",
    tables: Annotated[
        str, typer.Option(help="full, jpq-kmeans, …: see the README.")
    ] = "jpq-kmeans",
    seed: Annotated[int, typer.Option(help="Of codes, start values and batches.")] = 0,
    encoder: Annotated[
        list[str] | None, typer.Option(help="Frozen encoder, or NAME=WEIGHTS; repeatable.")
    ] = None,
    feature_codes: Annotated[
        int | None, typer.Option(help="Bytes per item and modality that features are cut to.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE, e.g. training.max_epochs=50; repeatable."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    log: Annotated[
        list[str] | None, typer.Option(help="tensorboard, mlflow or wandb; repeatable.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Train one model and leave a run folder."""
    from urecjpq.commands import train_run

    _set_threads(threads)
    options = (seed, encoder, settings, resume, feature_codes, log)
    quantise_cli.print_run(train_run(card, out, data, backbone, tables, *options))


@app.command()
def evaluate(
    run: RunFolder,
    card: Annotated[
        str | None, typer.Option(help="Card, if not the one of the run's name.")
    ] = None,
    data: Data = None,
    partition: Annotated[str, typer.Option(help="valid or test.")] = "test",
    exclude: Annotated[
        str | None, typer.Option(help="train, train+valid or none; the run's own by default.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Rank all items for every user of a partition and print the metrics."""
    from urecjpq.commands import evaluate_run

    _set_threads(threads)
    for name, value in evaluate_run(run, card, data, partition, exclude).items():
        typer.echo(f"{name:<24}{value:.4f}")


@app.command()
def compare(
    runs: Runs,
    baseline: Baseline = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    out: Annotated[Path | None, typer.Option(help="Page to write, as report does.")] = None,
) -> None:
    """Print finished runs side by side."""
    from urecjpq.compare import compare_runs

    comparison = compare_runs(runs, baseline)
    forms = [comparison.to_markdown] * markdown + [comparison.to_latex] * latex
    for form in forms or [comparison.to_text]:
        typer.echo(form())
    if out is not None:
        report(runs, out, baseline)


@app.command()
def report(
    runs: Runs,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML page to write, JSON beside it.")],
    baseline: Baseline = None,
    card: Annotated[str | None, typer.Option(help="Card with the items' pictures.")] = None,
    data: Data = None,
    queries: Annotated[int, typer.Option(help="To time per method; 0 times nothing.")] = 50,
    markdown: Annotated[bool, typer.Option("--markdown", help="Table as .md beside it.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Table as .tex beside it.")] = False,
) -> None:
    """Write finished runs side by side as one page: table, plots, codes, latency, neighbours."""
    from urecjpq.commands import report_runs

    forms = [".md"] * markdown + [".tex"] * latex
    typer.echo(f"Report: {report_runs(runs, out, baseline, card, data, queries, forms)}")


@app.command()
def recommend(
    run: RunFolder,
    user: Annotated[str | None, typer.Argument(help="Raw user id.")] = None,
    history: Annotated[
        str | None,
        typer.Option(help="Raw item ids ID,ID,…, oldest first, for a run of a sequential model."),
    ] = None,
    k: K = 10,
    method: Method = "auto",
    threads: Threads = None,
) -> None:
    """Print the best items for a user or after a history, leaving out what was touched before."""
    from urecjpq.commands import recommend_list

    _set_threads(threads)
    print_list(recommend_list(run, user, history, k, method))


@app.command()
def prepare(
    card: Card,
    out: Annotated[Path | None, typer.Option(help="Folder to fill; the cache by default.")] = None,
    given: Annotated[
        Path | None, typer.Option("--from", help="Folder with raw files fetched by hand.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave malformed lines out, and list them.")
    ] = False,
) -> None:
    """Fetch a data set's raw files, check them and make its catalogue."""
    from urecjpq.commands import prepare_card

    for name, value in prepare_card(card, out, given, skip_bad).items():
        typer.echo(f"{name:<24}{value}")


@app.command()
def datasets() -> None:
    """List the data-set cards."""
    from urecjpq.data import list_cards

    for card in list_cards():
        expected = card.expected
        counts = (expected.users, expected.items, expected.interactions)
        size = " × ".join("?" if count is None else f"{count:,}" for count in counts)
        size = f"{len(card.categories)} categories" if card.categories else size
        typer.echo(f"{card.name:<20}{size:<34}{card.title}")
        if card.categories:
            typer.echo(f"    {card.name}-… {' '.join(card.categories)}")


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def main() -> None:
    """Run the command line; what the user can mend is one line on stderr and exit status 2."""
    try:
        status = app(standalone_mode=False)
    except (InputError, OSError, FloatingPointError, typer.Abort) as error:
        _refuse(str(error))
    except KeyboardInterrupt:
        _refuse("interrupted; the same command goes on where it was (train with --resume).", 130)
    except Exception as error:
        # typer's own refusals (an unknown option, a missing argument) carry a format_message.
        format_message = getattr(error, "format_message", None)
        if format_message is None:
            raise
        _refuse(f"{format_message()} Try urecjpq --help.")
    else:
        sys.exit(status)


def _refuse(message: str, status: int = 2) -> None:
    typer.echo(f"urecjpq: {' '.join(message.split())}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
