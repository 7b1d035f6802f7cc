"""`sidecart broker`: a broker in the foreground, until Ctrl-C or SIGTERM."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import click

from models.errors import BrokerError
from streams.brokers.embedded import EmbeddedBroker
from streams.brokers.kafka import KafkaBroker

__all__ = ["command"]

#: Seconds between two looks at whether the broker's process still lives.
_LOOK_S = 0.5


@click.group()
def command() -> None:
    """Start a broker here, and keep it until Ctrl-C."""


@command.command()
@click.option("--port", type=click.IntRange(1, 65535), default=9092, show_default=True, help="Port on 127.0.0.1.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".sidecart/kafka"),
    show_default=True,
    help="Folder of the broker's data; with the same folder it has its topics back.",
)
def kafka(port: int, data_dir: Path) -> None:
    """Apache Kafka on Java 17; Maven fetches it once."""
    broker = KafkaBroker(data_dir, port=port)
    if not broker.is_installed():
        click.echo("fetching Apache Kafka with Maven (43 MB, once) ...", err=True)
    with broker:
        _announce(broker.bootstrap_servers)
        _stay(lambda: broker.is_running)
        if not broker.is_running:
            raise BrokerError(f"Kafka ended by itself, its log ends with:{broker.log_tail()}")


@command.command()
def embedded() -> None:
    """A broker in memory, for a first look."""
    with EmbeddedBroker() as broker:
        click.echo(
            "This broker is for a first look: four partitions a topic, about 5 MB a partition, nothing survives it.",
            err=True,
        )
        _announce(broker.bootstrap_servers)
        _stay(lambda: True)


def _announce(address: str) -> None:
    click.echo(f"bootstrap servers: {address}")


def _stay(is_running: Callable[[], bool]) -> None:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    while is_running() and not stopping.wait(_LOOK_S):
        pass
