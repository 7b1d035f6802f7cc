"""The life of the local Kafka: its data outlives a kill, and it does not outlive its parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.errors import BrokerError
from streams.admin import check_topics, create_topics
from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings

pytestmark = pytest.mark.kafka


def wait_until_gone(pid: int, seconds: float) -> None:
    """Wait for the end of a process that is not our child."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there after {seconds} s")


def test_a_killed_broker_comes_back_with_its_topics(kafka: KafkaBroker, tmp_path: Path) -> None:
    with KafkaBroker(tmp_path) as broker:
        settings = Settings(bootstrap_servers=broker.bootstrap_servers)
        create_topics(settings, 2)
        before = check_topics(settings)
        broker.kill()
        assert not broker.is_running
        broker.start()
        assert broker.bootstrap_servers == settings.bootstrap_servers
        assert check_topics(settings) == before
    assert not broker.is_running


def test_a_broker_that_cannot_start_shows_its_log(kafka: KafkaBroker, tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path / "x", extra={"log.retention.ms": "soon"})
    with pytest.raises(BrokerError, match=r"log\.retention\.ms"):
        broker.start()
    assert not broker.is_running


def test_a_busy_port_is_refused(kafka: KafkaBroker, tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} on 127.0.0.1 cannot be used"):
            KafkaBroker(tmp_path, port=port).start()


def test_the_command_stays_until_sigterm_and_leaves_nothing(kafka: KafkaBroker, tmp_path: Path) -> None:
    with command(tmp_path) as process:
        address = read_address(process)
        settings = Settings(bootstrap_servers=address)
        create_topics(settings, 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with pytest.raises(BrokerError, match="no Kafka broker answers"):
        check_topics(settings)


def test_the_broker_dies_with_its_parent(kafka: KafkaBroker, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from streams.brokers.kafka import KafkaBroker\n"
        "broker = KafkaBroker(Path(sys.argv[1])); broker.start(); print(broker.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until_gone(pid, 10)


def command(data_dir: Path) -> "subprocess.Popen[str]":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli.main", "broker", "kafka", f"--port={port}", f"--data-dir={data_dir}"],
        stdout=subprocess.PIPE,
        text=True,
    )


def read_address(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    label, _, address = process.stdout.readline().strip().partition(": ")
    assert label == "bootstrap servers"
    return address
