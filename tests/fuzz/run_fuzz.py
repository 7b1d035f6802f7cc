"""The long run of `make fuzz`: exit code 1 and the smallest failing input found, or a line that says what was tried."""

import sys
from pathlib import Path
from time import monotonic

import click

sys.path.append(str(Path(__file__).parents[1] / "streams"))

from campaign import Outcome, fuzz_door, fuzz_worker

_EVERY = 50_000


@click.command()
@click.option("--events", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
def fuzz(events: int, seed: int) -> None:
    """Send so many mutated events through the door alone, then through all stages of a worker."""
    for name, run in (("door", fuzz_door), ("worker", fuzz_worker)):
        started = monotonic()

        def show(done: int, name: str = name, started: float = started) -> None:
            if done and done % _EVERY == 0:
                click.echo(f"{name}: {done:,} of {events:,}, {monotonic() - started:,.0f} s", err=True)

        _report(name, run(events, seed, show))


def _report(name: str, outcome: Outcome) -> None:
    if outcome.largest:
        sizes = ", ".join(f"{row} {size:,}" for row, size in outcome.largest.most_common())
        click.echo(f"largest record in bytes: {sizes}")
    if outcome.failure is not None:
        click.echo(f"failure: {outcome.failure}")
    click.echo(f"{name}: {outcome.line()}")
    if outcome.failure is not None:
        sys.exit(1)


if __name__ == "__main__":
    fuzz()
