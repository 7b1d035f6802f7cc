"""`sidecart tail` shows what is published, and answers a user's mistakes with one sentence."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from confluent_kafka import Producer

from models.errors import BrokerError, TopicError
from streams.admin import create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.cli.tail import command
from streams.settings import Settings

LETTER = {"reason": "missing-field", "detail": "item_id is missing", "topic": "browse", "partition": 2, "offset": 104}
LINE = "missing-field  item_id is missing  (browse 2:104)\n"


@pytest.fixture
def servers() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.bootstrap_servers


@pytest.fixture
def published(servers: str) -> str:
    create_topics(Settings(bootstrap_servers=servers), 4)
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    for _ in range(2):
        producer.produce("dead-letters", value=json.dumps(LETTER).encode())
    producer.flush()
    return servers


def test_unreachable_broker_is_one_sentence() -> None:
    result = CliRunner().invoke(command, ["--bootstrap-servers", "127.0.0.1:1"])
    assert isinstance(result.exception, BrokerError)
    assert str(result.exception).startswith("no Kafka broker answers at 127.0.0.1:1: start one")


def test_missing_topics_are_one_sentence_that_names_them(servers: str) -> None:
    result = CliRunner().invoke(command, ["--bootstrap-servers", servers, "--topic", "acceptance"])
    assert isinstance(result.exception, TopicError)
    assert str(result.exception) == f"missing at {servers}: acceptance; run: sidecart topics create --partitions N"


@pytest.mark.parametrize("flags", [["--topic", "browse"], ["--limit", "0"]])
def test_wrong_flags_are_refused(flags: list[str]) -> None:
    assert CliRunner().invoke(command, flags).exit_code == 2


def test_shows_from_the_beginning_up_to_the_limit(published: str) -> None:
    flags = ["--bootstrap-servers", published, "--topic", "dead-letters", "--from-beginning", "--limit", "2"]
    result = CliRunner().invoke(command, flags, catch_exceptions=False)
    assert (result.exit_code, result.output) == (0, LINE * 2)


def test_json_is_the_message_as_it_is(published: str) -> None:
    flags = ["--bootstrap-servers", published, "--topic", "dead-letters", "--from-beginning", "--limit", "1", "--json"]
    result = CliRunner().invoke(command, flags, catch_exceptions=False)
    assert json.loads(result.output) == LETTER
