"""Ends a worker that cannot go on: one line in the log, then the process is gone, before anything is committed.

A plain thread, because an event loop that hangs runs no task.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from models.errors import AccidentError, BrokerError, ConfigurationError, StalledError, TopicError

__all__ = ["EXIT_FAILED", "EXIT_REFUSED", "Stall", "Watchdog", "die"]

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


class Stall:
    """Something that must get on while there is something to do.

    Parameters
    ----------
    seen : callable
        Returns the beginning of the sentence: what does not get on.
    limit_s : float
        Seconds without progress that are allowed.
    progress : callable
        Returns a value that changes with every step, None while there is nothing to do. Both callables are called from
        the watchdog's thread: they may only read what is replaced in one step.
    """

    def __init__(self, seen: Callable[[], str], limit_s: float, progress: Callable[[], object]) -> None:
        self.limit_s = limit_s
        self._seen = seen
        self._progress = progress
        self._last: object = None
        self._since = 0.0

    def error(self, now: float) -> StalledError | None:
        """Return what is wrong at `now`, in seconds; None if nothing is."""
        progress = self._progress()
        if progress is None or progress != self._last:
            self._last, self._since = progress, now
            return None
        if now - self._since < self.limit_s:
            return None
        return StalledError(f"{self._seen()} for {self.limit_s:g} s; the next start goes on from the marks")


class Watchdog(threading.Thread):
    """Looks after the event loop, the consumer and everything that must get on.

    Time during which the whole process stood still, as under SIGSTOP, does not count.

    Parameters
    ----------
    failure : callable
        Returns the error that has stopped the consumer or a service, or None.
    stalls : sequence of Stall
        What must get on beside the event loop.
    clock : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        failure: Callable[[], BaseException | None],
        stalls: Sequence[Stall] = (),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._failure = failure
        self._beats = 0
        loop = Stall(lambda: "the event loop has not run", _SILENCE_S, lambda: self._beats)
        self._stalls = [loop, *stalls]
        self._clock = clock
        self._looked_at = clock()
        #: Seconds that were watched.
        self._watched = 0.0
        self._alive_at = 0.0
        self._stopped = threading.Event()

    def alive(self) -> None:
        """Give a sign of life; called by a task of the event loop."""
        self._beats += 1
        self._alive_at = self._watched

    def is_alive_lately(self) -> bool:
        """Tell whether the event loop runs."""
        return self._watched - self._alive_at <= _SILENCE_S

    def stop(self) -> None:
        """End the watch; the worker stops by itself."""
        self._stopped.set()

    def run(self) -> None:
        """Check once a second."""
        while not self._stopped.wait(_CHECK_S):
            error = self.check()
            if error is not None and not self._stopped.is_set():
                die(error)

    def check(self) -> BaseException | None:
        """Look once; return why the worker cannot go on, None if it can."""
        now = self._clock()
        self._watched += min(now - self._looked_at, 2 * _CHECK_S)
        self._looked_at = now
        try:
            failed = self._failure()
            if failed is not None:
                return failed
            found = [stall.error(self._watched) for stall in self._stalls]
        except Exception as error:  # noqa: BLE001  what cannot be watched must not run
            return error
        return next((error for error in found if error is not None), None)
