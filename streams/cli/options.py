"""Flags that several commands share, and how they become settings."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from streams.settings import Settings, load_settings

__all__ = ["bootstrap_servers", "settings_from"]

_F = TypeVar("_F", bound=Callable[..., Any])


def bootstrap_servers(function: _F) -> _F:
    """Add ``--bootstrap-servers``; the function gets `bootstrap_servers`, None when the flag was not given."""
    return click.option(
        "--bootstrap-servers",
        metavar="HOST:PORT[,HOST:PORT...]",
        help="Address of the broker.  [default: SIDECART_BOOTSTRAP_SERVERS, or 127.0.0.1:9092]",
    )(function)


def settings_from(**flags: Any) -> Settings:
    """Read the settings from the environment, the configuration file and the flags that were given (not None)."""
    return load_settings(os.environ, **flags)
