"""Workers under a supervisor: one that ends is started again, as a service manager would."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

from streams.settings import Settings
from streams.worker_process import WorkerProcess

__all__ = ["Ending", "Fleet", "StuckError"]

_ENTRY = Path(__file__).with_name("faulty_worker.py")
_RESTART_S = 0.5
#: Seconds in which a worker must become ready, or end.
STUCK_S = 60.0
_STOP_S = 30.0
_REASON = re.compile(r"(?:worker stops|^sidecart): (.*)")


class StuckError(Exception):
    """A worker that neither becomes ready nor ends, or that does not stop."""


@dataclass(frozen=True)
class Ending:
    """How a worker ended: `code` as Python gives it (negative for a signal), the reason that its log gives."""

    name: str
    code: int
    reason: str

    @property
    def is_by_itself(self) -> bool:
        """Whether neither a signal nor an operator ended it."""
        return self.code > 0

    def __str__(self) -> str:
        how = signal.Signals(-self.code).name if self.code < 0 else f"exit {self.code}"
        return f"{self.name} {how}{f' ({self.reason})' if self.reason else ''}"


@dataclass
class _Member:
    worker: WorkerProcess
    started: float
    log_start: int


class Fleet:
    """The workers of one deployment; each has a state folder, a log and a trap file of its own.

    Attributes
    ----------
    endings : list of Ending
        How workers ended since it was last emptied.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.endings: list[Ending] = []
        self._settings = settings
        self._folder = folder
        self._own: dict[str, Settings] = {}
        self._members: dict[str, _Member] = {}
        self._restart_at: dict[str, float] = {}
        self._size_limits: dict[str, int] = {}
        self._lock = threading.RLock()
        self._stack = ExitStack()
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "Fleet":
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._supervisor.join()
        for member in self._members.values():
            os.kill(member.worker.pid, signal.SIGCONT)
        with ExitStack() as stack:
            for member in self._members.values():
                stack.callback(member.worker.__exit__, None, None, None)
                os.kill(member.worker.pid, signal.SIGKILL)

    # -- what runs

    @property
    def names(self) -> list[str]:
        """The workers that should run."""
        with self._lock:
            return sorted(self._members.keys() | self._restart_at.keys())

    def folder_of(self, name: str) -> Path:
        """Return a worker's state folder."""
        return self._folder / name

    def log_of(self, name: str) -> Path:
        """Return a worker's log."""
        return self._folder / f"{name}.log"

    def pid(self, name: str) -> int:
        """Return a running worker's process id."""
        with self._lock:
            return self._members[name].worker.pid

    def is_running(self, name: str) -> bool:
        """Tell whether a worker's process is there."""
        with self._lock:
            return name in self._members

    def owned(self) -> dict[str, str]:
        """Return the last thing that each worker says of its readiness."""
        said = {}
        for name in self.names:
            lines = [line for line in self.log_of(name).read_text(errors="replace").splitlines() if "ready: " in line]
            said[name] = lines[-1].partition("streams.app: ")[2] if lines else "nothing"
        return said

    def addresses(self) -> list[str]:
        """Return where the ready workers serve their pages."""
        ready = set(self.names) - set(self.unready())
        return [f"http://127.0.0.1:{self._own[name].metrics_port}" for name in sorted(ready)]

    # -- what is done to workers

    def start(self, *names: str) -> None:
        """Start workers; the supervisor keeps them running from then on."""
        for name in names:
            with self._lock:
                self._begin(name)

    def kill(self, name: str, restart_s: float = _RESTART_S) -> None:
        """Kill a worker; it is started again after `restart_s` seconds."""
        with self._lock:
            if name in self._members:
                os.kill(self.pid(name), signal.SIGKILL)
                self._end(name, restart_s)

    def kill_all(self, restart_s: float = _RESTART_S) -> None:
        """Kill all workers at the same moment."""
        with self._lock:
            names = list(self._members)
            for name in names:
                os.kill(self.pid(name), signal.SIGKILL)
            for name in names:
                self._end(name, restart_s)

    def stop(self, name: str) -> None:
        """Stop a worker as an operator would; it stays away."""
        with self._lock:
            self._restart_at.pop(name, None)
            member = self._members.pop(name, None)
        if member is None:
            return
        os.kill(member.worker.pid, signal.SIGTERM)
        deadline = monotonic() + _STOP_S
        while member.worker.exit_code is None:
            if monotonic() > deadline:
                os.kill(member.worker.pid, signal.SIGUSR1)
                sleep(0.5)
                os.kill(member.worker.pid, signal.SIGKILL)
                raise StuckError(f"worker {name} does not stop within {_STOP_S:.0f} s of SIGTERM")
            sleep(0.02)
        self._record(name, member)

    def pause(self, name: str) -> None:
        """Stop a worker's clock: SIGSTOP."""
        os.kill(self.pid(name), signal.SIGSTOP)

    def wake(self, name: str) -> None:
        """Let a paused worker go on: SIGCONT."""
        with self._lock:
            if name in self._members:
                os.kill(self.pid(name), signal.SIGCONT)

    def limit_files(self, name: str, size: int | None) -> None:
        """Let no file of a worker grow beyond `size` bytes, also after a restart; None ends the limit."""
        with self._lock:
            if size is None:
                self._size_limits.pop(name, None)
            else:
                self._size_limits[name] = size
            if name in self._members:
                self._set_limit(name)

    def _set_limit(self, name: str) -> None:
        _, hard = resource.prlimit(self.pid(name), resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid(name), resource.RLIMIT_FSIZE, (self._size_limits.get(name, hard), hard))

    def arm(self, name: str, point: str, count: int, number: signal.Signals) -> None:
        """Set a worker's trap; see `faulty_worker`."""
        file = self._trap(name)
        fresh = file.with_suffix(".new")
        fresh.write_text(f"{point} {count} {int(number)}")
        fresh.rename(file)

    def is_armed(self, name: str) -> bool:
        """Tell whether a worker's trap has not sprung yet."""
        return self._trap(name).exists()

    def disarm(self, name: str) -> None:
        """Take a worker's trap away."""
        self._trap(name).unlink(missing_ok=True)

    def _trap(self, name: str) -> Path:
        return self._folder / f"{name}.trap"

    def lose_disk(self, name: str) -> None:
        """Remove the state folder of a worker that does not run."""
        shutil.rmtree(self.folder_of(name))

    # -- readiness

    def unready(self) -> list[str]:
        """Return the workers that should run and are not ready."""
        with self._lock:
            members = dict(self._members)
        return [name for name in self.names if name not in members or not members[name].worker.is_ready()]

    def wait_until_ready(self, seconds: float = STUCK_S) -> None:
        """Wait until every worker that should run is ready; raise `StuckError`, with the stacks in its log, if not."""
        deadline = monotonic() + seconds
        while waiting := self.unready():
            if monotonic() > deadline:
                self.dump_stacks(waiting)
                raise StuckError(f"not ready within {seconds:.0f} s: {', '.join(waiting)}; {json.dumps(self.owned())}")
            sleep(0.1)

    def dump_stacks(self, names: list[str]) -> None:
        """Have workers write the stacks of their threads to their logs."""
        with self._lock:
            for name in names:
                if name in self._members:
                    os.kill(self.pid(name), signal.SIGUSR1)
        sleep(0.5)

    # -- the supervisor

    def _supervise(self) -> None:
        while not self._closing.wait(0.05):
            with self._lock:
                for name, member in list(self._members.items()):
                    if member.worker.exit_code is not None:
                        self._end(name, _RESTART_S)
                for name, at in list(self._restart_at.items()):
                    if monotonic() >= at:
                        self._begin(name)

    def _begin(self, name: str) -> None:
        self._restart_at.pop(name, None)
        own = self._own.setdefault(
            name, replace(self._settings, state_dir=self.folder_of(name), metrics_port=_free_port())
        )
        log = self.log_of(name)
        command = [sys.executable, str(_ENTRY), str(self._trap(name))]
        log_start = log.stat().st_size if log.exists() else 0
        worker = WorkerProcess(own, log, command)
        worker.__enter__()
        self._members[name] = _Member(worker, monotonic(), log_start)
        if name in self._size_limits:
            self._set_limit(name)

    def _end(self, name: str, restart_s: float) -> None:
        member = self._members.pop(name)
        self._record(name, member)
        self._restart_at[name] = monotonic() + restart_s

    def _record(self, name: str, member: _Member) -> None:
        member.worker.__exit__(None, None, None)
        code = member.worker.exit_code
        assert code is not None
        with self.log_of(name).open(encoding="utf-8", errors="replace") as log:
            log.seek(member.log_start)
            reasons = _REASON.findall(log.read())
        self.endings.append(Ending(name, code, reasons[-1][:100] if reasons else ""))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
