"""`sidecart bench`: Sidecart beside other ways to do it, measured here on a real Apache Kafka."""

import dataclasses
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from models.errors import ConfigurationError
from streams.cli.exit_codes import INTERRUPTED

__all__ = ["command"]

#: The harness is part of the tests, with the programs that it compares: an installed package has neither.
_HARNESS = Path(__file__).parents[2] / "tests" / "bench"
_SYSTEMS = ("sidecart", "aiokafka", "confluent", "bytewax", "quix", "faust-naive")
_PLOT = Path(".sidecart", "bench.png")
#: Columns of the tables, on any terminal: a cut number would mislead.
_WIDTH = 120


def _systems(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    names = list(_SYSTEMS) if value is None else [name.strip() for name in value.split(",") if name.strip()]
    unknown = [name for name in names if name not in _SYSTEMS]
    if unknown or not names:
        raise click.BadParameter(f"{', '.join(unknown) or 'nothing'} is none of {', '.join(_SYSTEMS)}")
    return list(dict.fromkeys(names))


@click.command()
@click.option("--quick", is_flag=True, help="One shorter run of each, small catalogue, one worker: under four minutes.")
@click.option("--runs", type=click.IntRange(1), help="Runs of each system; medians are told.  [default: 3, quick 1]")
@click.option(
    "--systems", metavar="NAME[,NAME...]", callback=_systems, help=f"Of {', '.join(_SYSTEMS)}.  [default: all]"
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Where the picture goes, a PNG.  [default: {_PLOT}]",
)
@click.option(
    "--json", "json_file", metavar="FILE", help="Write all figures as one JSON object; - prints it instead of tables."
)
def command(quick: bool, runs: int | None, systems: list[str], plot: Path | None, json_file: str | None) -> None:
    """Measure events a second and CPU an event beside other stream processors, and latency beside the bare broker.

    All run on an Apache Kafka that is started for it, one after the other, over the same traffic; each run is checked:
    no event may be lost, and every item must be counted as often as it came. A check that fails makes the exit code 1.
    Let the machine have nothing else to do.
    """
    if not (_HARNESS / "run_bench.py").exists():
        raise ConfigurationError(
            f"the bench is part of a source checkout, and {_HARNESS} is missing: clone the project and run make bench"
        )
    sys.path.insert(0, str(_HARNESS))
    harness = import_module("run_bench")
    path = plot or _PLOT
    path.parent.mkdir(parents=True, exist_ok=True)
    plan = harness.QUICK if quick else harness.FULL
    if runs is not None:
        plan = dataclasses.replace(plan, runs=runs)
    try:
        report = harness.run_bench(plan, systems, lambda line: click.echo(line, err=True))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    _show(report, json_file)
    import_module("bench_plot").write_plot(report, path)
    click.echo(f"plot: {path}", err=True)
    if report["problems"]:
        sys.exit(1)


def _show(report: dict[str, Any], json_file: str | None) -> None:
    text = json.dumps(report, allow_nan=False)
    if json_file == "-":
        click.echo(text)
        return
    console = Console(width=_WIDTH, highlight=False)
    console.print(import_module("bench_table").bench_table(report))
    if json_file is not None:
        Path(json_file).write_text(text + "\n", encoding="utf-8")
