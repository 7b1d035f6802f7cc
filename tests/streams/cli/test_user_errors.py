"""A user's mistake ends with one line on stderr and exit code 2, never with a traceback."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest


def sidecart(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streams.cli.main", *arguments],
        env={"PATH": "/usr/bin:/bin"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("arguments", [["create", "--partitions", "2"], ["check"]])
def test_an_unreachable_broker_is_said_within_seconds(arguments: list[str]) -> None:
    before = time.monotonic()
    done = sidecart("topics", *arguments, "--bootstrap-servers", "127.0.0.1:1")
    assert time.monotonic() - before < 10
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "sidecart: no Kafka broker answers at 127.0.0.1:1: start one (sidecart broker kafka) or set "
        "--bootstrap-servers\n"
    )


def test_an_unknown_variable_is_said() -> None:
    done = sidecart("topics", "check", SIDECART_BOOTSTRAP="127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "sidecart: unknown environment variable SIDECART_BOOTSTRAP; is it spelt right?\n"


def test_a_busy_port_is_said(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = sidecart("broker", "kafka", f"--port={port}", f"--data-dir={tmp_path}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        f"sidecart: port {port} on 127.0.0.1 cannot be used (Address already in use): stop what listens there, or "
        f"choose another port"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_embedded_broker_says_its_limits_and_ends_cleanly(number: signal.Signals) -> None:
    arguments = [sys.executable, "-m", "streams.cli.main", "broker", "embedded"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("bootstrap servers: ")
        done = sidecart("topics", "create", "--partitions=8", SIDECART_BOOTSTRAP_SERVERS=address)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0
    assert stderr == (
        "This broker is for a first look: four partitions a topic, about 5 MB a partition, nothing survives it.\n"
    )
