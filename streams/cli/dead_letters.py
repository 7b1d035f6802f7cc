"""`sidecart dead-letters`: what was refused, why, and sending it again."""

import asyncio
import heapq
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from streams.admin import check_topics
from streams.changelog import LogReader
from streams.cli.letter_flags import choosing_letters
from streams.cli.options import settings_from
from streams.cli.progress import records_bar
from streams.clients import Clients, hush_clients
from streams.context import model_parameters
from streams.dead_letters import DeadLetters, OpenLetter, Wanted
from streams.lines import printable
from streams.redriving import Redriver, Verdict
from streams.replayer import connect
from streams.settings import Settings
from streams.topics import topic_table
from streams.wire import DeadLetter, encode_json

__all__ = ["command"]

#: Characters of a line that goes to a file or another program: none is broken there.
_PIPE_WIDTH: Final = 300
#: Characters of a refused value that `list` shows.
_SHOWN: Final = 160


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """See what was refused and why, and send it again after a fix; without a subcommand: reasons."""
    if context.invoked_subcommand is None:
        context.invoke(reasons)


class _Group(msgspec.Struct):
    """The letters of one reason; times in ms, `example` is the latest."""

    reason: str
    count: int
    first: int
    last: int
    example: DeadLetter


@command.command()
@choosing_letters
def reasons(
    reasons: tuple[str, ...] = (),
    topics: tuple[str, ...] = (),
    since_ms: int | None = None,
    is_json: bool = False,
    bootstrap_servers: str | None = None,
) -> None:
    """Count the open letters by reason."""
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    groups: dict[str, _Group] = {}

    def take(found: Sequence[OpenLetter]) -> None:
        for letter, _ in found:
            group = groups.get(letter.reason)
            if group is None:
                groups[letter.reason] = _Group(letter.reason, 1, letter.timestamp, letter.timestamp, letter)
                continue
            group.count += 1
            group.first = min(group.first, letter.timestamp)
            if letter.timestamp >= group.last:
                group.last, group.example = letter.timestamp, letter

    closed = _read(settings, _wanted(settings, reasons, topics, since_ms), take)
    ordered = sorted(groups.values(), key=lambda group: (-group.count, group.reason))
    if is_json:
        for group in ordered:
            click.echo(encode_json(group))
        return
    if not ordered:
        click.echo(_nothing(closed))
        return
    table = Table("reason", Column("letters", justify="right"), "first", "last", "latest", box=None)
    for group in ordered:
        example = Text.assemble(f"{_place(group.example)}  ", (printable(group.example.detail), "dim"))
        table.add_row(printable(group.reason), f"{group.count:,}", _time(group.first), _time(group.last), example)
    _console().print(table)
    if closed:
        click.echo(f"{closed:,} more were sent again")


@command.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Letters shown, at most.")
@choosing_letters
def list_letters(
    limit: int,
    reasons: tuple[str, ...],
    topics: tuple[str, ...],
    since_ms: int | None,
    is_json: bool,
    bootstrap_servers: str | None,
) -> None:
    """Show the open letters, newest first: time, place, reason, what was wrong, how the value begins."""
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    newest: list[tuple[int, str, int, int, DeadLetter]] = []
    count = 0

    def take(found: Sequence[OpenLetter]) -> None:
        nonlocal count
        count += len(found)
        for letter, _ in found:
            # No two letters have the same place: the last field is never compared.
            entry = (letter.timestamp, letter.topic, letter.partition, letter.offset, letter)
            (heapq.heappush if len(newest) < limit else heapq.heappushpop)(newest, entry)

    closed = _read(settings, _wanted(settings, reasons, topics, since_ms), take)
    letters = [entry[-1] for entry in sorted(newest, key=lambda entry: entry[:-1], reverse=True)]
    if is_json:
        for letter in letters:
            click.echo(encode_json(letter))
        return
    if not letters:
        click.echo(_nothing(closed))
    console = _console()
    for letter in letters:
        console.print(_headline(letter, letter.reason, letter.detail), soft_wrap=True)
        console.print(Text(f"    {_beginning(letter.value)}", "dim"), soft_wrap=True)
    if count > len(letters):
        click.echo(f"and {count - len(letters):,} more: --limit {count}")


@command.command()
@click.option("--dry-run", "is_dry_run", is_flag=True, help="Send nothing, say what would be sent.")
@choosing_letters
def redrive(
    is_dry_run: bool,
    reasons: tuple[str, ...],
    topics: tuple[str, ...],
    since_ms: int | None,
    is_json: bool,
    bootstrap_servers: str | None,
) -> None:
    """Send the open letters again that today's rules accept: key and value as they were, to the same partition.

    Those that are still refused stay, and are reported. A letter that was sent again is not sent a second time; and an
    event that had come through after all is recognised by its event_id, as any retry.
    """
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    producer = None if is_dry_run else connect(settings)
    redriver = Redriver(settings, producer, model_parameters(settings), lambda: int(time.time() * 1000))
    sent: Counter[str] = Counter()
    refused: list[Verdict] = []

    def take(found: Sequence[OpenLetter]) -> None:
        for verdict in redriver.send(found):
            if is_json:
                click.echo(encode_json(_as_json(verdict, is_dry_run)))
            elif verdict.refusal is None:
                sent[verdict.letter.topic] += 1
            else:
                refused.append(verdict)

    closed = _read(settings, _wanted(settings, reasons, topics, since_ms), take)
    if is_json:
        return
    console = _console()
    for letter, refusal, detail in refused:
        console.print(_headline(letter, f"stays, {refusal}", detail), soft_wrap=True)
    for topic, count in sorted(sent.items()):
        click.echo(f"{'would send' if is_dry_run else 'sent'} {count:,} events again to {topic}")
    if refused:
        click.echo(f"{len(refused):,} are still refused and stay")
    if not sent and not refused:
        click.echo(_nothing(closed))


def _read(settings: Settings, wanted: Wanted, take: Callable[[Sequence[OpenLetter]], None]) -> int:
    """Hand the wanted letters over; return how many letters were sent again before."""
    info = check_topics(settings)
    hush_clients()
    reader = LogReader(Clients(settings, has_transactions=any(info.topic_ids.values())).log_consumer)
    with records_bar() as bar:
        letters = DeadLetters(settings, reader, info.partitions, bar.advance)
        bar.expect(letters.steps)
        asyncio.run(letters.read(wanted, take))
    return letters.closed


def _wanted(settings: Settings, reasons: Sequence[str], kinds: Sequence[str], since_ms: int | None) -> Wanted:
    table = topic_table(settings)
    return Wanted(reasons, tuple(table[kind].name for kind in kinds), since_ms)


def _nothing(closed: int) -> str:
    again = f"; {closed:,} were sent again" if closed else ""
    return f"there are no such dead letters{again}"


def _headline(letter: DeadLetter, verdict: str, detail: str) -> Text:
    line = Text.assemble(
        (f"{_time(letter.timestamp)}  {_place(letter)}  ", "dim"), (printable(verdict), "red"), f"  {printable(detail)}"
    )
    line.no_wrap = True
    return line


def _as_json(verdict: Verdict, is_dry_run: bool) -> dict[str, object]:
    letter = verdict.letter
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "sent": verdict.refusal is None and not is_dry_run,
        "refusal": verdict.refusal,
        "detail": verdict.detail,
    }


def _place(letter: DeadLetter) -> str:
    return f"{printable(letter.topic)}/{letter.partition}@{letter.offset}"


def _time(time_ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}" if time_ms >= 0 else "no time"
    except (ValueError, OverflowError, OSError):
        return str(time_ms)


def _beginning(value: bytes | None) -> str:
    if value is None:
        return "(no value)"
    text = printable(value[:_SHOWN].decode(errors="replace"))
    return text if len(value) <= _SHOWN else f"{text}… ({len(value):,} bytes)"


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
