"""`sidecart demo`: everything at once, with a simulated shop."""

import os
import sys
from typing import Literal

import click
from rich.console import Console

from streams.demo import DemoOptions, run_demo

__all__ = ["command"]


@click.command()
@click.option(
    "--broker",
    type=click.Choice(["embedded", "kafka"]),
    default="embedded",
    show_default=True,
    help="In memory, or Apache Kafka, fetched with Maven at the first start (needs Java 17).",
)
@click.option("--seconds", type=click.FloatRange(1), help="Stop by itself so long after the worker is ready.")
@click.option("--rate", type=float, default=40.0, show_default=True, help="Events a second.")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides what the simulated shoppers do.")
def command(broker: Literal["embedded", "kafka"], seconds: float | None, rate: float, seed: int) -> None:
    """Run a broker, a worker and a simulated shop here, and watch; Ctrl-C stops it all.

    Nothing is kept: the broker's data and the worker's tables are removed at the end.
    """
    sys.exit(run_demo(DemoOptions(broker, seconds, rate, seed), os.environ, Console()))
