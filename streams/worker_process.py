"""One `sidecart worker` as a process of its own, which never outlives the process that started it."""

import http.client
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.child_process import ChildProcess
from streams.settings import ENVIRONMENT_PREFIX, Settings

__all__ = ["WorkerProcess", "child_environment"]

_HOST: Final = "127.0.0.1"
_HTTP_TIMEOUT_S: Final = 1.0
#: Seconds for a clean end, which includes a last flush of the tables.
_STOP_S: Final = 10.0
_COMMAND: Final = (sys.executable, "-m", "streams.cli.main", "worker")


class WorkerProcess:
    """A worker with its output in a file.

    Parameters
    ----------
    settings : Settings
        All settings of the worker, given to it in its environment.
    log_file : Path
        Where its output goes.
    command : sequence of str
        What to start instead of `sidecart worker`.
    """

    def __init__(self, settings: Settings, log_file: Path, command: Sequence[str] = _COMMAND) -> None:
        self._settings = settings
        self._log_file = log_file
        self._command = command
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        self._process = ChildProcess(self._command, self._log_file, child_environment(self._settings))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.stop(_STOP_S)

    @property
    def pid(self) -> int:
        """The worker's process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The worker's exit code; None while it runs."""
        return None if self._process is None else self._process.exit_code

    def is_ready(self) -> bool:
        """Ask the worker whether it is recovered and caught up; no answer counts as no."""
        # Not urllib: a proxy from the environment must not be asked for our own machine.
        connection = http.client.HTTPConnection(_HOST, self._settings.metrics_port, timeout=_HTTP_TIMEOUT_S)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def log_tail(self, lines: int) -> str:
        """Return the last lines of the worker's output, each indented."""
        text = self._log_file.read_text(encoding="utf-8", errors="replace")
        return "".join(f"\n  {line}" for line in text.splitlines()[-lines:])


def child_environment(settings: Settings) -> dict[str, str]:
    """Return our environment with these settings and no others: what a worker of ours is started with."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    return inherited | settings.as_environment()
