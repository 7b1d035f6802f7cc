"""`sidecart replay`: send recorded events to the input topics, in time order."""

import json
import sys
import time
from itertools import islice
from pathlib import Path

import click

from models.errors import RecordingError
from models.recordings.formats import FORMATS, read_events
from models.recordings.record import BadLines
from streams.cli.exit_codes import INTERRUPTED
from streams.cli.options import bootstrap_servers, settings_from
from streams.cli.progress import progress_bar
from streams.replayer import Replayer, connect, input_topics, open_lines

__all__ = ["command"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "format_name", type=click.Choice(list(FORMATS)), required=True, help="What the file is.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="Recorded seconds a second: 1 is as it happened, 60 a minute a second.  [default: as fast as possible]",
)
@click.option("--limit", type=click.IntRange(min=1), help="Send at most so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of sentences.")
@bootstrap_servers
def command(
    file: Path,
    format_name: str,
    speed: float | None,
    limit: int | None,
    as_json: bool,
    bootstrap_servers: str | None,
) -> None:
    """Send the recorded events of FILE, plain or gzipped, to the input topics, in time order.

    Event ids follow from the file, so a second replay of the same file repeats the same events. Bad lines are left
    out, counted and reported. Ctrl-C stops cleanly and reports what was sent.
    """
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    lines = open_lines(file)
    topics = input_topics(settings)
    replayer = Replayer(connect(settings), topics, speed)
    bad_lines = BadLines()
    started_s = time.monotonic()
    is_interrupted = False
    try:
        with progress_bar("{task.completed:,.0f} events") as progress:
            events = islice(read_events(lines, format_name, bad_lines), limit)
            replayer.send(progress.track(events, total=limit))
    except KeyboardInterrupt:
        is_interrupted = True
    except RecordingError as error:
        replayer.flush()
        if sent := replayer.sent.total():
            raise RecordingError(f"{error}; {sent:,} events before that were sent") from error
        raise
    replayer.flush()
    seconds = time.monotonic() - started_s
    _report_bad(bad_lines)
    if as_json:
        by_kind = {kind: replayer.sent[kind] for kind in topics}
        click.echo(json.dumps({"sent": by_kind, "bad_lines": bad_lines.total, "seconds": round(seconds, 3)}))
    else:
        for kind, topic in topics.items():
            click.echo(f"sent {replayer.sent[kind]:,} events to {topic}")
        click.echo(f"bad lines: {bad_lines.total:,}")
    if is_interrupted:
        sys.exit(INTERRUPTED)


def _report_bad(bad_lines: BadLines) -> None:
    for number, reason in bad_lines.first:
        click.echo(f"line {number}: {reason}", err=True)
    if bad_lines.total > len(bad_lines.first):
        counts = ", ".join(f"{count:,} {reason}" for reason, count in bad_lines.by_reason.most_common())
        click.echo(f"all bad lines: {counts}", err=True)
