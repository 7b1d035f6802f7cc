"""`sidecart audit`: counts everything again and compares."""

import sys
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from models.audit.findings import Report
from streams.audit import audit
from streams.cli.exit_codes import INTERRUPTED
from streams.cli.options import bootstrap_servers, settings_from
from streams.cli.progress import progress_bar
from streams.clients import hush_clients
from streams.settings import Settings

__all__ = ["command", "verdict"]

#: Columns of a table that goes to a file or another program: none is left out there.
_PIPE_WIDTH: Final = 300
#: Differences that are listed.
_LISTED: Final = 20

#: What each comparison compares, by the kind of what is counted.
_COMPARISONS: Final = {
    "events": "inputs and session-events",
    "increments": "session-events and pairs",
    "rows": "pairs and table cooccurrence",
    "replicas": "pairs and replicas",
    "suggestions": "events and suggestions",
    "outcomes": "suggestions and acceptance",
    "tallies": "session-events and tallies",
    "windows": "tallies, table kpi, metrics",
    "sessions": "events and table sessions",
}


@click.command()
@click.option(
    "--worker",
    "workers",
    multiple=True,
    metavar="http://HOST:PORT",
    help="Where a running worker serves /metrics: its replica is compared too. May be repeated.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object instead of a table.")
@bootstrap_servers
def command(workers: tuple[str, ...], is_json: bool, bootstrap_servers: str | None) -> None:
    """Count everything again from the logs and compare, weight by weight: exit code 1 on a difference.

    The deployment may be running: what is not processed yet is counted, and is no difference; nor is what retention
    has deleted. Run it with the settings of the workers.
    """
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    try:
        report = _audit(settings, workers)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    if is_json:
        click.echo(msgspec.json.encode(_summary(report)))
    else:
        _print(report)
    sys.exit(1 if report.differences else 0)


def _audit(settings: Settings, workers: tuple[str, ...]) -> Report:
    hush_clients()
    with progress_bar("{task.completed:,.0f} of {task.total:,.0f} records") as progress:
        task = progress.add_task("", total=0)
        return audit(settings, lambda done, total: progress.update(task, completed=done, total=total), workers)


def verdict(report: Report) -> str:
    """Return the result in one sentence."""
    counts = report.counts
    pending = f"; {report.pending:,} events are not processed yet" if report.pending else ""
    uncountable = f"; {report.uncountable:,} items could not be compared" if report.uncountable else ""
    counted = f"{counts['events'].compared:,} events and {counts['increments'].compared:,} increments"
    if report.differences:
        plural = "s" if report.differences > 1 else ""
        return f"{report.differences:,} difference{plural} among {counted}{pending}{uncountable}."
    return f"No difference among {counted}{pending}{uncountable}."


def _summary(report: Report) -> dict[str, object]:
    return {
        **{kind: count.compared for kind, count in report.counts.items()},
        "differences": report.differences,
        "uncountable": report.uncountable,
        "pending": report.pending,
        "repeated": report.repeated,
        "found": report.found,
        "not_counted": report.not_counted,
        "comparisons": report.counts,
    }


def _print(report: Report) -> None:
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
    table = Table(
        "comparison",
        Column("compared", justify="right"),
        "",
        *(Column(name, justify="right") for name in ("differences", "not countable", "pending")),
        box=None,
    )
    for kind, count in report.counts.items():
        numbers = (count.differences, count.uncountable, count.pending)
        table.add_row(_COMPARISONS[kind], f"{count.compared:,}", kind, *(f"{number:,}" for number in numbers))
    console.print(table)
    if report.repeated:
        console.print(f"{report.repeated:,} messages repeat a suggestion or an outcome: the first one counts.")
    for sentence in report.not_counted:
        console.print(Text(sentence))
    for finding in report.found[:_LISTED]:
        console.print(Text(f"{finding.place}: {finding.difference}"))
    if report.differences > _LISTED:
        console.print(f"and {report.differences - _LISTED:,} more differences")
    console.print(Text(verdict(report), style="bold"))
