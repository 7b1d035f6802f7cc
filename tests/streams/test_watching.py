"""A watcher reads every partition, from the beginning or from what is newest when it is made."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from streams.admin import create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.settings import Settings
from streams.watching import Watched, Watcher

PARTITIONS = 4


@pytest.fixture
def settings() -> Iterator[Settings]:
    with EmbeddedBroker() as broker:
        settings = Settings(bootstrap_servers=broker.bootstrap_servers, topic_prefix="shop-")
        create_topics(settings, PARTITIONS)
        yield settings


def publish(settings: Settings, topic: str, *values: bytes) -> None:
    """Publish each value to every partition."""
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    for value in values:
        for partition in range(PARTITIONS):
            producer.produce(topic, value=value, partition=partition)
    assert producer.flush(10) == 0


def read(watcher: Watcher, count: int) -> list[Watched]:
    messages: list[Watched] = []
    while len(messages) < count:
        fresh = watcher.poll(10.0)
        assert fresh, "nothing came within ten seconds"
        messages += fresh
    return messages


def test_from_the_beginning_reads_all_partitions_of_all_topics(settings: Settings) -> None:
    publish(settings, "shop-suggestions", b"1", b"2")
    publish(settings, "shop-acceptance", b"3")
    with Watcher(settings, ("suggestions", "acceptance"), is_from_beginning=True) as watcher:
        messages = read(watcher, 3 * PARTITIONS)
    assert sorted((row, value) for row, value, _ in messages) == sorted(
        [("suggestions", b"1"), ("suggestions", b"2"), ("acceptance", b"3")] * PARTITIONS
    )


def test_from_the_newest_reads_just_what_comes_after_it_was_made(settings: Settings) -> None:
    publish(settings, "shop-suggestions", b"before")
    with Watcher(settings, ("suggestions",)) as watcher:
        publish(settings, "shop-suggestions", b"after")
        messages = read(watcher, PARTITIONS)
        assert watcher.poll(0) == []
    assert [value for _, value, _ in messages] == [b"after"] * PARTITIONS


def test_messages_say_when_they_were_received(settings: Settings) -> None:
    publish(settings, "shop-suggestions", b"1")
    with Watcher(settings, ("suggestions",), is_from_beginning=True) as watcher:
        received = [message.received_s for message in read(watcher, PARTITIONS)]
    assert received == sorted(received)
