"""`sidecart inspect`: what has been learnt."""

import asyncio
import sys
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from models.inspection import ItemReport, Neighbour
from streams.admin import check_topics
from streams.cli.options import bootstrap_servers, settings_from
from streams.cli.progress import records_bar
from streams.clients import hush_clients
from streams.inspection import ItemReader
from streams.settings import Settings
from streams.wire import encode_json

__all__ = ["command"]

#: Characters of a line that goes to a file or another program: no neighbour's line is broken there.
_PIPE_WIDTH = 300


@click.group()
def command() -> None:
    """Look at what has been learnt."""


@command.command()
@click.argument("item_id", metavar="ID")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Neighbours shown, at most.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object instead of a table.")
@bootstrap_servers
def item(item_id: str, top: int, is_json: bool, bootstrap_servers: str | None) -> None:
    """Show the item ID and the neighbours it was seen with, heaviest first.

    It is read from the changelog, so it is as new as the workers' last flush. All counts are decayed to the newest
    event; pair count, support, confidence and lift are those that a suggestion would show.
    """
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    report = _read(settings, item_id, top)
    if is_json:
        click.echo(encode_json(report))
        return
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
    console.print(_headline(report))
    if report.neighbours:
        console.print(_table(report.neighbours))
    if hidden := report.neighbour_count - len(report.neighbours):
        console.print(f"and {hidden} more: --top {report.neighbour_count}")


def _read(settings: Settings, item_id: str, top: int) -> ItemReport:
    info = check_topics(settings)
    hush_clients()
    with records_bar() as bar:
        reader = ItemReader(settings, info, bar.advance)
        bar.expect(reader.steps)
        return asyncio.run(reader.read(item_id, top))


def _headline(report: ItemReport) -> Text:
    time = datetime.fromtimestamp(report.time / 1000, UTC)
    return Text.assemble(
        (_printable(report.item_id), "bold"),
        f": {report.sessions:,.1f} sessions, {report.events:,.1f} events, mass {report.mass:,.3f}, "
        f"{report.neighbour_count} neighbours",
        (f", as of {time:%Y-%m-%d %H:%M:%S} UTC", "dim"),
    )


def _table(neighbours: tuple[Neighbour, ...]) -> Table:
    numbers = ("weight", "pair count", "support", "confidence", "lift")
    table = Table(
        Column("neighbour", overflow="fold"),
        *(Column(number, justify="right") for number in numbers),
        box=None,
    )
    for neighbour in neighbours:
        evidence = neighbour.evidence
        table.add_row(
            Text(_printable(neighbour.item_id)),
            f"{neighbour.weight:,.3f}",
            f"{evidence.pair_count:,.1f}",
            f"{evidence.support:.3%}",
            f"{evidence.confidence:.1%}",
            "–" if evidence.lift is None else f"{evidence.lift:,.2f}",
        )
    return table


def _printable(item: str) -> str:
    # Ids come from a shop's visitors: a control character must not reach the terminal.
    return item if item.isprintable() else repr(item)
