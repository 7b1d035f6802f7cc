"""`sidecart evaluate`: how good the suggestions are, beside those of other models."""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import TaskID

from models.errors import ConfigurationError
from models.evaluation.contest import MODELS, TARGETS, contest
from models.evaluation.replay import Protocol
from models.evaluation.summary import PROTOCOLS, Summary
from models.kernel.rows import compile_kernels
from models.parameters import DEFAULTS
from streams.cli.exit_codes import INTERRUPTED
from streams.cli.progress import progress_bar
from streams.datasets import DATASETS, Dataset, load, load_files
from streams.evaluation_plot import write_plot
from streams.evaluation_table import evaluation_table

__all__ = ["command"]

#: Columns of a table that goes to a file or another program: none is left out there.
_PIPE_WIDTH: Final = 160


def _models(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    names = list(MODELS) if value is None else [name.strip() for name in value.split(",") if name.strip()]
    unknown = [name for name in names if name not in MODELS]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is none of {', '.join(MODELS)}")
    return list(dict.fromkeys(names))


@click.command()
@click.argument("dataset", required=False, type=click.Choice(DATASETS))
@click.option("--train", type=click.Path(path_type=Path), help="A shop's own sessions to learn from.")
@click.option("--test", type=click.Path(path_type=Path), help="A shop's own sessions to be asked about.")
@click.option(
    "--protocol",
    type=click.Choice([*PROTOCOLS, "both"]),
    default="both",
    show_default=True,
    help="Learn the train part only, or go on learning from each test event after it was asked about.",
)
@click.option(
    "--target",
    type=click.Choice(list(TARGETS)),
    default="novel",
    show_default=True,
    help="The next item that the session has not met; any next item; the next item added to the cart or ordered; "
    "each item of an order, given the others.",
)
@click.option("--models", metavar="NAME[,NAME...]", callback=_models, help=f"Of {', '.join(MODELS)}.  [default: all]")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Where the picture goes, a PNG.  [default: .sidecart/evaluation-DATASET-TARGET.png; none with --json]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(
    dataset: str | None,
    train: Path | None,
    test: Path | None,
    protocol: str,
    target: str,
    models: list[str],
    plot: Path | None,
    as_json: bool,
) -> None:
    """Replay recorded sessions through Sidecart's rule and through other models, and compare what they suggest.

    DATASET is one of the recordings in the folder that SIDECART_DATA names (default: ../shared/data). Instead, --train
    and --test take a shop's own files, CSV or TSV, plain or gzipped, with the header
    session_id,item_id,time[,kind[,category]]: time in epoch seconds or milliseconds or as RFC 3339, kind one of browse,
    add-to-cart, orders.
    """
    try:
        data = _dataset(dataset, train, test)
        path = plot if plot is not None or as_json else _default_plot(data.name, target)
        if path is not None:
            _check_place(path)
        protocols: list[Protocol] = [each for each in PROTOCOLS if protocol in (each, "both")]
        summary = _contest(data, target, models, protocols)
        if as_json:
            click.echo(json.dumps(summary, allow_nan=False))
        else:
            console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
            console.print(evaluation_table(summary))
        if path is not None:
            _write(summary, path)
            click.echo(f"plot: {path}", err=as_json)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _dataset(name: str | None, train: Path | None, test: Path | None) -> Dataset:
    if name is not None and train is None and test is None:
        return load(name, os.environ)
    if name is None and train is not None and test is not None:
        return load_files(train, test)
    raise ConfigurationError(
        f"name a dataset ({', '.join(DATASETS)}), or both --train FILE and --test FILE, but not dataset and files"
    )


def _contest(data: Dataset, target: str, models: list[str], protocols: list[Protocol]) -> Summary:
    if data.bad_lines:
        click.echo(f"{data.name}: {data.bad_lines:,} bad lines were left out", err=True)
    if data.train and data.test and data.test[0].time_ms < data.train[-1].time_ms:
        click.echo(f"{data.name}: the test begins before the train part ends, so figures may be too good", err=True)
    with progress_bar("{task.description} {task.percentage:.0f} %") as progress:
        if "sidecart" in models:
            compiling = progress.add_task("compiling", total=None)
            compile_kernels(DEFAULTS)
            progress.remove_task(compiling)
        tasks: dict[str, TaskID] = {}

        def advance(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.advance(tasks[step], done)

        return contest(
            data.name, data.train, data.test, target, models, protocols, clock=time.perf_counter, on_progress=advance
        )


def _default_plot(dataset: str, target: str) -> Path:
    return Path(".sidecart", f"evaluation-{re.sub('[^A-Za-z0-9._]+', '-', dataset)}-{target}.png")


def _check_place(plot: Path) -> None:
    """Make the folder of the picture, and see before the work that the picture can be written there."""
    try:
        plot.parent.mkdir(parents=True, exist_ok=True)
        if plot.is_dir():
            raise _unwritable(plot, "Is a directory")
    except FileExistsError as error:
        raise _unwritable(plot, f"{plot.parent} is no folder") from error
    except OSError as error:
        raise _unwritable(plot, error.strerror) from error
    if not os.access(plot if plot.exists() else plot.parent, os.W_OK):
        raise _unwritable(plot, "Permission denied")


def _write(summary: Summary, plot: Path) -> None:
    try:
        write_plot(summary, plot)
    except OSError as error:
        raise _unwritable(plot, error.strerror) from error


def _unwritable(plot: Path, reason: str | None) -> ConfigurationError:
    return ConfigurationError(f"the plot {plot} cannot be written ({reason}): name another file with --plot")
