"""A process that never outlives the one that started it: the broker and the worker of a demo or a test."""

import contextlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["ChildProcess"]

#: Kills the child when this process ends in whatever way: only then does `read` meet the end of its pipe. A clean stop
#: sends a line first. (PR_SET_PDEATHSIG is Linux only, and fires when the *thread* that started the child ends.)
_GUARD: Final = 'read -r line || kill -KILL "$1"'


class ChildProcess:
    """A running process with its output in a file.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    log_file : Path
        Where its output is appended.
    environment : mapping, optional
        Its environment; without it, ours.
    """

    def __init__(self, command: Sequence[str], log_file: Path, environment: Mapping[str, str] | None = None) -> None:
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own session: Ctrl-C reaches us, and we decide in which order our children end.
                start_new_session=True,
            )
        try:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            self._process.kill()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def stop(self, deadline_s: float) -> None:
        """End it with SIGTERM, after the deadline by force."""
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(deadline_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._guard.communicate(b"\n")
