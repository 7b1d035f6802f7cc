"""What the local Kafka needs before it can start; the broker's life itself is in tests/integration."""

from pathlib import Path

import pytest

from models.errors import BrokerError
from streams.brokers.kafka import KafkaBroker


def put_java(home: Path, version: str) -> None:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    java.chmod(0o755)


def test_a_missing_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BrokerError, match=r"Java is missing .*: install Java 17 or newer"):
        KafkaBroker.install()


@pytest.mark.parametrize(("version", "found"), [("16.0.2", "16"), ("1.8.0_402", "8"), ("new", "of an unknown version")])
def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, found: str) -> None:
    put_java(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BrokerError, match=f"needs Java 17 or newer, but .* is {found}:"):
        KafkaBroker.install()


def test_a_broker_that_was_not_started_has_neither_port_nor_process(tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    assert not broker.is_running
    broker.stop()
    with pytest.raises(BrokerError, match="no port yet"):
        _ = broker.bootstrap_servers
    with pytest.raises(BrokerError, match="not running"):
        _ = broker.pid
