"""`sidecart worker` with traps: at a named point of a flush, a send or a takeover it kills or pauses itself.

Started by the drills as ``python faulty_worker.py FILE``. Nothing happens until FILE holds ``POINT COUNT SIGNAL``:
then, the COUNT-th time that the worker comes to that point, the file is removed and the signal sent to the worker.
SIGUSR1 writes the stacks of all threads to its log.
"""

import faulthandler
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

__all__ = ["FLUSH_POINTS", "FORWARD_POINTS", "TAKEOVER_POINTS", "Trap", "lay"]

#: In the order in which a flush comes to them.
FLUSH_POINTS = (
    "outputs-unacknowledged",
    "outputs-acknowledged",
    "rows-uncommitted",
    "rows-committed",
    "store-written",
    "offsets-uncommitted",
    "offsets-committed",
)
#: Some of ingest's sends acknowledged and others not; all of them, but not committed.
FORWARD_POINTS = ("forwarded-partly", "forwarded")
TAKEOVER_POINTS = ("fenced", "loaded")


class Trap:
    """Springs at the point that the file names."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = 0

    def at(self, point: str) -> None:
        """Note that the worker has come to a point."""
        try:
            armed, count, number = self._file.read_text().split()
        except (FileNotFoundError, ValueError):
            return
        if armed != point:
            return
        self._seen += 1
        if self._seen >= int(count):
            self._seen = 0
            self._file.unlink()
            os.kill(os.getpid(), int(number))


def lay(trap: Trap) -> None:
    """Wrap the functions of the product at which the points are."""
    from streams.agents.ingest import Ingest
    from streams.fetching import ConsumerThread
    from streams.outbox import Outbox
    from streams.store import Changelog, Store

    def wrap(owner: type, name: str, before: Callable[..., None] | None, after: Callable[..., None] | None) -> None:
        original = getattr(owner, name)

        @wraps(original)
        async def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
            if before is not None:
                before(self, *args)
            result = await original(self, *args, **kwargs)
            if after is not None:
                after(self, *args)
            return result

        setattr(owner, name, wrapped)

    def point(name: str) -> Callable[..., None]:
        return lambda *_: trap.at(name)

    def unacknowledged(outbox: Outbox, *_: Any) -> None:
        if outbox._pending:
            trap.at("outputs-unacknowledged")

    acknowledge = Outbox._acknowledge

    def acknowledged(outbox: Outbox, lane: Any, *rest: Any) -> None:
        acknowledge(outbox, lane, *rest)
        others = [other for (topic, _), other in outbox._lanes.items() if topic == lane.topic and other is not lane]
        if lane.topic.endswith("session-events") and any(other.is_busy for other in others):
            trap.at("forwarded-partly")

    Outbox._acknowledge = acknowledged  # type: ignore[method-assign]
    transaction = Changelog.transaction

    @asynccontextmanager
    async def trapped(self: Changelog, writer: Any) -> AsyncIterator[None]:
        async with transaction(self, writer):
            yield
            trap.at("rows-uncommitted")
        trap.at("rows-committed")

    Changelog.transaction = trapped  # type: ignore[method-assign]
    wrap(Outbox, "settled", unacknowledged, None)
    wrap(Ingest, "flush", None, point("forwarded"))
    wrap(Store, "flush", point("outputs-acknowledged"), point("store-written"))
    wrap(Store, "take_over", None, point("fenced"))
    wrap(Store, "load", None, point("loaded"))
    wrap(ConsumerThread, "_commit_checkpoint", point("offsets-uncommitted"), point("offsets-committed"))


def main() -> None:
    """Lay the traps and run the worker."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from streams.cli.main import run

    faulthandler.register(signal.SIGUSR1)
    lay(Trap(Path(sys.argv[1])))
    sys.argv[1:] = ["worker"]
    run()


if __name__ == "__main__":
    main()
