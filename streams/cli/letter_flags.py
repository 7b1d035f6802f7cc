"""The flags that choose dead letters: by reason, topic and time."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from models.records import REASONS, rfc_3339_ms
from streams.cli.options import bootstrap_servers
from streams.topics import INPUTS

__all__ = ["choosing_letters"]

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_F = TypeVar("_F", bound=Callable[..., Any])


class _Since(click.ParamType):
    """A point in time as epoch ms: RFC 3339, or so long ago."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if (time_ms := rfc_3339_ms(value)) is not None:
            return time_ms
        if value[-1:] in _UNITS_MS and value[:-1].isascii() and value[:-1].isdigit():
            return int(time.time() * 1000) - int(value[:-1]) * _UNITS_MS[value[-1]]
        return self.fail(f"{value!r} is neither RFC 3339 with Z or an offset nor like 90s, 30m, 2h, 7d", param, ctx)


def choosing_letters(function: _F) -> _F:
    """Add the flags that choose dead letters, ``--json`` and ``--bootstrap-servers``."""
    for option in (
        click.option("--json", "is_json", is_flag=True, help="One JSON object a line."),
        click.option("--since", "since_ms", type=_Since(), metavar="TIME", help="RFC 3339, or 90s, 30m, 2h, 7d ago."),
        click.option("--topic", "topics", type=click.Choice(INPUTS), multiple=True, help="May be given several times."),
        click.option(
            "--reason", "reasons", type=click.Choice(REASONS), multiple=True, help="May be given several times."
        ),
        bootstrap_servers,
    ):
        function = option(function)
    return function
