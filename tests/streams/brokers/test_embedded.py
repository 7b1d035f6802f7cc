"""The embedded broker, used from other processes as the demo does."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition

from models.errors import BrokerError, TopicError
from streams.admin import check_topics, committed_offsets, create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.topics import topic_table


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


@pytest.fixture
def embedded_settings(broker: EmbeddedBroker) -> Settings:
    return Settings(bootstrap_servers=broker.bootstrap_servers)


async def produce(settings: Settings, topic: str, values: list[bytes], idempotent: bool) -> list[int]:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers, enable_idempotence=idempotent)
    async with producer:
        return [(await producer.send_and_wait(topic, value, partition=2)).offset for value in values]


async def consume_and_commit(settings: Settings, topic: str, count: int, metadata: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=settings.bootstrap_servers,
        group_id=settings.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    async with consumer:
        records = [await consumer.getone() for _ in range(count)]
        await consumer.commit({TopicPartition(topic, 2): OffsetAndMetadata(records[-1].offset + 1, metadata)})
    return [record.value for record in records]


def test_topics_come_into_being_with_four_partitions(broker: EmbeddedBroker, embedded_settings: Settings) -> None:
    with pytest.raises(TopicError, match=r"missing at .*: browse, add-to-cart, .*; run: sidecart topics create"):
        check_topics(embedded_settings)
    broker.create_topics(topic.name for topic in topic_table(embedded_settings).values())
    info = check_topics(embedded_settings)
    assert info.partitions == 4
    assert info.input_partitions == {"browse": 4, "add-to-cart": 4, "orders": 4}
    assert set(info.topic_ids.values()) == {""}


def test_create_topics_works_with_four_partitions_only(embedded_settings: Settings) -> None:
    with pytest.raises(TopicError, match="every topic 4 partitions, not 8: use --partitions 4"):
        create_topics(embedded_settings, 8)
    names = tuple(topic.name for topic in topic_table(embedded_settings).values())
    assert create_topics(embedded_settings, 4).created == names
    assert create_topics(embedded_settings, 4).existing == names
    assert check_topics(embedded_settings).partitions == 4


@pytest.mark.parametrize("idempotent", [False, True])
def test_records_and_commit_metadata_come_back(embedded_settings: Settings, idempotent: bool) -> None:
    create_topics(embedded_settings, 4)
    assert committed_offsets(embedded_settings) == {}

    async def produce_then_consume() -> tuple[list[int], list[bytes]]:
        offsets = await produce(embedded_settings, "browse", [b"a", b"b", b"c"], idempotent)
        return offsets, await consume_and_commit(embedded_settings, "browse", 3, "m" * 3000)

    offsets, values = asyncio.run(asyncio.wait_for(produce_then_consume(), 30))
    assert (offsets, values) == ([0, 1, 2], [b"a", b"b", b"c"])
    assert committed_offsets(embedded_settings) == {("browse", 2): (3, "m" * 3000)}


def test_another_process_reaches_it(embedded_settings: Settings) -> None:
    create_topics(embedded_settings, 4)
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "topics", "check"],
        env={"SIDECART_BOOTSTRAP_SERVERS": embedded_settings.bootstrap_servers},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "acceptance-metrics" in done.stdout


def test_a_stopped_broker_has_no_address() -> None:
    broker = EmbeddedBroker()
    for _ in range(2):
        broker.start()
        broker.stop()
        broker.stop()
    with pytest.raises(BrokerError, match="not running"):
        _ = broker.bootstrap_servers
