"""One Apache Kafka broker on this machine, from its Maven artefacts: Java 17 and Maven, no Docker."""

import base64
import fcntl
import os
import re
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from models.errors import BrokerError
from streams.child_process import ChildProcess
from streams.metadata import CLIENT_CONFIG

__all__ = ["KafkaBroker"]

_DEPLOY = Path(__file__).parents[2] / "deploy" / "kafka"
_POM = _DEPLOY / "pom.xml"
_TARGET = _DEPLOY / "target"
_INSTALLED = _TARGET / "installed-pom.xml"
_HOST = "127.0.0.1"
_JAVA_MIN = 17

#: Seconds for Maven to fetch 43 MB, also over a slow line.
_INSTALL_S = 900.0

#: Seconds for `java -version` and for formatting the storage.
_TOOL_S = 60.0

#: Seconds from start until the broker must answer; it takes about 4.
_START_S = 60.0

#: Seconds for a clean shutdown, which takes about 1.
_STOP_S = 15.0

_POLL_S = 0.05
_ANSWER_S = 1.0
_ERROR_LINES = 15


class KafkaBroker:
    """A broker that lives no longer than this process.

    Parameters
    ----------
    data_dir : Path
        Folder of the broker's log segments, its configuration and ``broker.log``. Started again with the same folder,
        the broker has its topics and records back.
    port : int, optional
        Port of the broker on 127.0.0.1. Without it a free one is taken, and kept over restarts of this object.
    extra : mapping of str to str
        Broker properties that override ``deploy/kafka/server.properties``.
    heap : str
        Largest Java heap, as ``-Xmx`` takes it.
    """

    def __init__(
        self, data_dir: Path, *, port: int | None = None, extra: Mapping[str, str] | None = None, heap: str = "1g"
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._port = port
        self._extra = dict(extra or {})
        self._heap = heap
        self._process: ChildProcess | None = None
        self._log = self._data_dir / "broker.log"
        self._log_start = 0

    @staticmethod
    def is_installed() -> bool:
        """Whether the jars of this checkout's ``pom.xml`` are there."""
        # The copy is written last: an interrupted download and another pom.xml are both recognised by it.
        return _INSTALLED.exists() and _INSTALLED.read_bytes() == _POM.read_bytes()

    @classmethod
    def install(cls) -> None:
        """Fetch the broker's jars to ``deploy/kafka/target/lib`` unless they are there; safe in several processes.

        Raises
        ------
        BrokerError
            If this is not a source checkout, Java 17 or Maven is missing, or Maven fails.
        """
        if not _POM.exists():
            raise BrokerError(
                f"{_DEPLOY} is missing: Kafka can be started from a source checkout only; elsewhere use docker compose "
                f"or `sidecart broker embedded`"
            )
        _java()
        _TARGET.mkdir(exist_ok=True)
        with (_TARGET / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if cls.is_installed():
                return
            if shutil.which("mvn") is None:
                raise BrokerError("Maven is missing: install it (the command mvn), it fetches Kafka's jars")
            shutil.rmtree(_TARGET / "lib", ignore_errors=True)
            _run(["mvn", "-q", "-B", "-f", str(_POM), "package"], "fetching Kafka with Maven", _INSTALL_S)
            shutil.copyfile(_POM, _INSTALLED)

    def start(self) -> None:
        """Install if needed, format a new data folder, and start; return when the broker answers requests.

        Raises
        ------
        BrokerError
            If the port is in use, or the broker exits or does not answer within 60 s; the text then ends with the last
            lines of its log.
        """
        if self.is_running:
            raise BrokerError(f"the broker at {self.bootstrap_servers} is running already: call stop() first")
        if self._port is not None:
            _refuse_busy(self._port)
        self.install()
        if self._port is None:
            self._port, controller_port = _free_ports(2)
        else:
            [controller_port] = _free_ports(1)
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BrokerError(f"the data folder {self._data_dir} cannot be made: {error.strerror}") from error
        properties = self._write_properties(controller_port)
        if not (self._data_dir / "log" / "meta.properties").exists():
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            format_storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(properties)]
            _run(self._java_command(*format_storage), "formatting Kafka's storage", _TOOL_S)
        self._log.touch()
        self._log_start = self._log.stat().st_size
        self._process = ChildProcess(self._java_command("kafka.Kafka", str(properties)), self._log)
        try:
            self._wait_until_answering(self._process)
        except BaseException:
            self.kill()
            raise

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, as host:port.

        Raises
        ------
        BrokerError
            If no port has been chosen yet.
        """
        if self._port is None:
            raise BrokerError("the broker has no port yet: call start() first")
        return f"{_HOST}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether the broker's process is alive."""
        return self._process is not None and self._process.exit_code is None

    @property
    def pid(self) -> int:
        """The process id of the broker's Java machine.

        Raises
        ------
        BrokerError
            If it was never started, or was stopped.
        """
        if self._process is None:
            raise BrokerError("the broker is not running: call start() first")
        return self._process.pid

    def log_tail(self) -> str:
        """Return the last lines that the broker has logged since `start`, each indented, on lines of their own."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return _indented(log.read().decode("utf-8", errors="replace").splitlines())

    def stop(self) -> None:
        """End the broker cleanly, after 15 s by force; a second call does nothing."""
        if self._process is not None:
            self._process.stop(_STOP_S)
            self._process = None

    def kill(self) -> None:
        """End the broker at once, as a crash would; a second call does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _write_properties(self, controller_port: int) -> Path:
        ours = {
            "listeners": f"PLAINTEXT://{_HOST}:{self._port},CONTROLLER://{_HOST}:{controller_port}",
            "controller.quorum.voters": f"1@{_HOST}:{controller_port}",
            "log.dirs": str(self._data_dir / "log"),
        }
        lines = [f"{key}={value}" for key, value in (ours | self._extra).items()]
        file = self._data_dir / "server.properties"
        template = (_DEPLOY / "server.properties").read_text(encoding="utf-8")
        # Java reads property files as Latin-1 with \u escapes.
        file.write_text("\n".join([template, *lines, ""]), encoding="latin-1", errors="backslashreplace")
        return file

    def _java_command(self, *main: str) -> list[str]:
        return [
            _java(),
            f"-Xmx{self._heap}",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={_DEPLOY / 'log4j2.properties'}",
            "-cp",
            f"{_TARGET / 'lib'}/*",
            *main,
        ]

    def _wait_until_answering(self, process: ChildProcess) -> None:
        deadline = time.monotonic() + _START_S
        while not _accepts(self.bootstrap_servers) or not _answers(self.bootstrap_servers):
            if process.exit_code is not None:
                raise BrokerError(f"Kafka ended while starting, its log {self._log} ends with:{self.log_tail()}")
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"Kafka does not answer at {self.bootstrap_servers} after {_START_S:g} s, its log {self._log} "
                    f"ends with:{self.log_tail()}"
                )
            time.sleep(_POLL_S)


def _java() -> str:
    """Return the path of a Java that is new enough; ``JAVA_HOME`` goes before the path."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else "java"
    if shutil.which(java) is None:
        raise BrokerError(f"Java is missing ({java}): install Java {_JAVA_MIN} or newer, or set JAVA_HOME")
    version = _run([java, "-version"], "asking Java for its version", _TOOL_S)
    found = re.search(r'version "(?:1\.)?(\d+)', version)
    if found is None or int(found[1]) < _JAVA_MIN:
        raise BrokerError(
            f"Kafka needs Java {_JAVA_MIN} or newer, but {java} is {found[1] if found else 'of an unknown version'}: "
            f"install one, or set JAVA_HOME"
        )
    return java


def _run(command: Sequence[str], what: str, deadline_s: float) -> str:
    """Run a tool and return all that it printed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"{what} took more than {deadline_s:g} s: is the network reachable?") from error
    output = done.stdout.decode("utf-8", errors="replace")
    if done.returncode != 0:
        raise BrokerError(f"{what} failed (exit code {done.returncode}):{_indented(output.splitlines())}")
    return output


def _indented(lines: Sequence[str]) -> str:
    return "".join(f"\n  {line}" for line in lines[-_ERROR_LINES:])


def _free_ports(count: int) -> list[int]:
    # All held open until the last is chosen, so that they differ.
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((_HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _refuse_busy(port: int) -> None:
    with socket.socket() as probe:
        # As Java does: connections of an earlier broker that are still closing are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise BrokerError(
                f"port {port} on {_HOST} cannot be used ({error.strerror}): stop what listens there, or choose "
                f"another port"
            ) from error


def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError:
        return False
    return True


def _answers(address: str) -> bool:
    """Whether the broker has joined its cluster: only then does its metadata name it."""
    try:
        cluster = AdminClient({**CLIENT_CONFIG, "bootstrap.servers": address}).list_topics(timeout=_ANSWER_S)
    except KafkaException:
        return False
    return bool(cluster.brokers)
