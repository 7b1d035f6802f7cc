"""A changelog is taken as of its last mark; a broker's logs are read to the ends that were fetched first."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from models.errors import BrokerError
from streams.admin import check_topics, create_topics
from streams.audit_logs import KafkaLogs, table_state
from streams.brokers.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.wire import MARK_KEY, Mark, encode_mark, row_key


def mark(position: int) -> bytes:
    return encode_mark(Mark(position, {}, 0, {}, 2, 1))


RECORDS = [
    (row_key("a"), b"1"),
    (row_key("b"), b"2"),
    (MARK_KEY, mark(3)),
    (row_key("a"), None),
    (row_key("c"), b"3"),
    (MARK_KEY, mark(5)),
    (row_key("b"), b"4"),
    (row_key("c"), None),
]


def test_without_transactions_rows_behind_the_last_mark_are_of_a_flush_that_is_not_complete() -> None:
    state = table_state(RECORDS, has_transactions=False)
    assert state.rows == {"b": b"2", "c": b"3"}
    assert state.mark is not None and state.mark.position == 5
    assert table_state(RECORDS[:2], has_transactions=False) == ({}, None)


def test_with_transactions_all_that_is_read_counts() -> None:
    state = table_state(RECORDS, has_transactions=True)
    assert state.rows == {"b": b"4"}
    assert state.mark is not None and state.mark.position == 5


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        create_topics(Settings(bootstrap_servers=broker.bootstrap_servers), 4)
        yield broker


def produce(settings: Settings, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    for value in values:
        producer.produce(topic, value, key=b"k", partition=1, headers=[("h", value)])
    assert producer.flush(10) == 0


def test_a_log_is_read_to_the_end_that_was_fetched_and_progress_is_shown(broker: EmbeddedBroker) -> None:
    settings = Settings(bootstrap_servers=broker.bootstrap_servers)
    produce(settings, "pairs", b"a", b"b", b"c")
    shown: list[tuple[int, int]] = []
    with KafkaLogs(settings, check_topics(settings), lambda done, total: shown.append((done, total))) as logs:
        produce(settings, "pairs", b"d")
        assert (logs.ends["pairs", 1], logs.ends["pairs", 0]) == (3, 0)
        records = list(logs.records("pairs", 1, logs.ends["pairs", 1]))
        assert [(record.offset, record.key, record.value) for record in records] == [
            (0, b"k", b"a"),
            (1, b"k", b"b"),
            (2, b"k", b"c"),
        ]
        assert dict(records[1].headers) == {"h": b"b"}
        assert logs.bounds("pairs", 1) == (0, 4)
        assert len(list(logs.records("pairs", 1, 4))) == 4
        assert list(logs.records("pairs", 0, 0)) == []
        assert logs.table("sessions", 1) == ({}, None)
        assert logs.table("cooccurrence", 1) == ({}, None)
        assert logs.committed == {}
    assert shown[-1] == (3, 3)


def test_a_broker_that_is_gone_is_an_error(broker: EmbeddedBroker) -> None:
    settings = Settings(bootstrap_servers=broker.bootstrap_servers)
    with KafkaLogs(settings, check_topics(settings), lambda done, total: None) as logs:
        broker.stop()
        with pytest.raises(BrokerError, match="does not let pairs be read"):
            list(logs.records("pairs", 1, 1))
