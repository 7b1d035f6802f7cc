"""`sidecart worker`: reads events, publishes suggestions, until Ctrl-C or SIGTERM."""

import asyncio
import fcntl
import logging
import os
import signal
import threading
from pathlib import Path
from typing import IO

import click
import uvloop
from prometheus_client import CollectorRegistry

from models.errors import ConfigurationError
from streams.admin import check_topics
from streams.cli.options import bootstrap_servers, settings_from
from streams.settings import Settings
from streams.watchdog import EXIT_FAILED

__all__ = ["command"]

#: A shutdown that hangs is ended after this long; the next start goes on from the marks.
_STOP_S = 20.0


@click.command("worker")
@bootstrap_servers
@click.option("--state-dir", metavar="DIR", help="Folder of the local tables, one a worker.  [SIDECART_STATE_DIR]")
@click.option("--metrics-port", metavar="PORT", help="Port of /metrics, /live, /ready.  [SIDECART_METRICS_PORT]")
def command(bootstrap_servers: str | None, state_dir: str | None, metrics_port: str | None) -> None:
    """Run one worker: read events, learn, publish suggestions and acceptance.

    Several workers share the partitions; on one machine each needs its own --state-dir and --metrics-port.
    """
    settings = settings_from(bootstrap_servers=bootstrap_servers, state_dir=state_dir, metrics_port=metrics_port)
    lock = _lock(settings.state_dir)
    _set_up_logging(settings.log_level)
    with lock:
        # The stages wait for many small requests: libuv's loop takes a tenth of the CPU away.
        uvloop.run(_run(settings))


async def _run(settings: Settings) -> None:
    from streams.app import Worker, serve  # Faust takes half a second to import: wrong flags are told before

    info = await asyncio.to_thread(check_topics, settings)
    worker = Worker(settings, info, CollectorRegistry())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _begin_stop, stop)
    await serve(worker, stop)
    # Not a return: a thread of Faust that hangs in a rebalance would keep the process, and all is committed.
    logging.shutdown()
    os._exit(0)


def _begin_stop(stop: asyncio.Event) -> None:
    stop.set()
    deadline = threading.Timer(_STOP_S, os._exit, (EXIT_FAILED,))
    deadline.daemon = True
    deadline.start()


def _lock(state_dir: Path) -> IO[str]:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / "worker.lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"state_dir={state_dir} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigurationError(f"state_dir={state_dir} is in use by another worker: give each its own") from error
    return lock


def _set_up_logging(level: str) -> None:
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)-8s %(name)s: %(message)s")
    # Under the last two names Faust logs the life of our subclasses.
    for chatty in ("faust", "mode", "aiokafka", "streams.batching", "streams.store"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
