"""Ends a worker that cannot go on: one line in the log, then the process is gone, before anything is committed.

A plain thread, because an event loop that hangs runs no task.
"""

import logging
import os
import threading
from collections.abc import Callable
from time import monotonic

from models.errors import AccidentError, BrokerError, ConfigurationError, TopicError

__all__ = ["EXIT_FAILED", "EXIT_REFUSED", "Watchdog", "die"]

#: A restart may help; a person has to do something.
EXIT_FAILED = 1
EXIT_REFUSED = 2

_CHECK_S = 1.0
#: Seconds without a sign of life of the event loop after which it counts as hanging.
_SILENCE_S = 60.0

logger = logging.getLogger(__name__)


def die(error: BaseException) -> None:
    """Say why in one line and end the process at once, without the clean-ups that could still send or commit."""
    name = type(error).__name__
    logger.critical("worker stops: %s", error if str(error) else name, exc_info=error if _is_unknown(error) else None)
    logging.shutdown()
    is_refused = isinstance(error, (AccidentError, BrokerError, ConfigurationError, TopicError))
    os._exit(EXIT_REFUSED if is_refused else EXIT_FAILED)


def _is_unknown(error: BaseException) -> bool:
    return not type(error).__module__.startswith(("models.", "aiokafka."))


class Watchdog(threading.Thread):
    """Looks after the event loop and the consumer.

    Parameters
    ----------
    failure : callable
        Returns the error that has stopped the consumer or a service, or None.
    """

    def __init__(self, failure: Callable[[], BaseException | None]) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._failure = failure
        self._alive_at = monotonic()
        self._stopped = threading.Event()

    def alive(self) -> None:
        """Give a sign of life; called by a task of the event loop."""
        self._alive_at = monotonic()

    def is_alive_lately(self) -> bool:
        """Tell whether the event loop runs."""
        return monotonic() - self._alive_at < _SILENCE_S

    def stop(self) -> None:
        """End the watch; the worker stops by itself."""
        self._stopped.set()

    def run(self) -> None:
        """Check once a second."""
        while not self._stopped.wait(_CHECK_S):
            error = self._failure()
            if error is not None:
                die(error)
            if not self.is_alive_lately():
                die(TimeoutError(f"the event loop has not run for {_SILENCE_S:.0f} s"))
