"""Ends a worker that cannot go on: one line in the log, then the process is gone, before anything is committed.

A plain thread, because an event loop that hangs runs no task.
"""

import logging
import os
import threading
from collections.abc import Callable
from time import monotonic

from models.errors import AccidentError, BrokerError, ConfigurationError, StalledError, TopicError

__all__ = ["EXIT_FAILED", "EXIT_REFUSED", "Watchdog", "die"]

#: A restart may help; a person has to do something.
EXIT_FAILED = 1
EXIT_REFUSED = 2

_CHECK_S = 1.0
#: Seconds without a sign of life of the event loop after which it counts as hanging.
_SILENCE_S = 60.0
#: Seconds for the last line of the log.
_LOG_S = 2.0

logger = logging.getLogger(__name__)


def die(error: BaseException) -> None:
    """Say why in one line and end the process at once, without the clean-ups that could still send or commit."""
    is_refused = isinstance(error, (AccidentError, BrokerError, ConfigurationError, TopicError))
    code = EXIT_REFUSED if is_refused else EXIT_FAILED
    # Where nobody reads the log any more, the line would never be written.
    last_resort = threading.Timer(_LOG_S, os._exit, (code,))
    last_resort.daemon = True
    last_resort.start()
    name = type(error).__name__
    logger.critical("worker stops: %s", error if str(error) else name, exc_info=error if _is_unknown(error) else None)
    logging.shutdown()
    os._exit(code)


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
            try:
                error = self._failure()
            except Exception as failed:  # noqa: BLE001  what cannot be watched must not run
                error = failed
            if error is None and not self.is_alive_lately():
                error = StalledError(f"the event loop has not run for {_SILENCE_S:.0f} s")
            if error is not None:
                die(error)
