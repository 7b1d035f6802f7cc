"""Topics on a real Kafka: made, made again, checked, and refused when their shape is wrong."""

import asyncio
import dataclasses

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from models.errors import TopicError
from streams.admin import check_topics, committed_offsets, create_topics
from streams.settings import Settings
from streams.topics import topic_table

pytestmark = pytest.mark.kafka


def make(settings: Settings, row: str, partitions: int, config: dict[str, str] | None = None) -> None:
    topic = topic_table(settings)[row]
    client = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    request = NewTopic(topic.name, num_partitions=partitions, config=topic.config if config is None else config)
    for future in client.create_topics([request]).values():
        future.result()


def test_create_makes_every_topic_of_the_table(settings: Settings) -> None:
    names = tuple(topic.name for topic in topic_table(settings).values())
    done = create_topics(settings, 3)
    assert (done.created, done.existing) == (names, ())

    info = check_topics(settings)
    assert info.partitions == 3
    assert info.input_partitions == {"browse": 3, "add-to-cart": 3, "orders": 3}
    assert info.topic_ids.keys() == topic_table(settings).keys()
    assert all(len(bytes.fromhex(topic_id)) == 16 for topic_id in info.topic_ids.values())
    assert len(set(info.topic_ids.values())) == len(names)


def test_create_again_changes_nothing(settings: Settings) -> None:
    create_topics(settings, 2)
    before = check_topics(settings)
    done = create_topics(settings, 2)
    assert done.created == ()
    assert done.existing == tuple(topic.name for topic in topic_table(settings).values())
    assert check_topics(settings) == before


def test_an_input_topic_of_the_shop_keeps_its_partitions(settings: Settings) -> None:
    make(settings, "orders", 5)
    assert create_topics(settings, 2).existing == (topic_table(settings)["orders"].name,)
    assert check_topics(settings).input_partitions == {"browse": 2, "add-to-cart": 2, "orders": 5}


def test_missing_topics_are_named_in_one_sentence(settings: Settings) -> None:
    table = topic_table(settings)
    for row in table:
        if row not in ("pairs", "kpi-changelog"):
            make(settings, row, 1)
    with pytest.raises(TopicError) as caught:
        check_topics(settings)
    assert str(caught.value) == (
        f"topics are missing at {settings.bootstrap_servers}: {table['pairs'].name}, {table['kpi-changelog'].name}; "
        f"run: sidecart topics create"
    )


def test_create_refuses_another_partition_count_and_makes_nothing(settings: Settings) -> None:
    make(settings, "pairs", 3)
    with pytest.raises(TopicError, match=r"--partitions 2: test-\w+-pairs has 3; use the count that exists"):
        create_topics(settings, 2)
    with pytest.raises(TopicError, match=r"missing at .*suggestions"):
        check_topics(settings)


def test_check_refuses_unequal_partition_counts(settings: Settings) -> None:
    for row in topic_table(settings):
        make(settings, row, 3 if row == "pairs" else 2)
    with pytest.raises(TopicError, match=r"need the same number of partitions.*-pairs 3, .*-tallies 2"):
        check_topics(settings)


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_changelog_that_is_not_compacted_only_is_refused(settings: Settings, policy: str) -> None:
    for row in topic_table(settings):
        make(settings, row, 2, {"cleanup.policy": policy} if row == "sessions-changelog" else None)
    for refused in (lambda: check_topics(settings), lambda: create_topics(settings, 2)):
        with pytest.raises(TopicError, match=rf"-sessions-changelog has cleanup\.policy={policy},"):
            refused()


def test_the_broker_s_refusal_names_the_topic(settings: Settings) -> None:
    with pytest.raises(TopicError, match=r"refused to make the topic test-.*-browse: .*[Rr]eplication factor"):
        create_topics(dataclasses.replace(settings, replication_factor=3), 1)


def test_committed_offsets_come_with_their_metadata(settings: Settings) -> None:
    create_topics(settings, 2)
    assert committed_offsets(settings) == {}

    topic = topic_table(settings)["browse"].name
    text = "é" * 1500

    async def consume_and_commit() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
        async with producer:
            await producer.send_and_wait(topic, b"{}", partition=1)
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=settings.bootstrap_servers,
            group_id=settings.group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        async with consumer:
            record = await consumer.getone()
            assert record.partition == 1
            await consumer.commit({TopicPartition(topic, 1): OffsetAndMetadata(record.offset + 1, text)})

    asyncio.run(asyncio.wait_for(consume_and_commit(), 30))
    assert committed_offsets(settings) == {(topic, 1): (1, text)}
