"""`sidecart topics`: make and check the topics that Sidecart needs."""

import sys

import click
from rich.console import Console
from rich.table import Column, Table

from streams.admin import check_topics, create_topics
from streams.cli.options import bootstrap_servers, settings_from
from streams.topics import topic_table

__all__ = ["command"]

#: Characters of a line that goes to a file or another program: no topic's line is broken there.
_PIPE_WIDTH = 300


@click.group()
def command() -> None:
    """Make and check the topics that Sidecart needs."""


@command.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, 1000),
    required=True,
    help="Partitions of every topic that is made, and the most workers that can share the load; final.",
)
@bootstrap_servers
def create(partitions: int, bootstrap_servers: str | None) -> None:
    """Make the topics that are missing; input topics that exist are left as they are."""
    done = create_topics(settings_from(bootstrap_servers=bootstrap_servers), partitions)
    for name in done.created:
        click.echo(f"created {name}")
    for name in done.existing:
        click.echo(f"exists  {name}")


@command.command()
@bootstrap_servers
def check(bootstrap_servers: str | None) -> None:
    """Show the topics with their partitions, or say in one sentence what is wrong with them."""
    settings = settings_from(bootstrap_servers=bootstrap_servers)
    info = check_topics(settings)
    table = Table(Column("topic", overflow="fold"), "role", "partitions", "key", "content", box=None)
    for row, topic in topic_table(settings).items():
        partitions = info.input_partitions.get(row, info.partitions)
        table.add_row(topic.name, topic.role.value, str(partitions), topic.key, topic.content)
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)
