"""The systems that are compared, and how each is started as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench_topics import BenchTopics

from models.errors import ConfigurationError
from streams.child_process import ChildProcess
from streams.topics import INPUTS
from streams.worker_process import WorkerProcess

__all__ = ["SYSTEMS", "Process", "System", "bench_environment", "choose_systems", "started", "warm_up"]

_BENCH: Final = Path(__file__).parent
_ROOT: Final = _BENCH.parents[1]
_PEERS: Final = _BENCH / "peers"
#: The environment of those that Sidecart does not need; `make bench` makes it.
_PEERS_PYTHON: Final = _ROOT / ".venv-bench" / "bin" / "python"

#: What peers import: the packages of this checkout, and the modules of this folder.
_PYTHONPATH: Final = os.pathsep.join([str(_ROOT), str(_BENCH)])

#: Seconds for a peer to close its clients.
_STOP_S: Final = 5.0
_WARM_UP_S: Final = 300


@dataclass(frozen=True)
class System:
    """One of the compared systems.

    Attributes
    ----------
    about : str
        What it is, in a few words.
    program : str or None
        File in `peers`; None for the worker itself.
    is_whole : bool
        Whether it has all stages of Sidecart, and its tables.
    is_durable : bool
        Whether a kill loses nothing.
    has_own_python : bool
        Whether it is installed in the environment of the peers.
    counts_decay : bool
        Whether its item counts decay, or are plain.
    events, quick_events : int
        Events of a run, to suit its speed.
    """

    name: str
    about: str
    program: str | None
    is_whole: bool = False
    is_durable: bool = False
    has_own_python: bool = False
    counts_decay: bool = True
    events: int = 400_000
    quick_events: int = 150_000


SYSTEMS: Final[Mapping[str, System]] = {
    system.name: system
    for system in (
        System("sidecart", "one worker, the whole path", None, is_whole=True, is_durable=True),
        System(
            "aiokafka",
            "control: the same stages without Faust",
            "aiokafka_control.py",
            is_whole=True,
            is_durable=True,
        ),
        System("confluent", "one stage, plain loop, same kernel", "confluent_loop.py"),
        System("bytewax", "one stage, same kernel", "bytewax_app.py", has_own_python=True),
        System(
            "quix",
            "one stage, same kernel",
            "quix_app.py",
            has_own_python=True,
            events=120_000,
            quick_events=40_000,
        ),
        System(
            "faust-naive",
            "one stage, top 4 of simple counts",
            "faust_app.py",
            counts_decay=False,
            events=12_000,
            quick_events=5_000,
        ),
    )
}


class Process(Protocol):
    """A running system."""

    @property
    def pid(self) -> int: ...

    @property
    def exit_code(self) -> int | None: ...


def choose_systems(names: Sequence[str]) -> list[System]:
    """Return the systems of these names.

    Raises
    ------
    ConfigurationError
        If the environment of one of them is not there.
    """
    chosen = [SYSTEMS[name] for name in names]
    missing = [system.name for system in chosen if system.has_own_python]
    if missing and not _PEERS_PYTHON.exists():
        raise ConfigurationError(
            f"{' and '.join(missing)} need {_PEERS_PYTHON}, which is not there: run make bench, or name other --systems"
        )
    return chosen


@contextmanager
def started(system: System, topics: BenchTopics, events: int, folder: Path, timeout_s: float) -> Iterator[Process]:
    """Start a system on these topics, its output in ``log`` of its folder; it is ended when the block is left."""
    log = folder / "log"
    if system.program is None:
        with WorkerProcess(topics.settings, log) as worker:
            yield worker
    elif system.is_whole:
        # It is a worker but for its loop, and takes its settings as one.
        with WorkerProcess(topics.settings, log, (sys.executable, str(_PEERS / system.program))) as worker:
            yield worker
    else:
        command = [
            *(str(_python(system)), str(_PEERS / system.program)),
            *("--servers", topics.servers),
            *("--inputs", *(topics.inputs[kind] for kind in INPUTS)),
            *("--output", topics.name("suggestions")),
            *("--group", topics.settings.group_id),
            *("--events", str(events)),
            *("--folder", str(folder)),
            *("--timeout", str(round(timeout_s))),
        ]
        process = ChildProcess(command, log, bench_environment())
        try:
            yield process
        finally:
            process.stop(_STOP_S)


def warm_up(systems: Sequence[System]) -> None:
    """Compile the kernels once for each Python that runs them, so that no run does it under its first events."""
    program = (
        "from single_stage import SingleStage; from models.kernel.warmup import warm_up as compile_kernels;"
        "from models.parameters import DEFAULTS; compile_kernels(DEFAULTS);"
        "SingleStage(DEFAULTS).serve([], [], [])"
    )
    for python in dict.fromkeys(_python(system) for system in systems):
        try:
            subprocess.run(
                [str(python), "-c", program],
                env=bench_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_WARM_UP_S,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise ConfigurationError(f"the kernels cannot be used with {python}: {error.stderr.strip()}") from error


def _python(system: System) -> Path:
    return _PEERS_PYTHON if system.has_own_python else Path(sys.executable)


def bench_environment() -> dict[str, str]:
    """Return our environment for a program that imports this checkout and the modules of this folder."""
    return os.environ | {"PYTHONPATH": _PYTHONPATH}
