"""`sidecart audit` says what it found: a table or one JSON object, a verdict, an exit code."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from models.audit.findings import Findings
from models.errors import BrokerError, ConfigurationError, TopicError
from streams.admin import create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.cli.audit import command, verdict
from streams.settings import Settings


@pytest.fixture
def servers() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.bootstrap_servers


def plant(servers: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for _ in range(count):
        producer.produce("pairs", b"no packed record", partition=2)
    assert producer.flush(10) == 0


def test_an_empty_deployment_is_right(servers: str) -> None:
    create_topics(Settings(bootstrap_servers=servers), 4)
    result = CliRunner().invoke(command, ["--bootstrap-servers", servers], catch_exceptions=False)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["comparison", "compared", "differences", "not", "countable", "pending"]
    assert lines[1].split() == ["inputs", "and", "session-events", "0", "events", "0", "0", "0"]
    assert lines[-1] == "No difference among 0 events and 0 increments."


def test_the_first_twenty_differences_are_listed_and_the_exit_code_is_one(servers: str) -> None:
    create_topics(Settings(bootstrap_servers=servers), 4)
    plant(servers, 23)
    result = CliRunner().invoke(command, ["--bootstrap-servers", servers], catch_exceptions=False)
    assert result.exit_code == 1
    listed = [line for line in result.output.splitlines() if line.startswith("pairs/2@")]
    assert len(listed) == 20
    assert listed[3].startswith("pairs/2@3: a packed record starts with b'n'")
    assert result.output.splitlines()[-2:] == [
        "and 3 more differences",
        "23 differences among 0 events and 0 increments.",
    ]


def test_json_has_the_numbers_and_what_was_found(servers: str) -> None:
    create_topics(Settings(bootstrap_servers=servers), 4)
    plant(servers, 1)
    arguments = ["--bootstrap-servers", servers, "--json", "--worker", "http://127.0.0.1:1"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 1
    report = json.loads(result.output)
    numbers = {"events", "increments", "rows", "suggestions", "outcomes", "differences", "uncountable"}
    assert {name: report[name] for name in numbers} == dict.fromkeys(numbers, 0) | {"differences": 1}
    assert report.keys() - numbers == {
        "replicas", "tallies", "windows", "sessions", "pending", "repeated", "found", "not_counted", "comparisons",
    }  # fmt: skip
    assert [finding["place"] for finding in report["found"]] == ["pairs/2@0"]
    assert report["found"][0]["difference"].startswith("a packed record starts with")
    assert report["not_counted"][0].startswith("the replica of http://127.0.0.1:1 is not compared")


def test_users_mistakes_are_one_sentence(servers: str) -> None:
    for arguments, error in (
        (["--bootstrap-servers", "127.0.0.1:1"], BrokerError),
        (["--bootstrap-servers", servers], TopicError),
    ):
        assert isinstance(CliRunner().invoke(command, arguments).exception, error)
    create_topics(Settings(bootstrap_servers=servers), 4)
    result = CliRunner().invoke(command, ["--bootstrap-servers", servers, "--worker", "worker"])
    assert isinstance(result.exception, ConfigurationError)


def test_the_verdict_names_what_waits_and_what_cannot_be_counted() -> None:
    findings = Findings()
    findings.compare("events", 1_200)
    findings.compare("increments", 3_400)
    findings.wait("events", 5)
    findings.leave_out("rows", "x", "y", 7)
    assert verdict(findings.report()) == (
        "No difference among 1,200 events and 3,400 increments; 5 events are not processed yet; 7 items could not be"
        " compared."
    )
    findings.differ("events", "x", "y")
    assert verdict(findings.report()).startswith("1 difference among 1,200 events")
