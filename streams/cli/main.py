"""The entry point `sidecart`: finds the subcommands and turns every user's mistake into one sentence."""

import sys
from importlib import import_module

import click

from models.errors import SidecartError

_COMMANDS = (
    "demo",
    "worker",
    "topics",
    "replay",
    "tail",
    "inspect",
    "dead-letters",
    "audit",
    "evaluate",
    "tune",
    "bench",
    "broker",
)


class _Commands(click.Group):
    """Subcommands, each imported only when it is used: `sidecart --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"streams.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="sidecart")
def sidecart() -> None:
    """In-session cross-sell from a shop's own event stream, on Apache Kafka.

    \b
    First steps:
      sidecart demo                                  everything at once, on an embedded broker
      sidecart broker kafka                          a real broker here; prints its address
      sidecart topics create --partitions 8          the topics that Sidecart needs
      sidecart worker                                read events, publish suggestions
      sidecart replay FILE --format sidecart         send recorded events
      sidecart tail                                  watch suggestions and acceptances
      sidecart inspect item SKU                      what has been learnt about one item
      sidecart dead-letters                          what was refused, and why
      sidecart audit                                 count everything again: is it all right?
      sidecart evaluate rsc15                        how good the suggestions are
      sidecart tune --train FILE                     parameters that suit a shop's own traffic
      sidecart bench                                 events/s, CPU and latency beside other systems

    The broker's address is --bootstrap-servers or SIDECART_BOOTSTRAP_SERVERS.
    """


def run() -> None:
    """Run the command line; a `SidecartError` becomes one sentence on stderr and exit code 2."""
    try:
        sidecart(standalone_mode=True)
    except SidecartError as error:
        click.echo(f"sidecart: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    run()
