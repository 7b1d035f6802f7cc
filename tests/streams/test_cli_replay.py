"""`sidecart replay` as a user runs it: another process, against the embedded broker."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from streams.brokers.embedded import EmbeddedBroker

ROWS = ["1,20,300,pv,1511544070", "1,21,300,cart,1511544071", "1,21,300,buy,1511544072", "1,22,300,buy,1511544072"]


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    path.write_bytes(gzip.compress("\n".join(ROWS).encode()))
    return path


def arguments(*more: object) -> list[str]:
    return [sys.executable, "-m", "streams.cli.main", "replay", *map(str, more)]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SIDECART_")}


def replay(*more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments(*more), capture_output=True, text=True, timeout=60, env=environment(), check=False)


def prepared(broker: EmbeddedBroker) -> str:
    broker.create_topics(["browse", "add-to-cart", "orders"])
    return broker.bootstrap_servers


def records(address: str, topics: list[str], count: int) -> list[tuple[str, str, dict[str, object]]]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "auto.offset.reset": "earliest"})
    consumer.subscribe(topics)
    try:
        found = consumer.consume(count, timeout=30)
        return [(each.topic(), each.key().decode(), json.loads(each.value())) for each in found]
    finally:
        consumer.close()


def assert_refused(result: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("sidecart: ")
    assert result.stderr.count("\n") == 1
    assert sentence in result.stderr


def test_events_arrive_under_their_session_and_are_reported(broker: EmbeddedBroker, recording: Path) -> None:
    address = prepared(broker)
    result = replay(recording, "--format", "taobao", "--bootstrap-servers", address)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "sent 1 events to browse",
        "sent 1 events to add-to-cart",
        "sent 1 events to orders",
        "bad lines: 0",
    ]
    found = records(address, ["browse", "add-to-cart", "orders"], 3)
    assert sorted((topic, key, event["event_id"]) for topic, key, event in found) == [
        ("add-to-cart", "1-1", "2"),
        ("browse", "1-1", "1"),
        ("orders", "1-1", "3"),
    ]


def test_json_is_one_object_and_the_limit_holds(broker: EmbeddedBroker, recording: Path) -> None:
    result = replay(
        recording,
        "--format",
        "taobao",
        "--bootstrap-servers",
        prepared(broker),
        "--json",
        "--limit",
        2,
        "--speed",
        1000,
    )
    report = json.loads(result.stdout)
    assert report.pop("seconds") > 0
    assert report == {"sent": {"browse": 1, "add-to-cart": 1, "orders": 0}, "bad_lines": 0}


def test_bad_lines_are_reported_with_number_and_reason(broker: EmbeddedBroker, tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_text("\n".join([ROWS[0], "", *["1,2"] * 5, ROWS[1]]))
    result = replay(path, "--format", "taobao", "--bootstrap-servers", prepared(broker))
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "bad lines: 6"
    assert result.stderr.splitlines() == [
        "line 2: empty-line",
        *(f"line {number}: wrong-columns" for number in range(3, 7)),
        "all bad lines: 5 wrong-columns, 1 empty-line",
    ]


def test_ctrl_c_stops_and_reports(broker: EmbeddedBroker, tmp_path: Path) -> None:
    address = prepared(broker)
    path = tmp_path / "recording"
    path.write_text("\n".join([ROWS[0], "1,20,300,pv,1511644070"]))
    process = subprocess.Popen(
        arguments(path, "--format", "taobao", "--bootstrap-servers", address, "--speed", 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert len(records(address, ["browse"], 1)) == 1
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, stderr) == (130, "")
    assert stdout.splitlines()[0] == "sent 1 events to browse"


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    result = replay(tmp_path / "none", "--format", "taobao", "--bootstrap-servers", "127.0.0.1:1")
    assert_refused(result, "none cannot be read: No such file or directory")


def test_a_file_of_another_format_is_one_sentence(broker: EmbeddedBroker, recording: Path) -> None:
    result = replay(recording, "--format", "rees46", "--bootstrap-servers", prepared(broker))
    assert_refused(result, "the file does not look like rees46")


def test_a_damaged_file_says_how_much_was_sent(broker: EmbeddedBroker, tmp_path: Path) -> None:
    lines = [
        json.dumps(
            {"topic": "browse", "event": {"event_id": str(n), "session_id": "s", "item_id": "i", "time": 10**12}}
        )
        for n in range(100)
    ]
    path = tmp_path / "recording"
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode())[:-8])
    result = replay(path, "--format", "sidecart", "--bootstrap-servers", prepared(broker))
    assert_refused(result, "; 100 events before that were sent")


def test_missing_topics_are_named(broker: EmbeddedBroker, recording: Path) -> None:
    broker.create_topics(["browse"])
    result = replay(recording, "--format", "taobao", "--bootstrap-servers", broker.bootstrap_servers)
    assert_refused(result, "add-to-cart, orders; run: sidecart topics create")


def test_a_broker_that_does_not_answer_is_one_sentence(recording: Path) -> None:
    result = replay(recording, "--format", "taobao", "--bootstrap-servers", "127.0.0.1:1")
    assert_refused(result, "no Kafka broker answers at 127.0.0.1:1")


def test_an_unknown_format_and_a_speed_of_nothing_are_usage_errors(recording: Path) -> None:
    assert "is not one of 'taobao'" in replay(recording, "--format", "csv").stderr
    assert "0.0 is not in the range" in replay(recording, "--format", "taobao", "--speed", 0).stderr
