"""`sidecart tail`: watch the output topics."""

import click
from rich.console import Console

from streams.cli.options import bootstrap_servers, settings_from
from streams.lines import READABLE, message_line
from streams.watching import Watcher

__all__ = ["command"]

#: Seconds that a poll may take, and so how long Ctrl-C may take.
_POLL_S = 0.25


@click.command()
@click.option("--from-beginning", is_flag=True, help="Show first what the topics already hold.")
@click.option(
    "--topic",
    "topics",
    type=click.Choice(list(READABLE)),
    multiple=True,
    default=("suggestions", "acceptance"),
    show_default=True,
    help="What to watch; may be given several times.",
)
@click.option("--limit", type=click.IntRange(1), help="Stop after so many messages.")
@click.option("--json", "is_json", is_flag=True, help="The messages as they are, one a line.")
@bootstrap_servers
def command(
    from_beginning: bool, topics: tuple[str, ...], limit: int | None, is_json: bool, bootstrap_servers: str | None
) -> None:
    """Watch suggestions and what becomes of them, until Ctrl-C; no consumer group is disturbed."""
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    console = Console(highlight=False)
    shown = 0
    try:
        with Watcher(settings, tuple(dict.fromkeys(topics)), is_from_beginning=from_beginning) as watcher:
            while limit is None or shown < limit:
                for message in watcher.poll(_POLL_S):
                    if is_json:
                        click.echo(message.value)
                    else:
                        console.print(message_line(message.row, message.value), soft_wrap=True)
                    shown += 1
                    if shown == limit:
                        return
    except KeyboardInterrupt:
        return
