"""Topics on a real Kafka: made, made again, checked, and refused when their shape is wrong."""

import asyncio
import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, OffsetAndMetadata, TopicPartition
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic

from models.errors import BrokerError, TopicError
from streams.admin import CreatedTopics, check_topics, committed_offsets, create_topics
from streams.brokers.kafka import KafkaBroker
from streams.settings import Settings
from streams.topics import topic_table

pytestmark = pytest.mark.kafka


def make(settings: Settings, row: str, partitions: int, config: dict[str, str] | None = None) -> None:
    topic = topic_table(settings)[row]
    make_topic(settings, topic.name, partitions, topic.config if config is None else config)


def make_topic(settings: Settings, name: str, partitions: int, config: dict[str, str]) -> None:
    client = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    for future in client.create_topics([NewTopic(name, num_partitions=partitions, config=config)]).values():
        future.result()


def topic_ids(settings: Settings) -> dict[str, str]:
    """Ask librdkafka for the topic ids: logs are told by them, so they must not change with the client."""
    table = topic_table(settings)
    client = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    answers = client.describe_topics(TopicCollection([topic.name for topic in table.values()]))
    found = {}
    for row, topic in table.items():
        topic_id = answers[topic.name].result().topic_id
        halves = (topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits())
        found[row] = "".join(f"{half % 2**64:016x}" for half in halves)
    return found


def test_create_makes_every_topic_of_the_table(settings: Settings) -> None:
    names = tuple(topic.name for topic in topic_table(settings).values())
    done = create_topics(settings, 3)
    assert (done.created, done.existing) == (names, ())

    info = check_topics(settings)
    assert info.partitions == 3
    assert info.input_partitions == {"browse": 3, "add-to-cart": 3, "orders": 3}
    assert info.topic_ids.keys() == topic_table(settings).keys()
    assert info.topic_ids == topic_ids(settings)
    assert len(set(info.topic_ids.values())) == len(names)


def test_create_again_changes_nothing(settings: Settings) -> None:
    create_topics(settings, 2)
    before = check_topics(settings)
    done = create_topics(settings, 2)
    assert done.created == ()
    assert done.existing == tuple(topic.name for topic in topic_table(settings).values())
    assert check_topics(settings) == before


def test_creating_at_the_same_time_succeeds_for_all(settings: Settings) -> None:
    names = [topic.name for topic in topic_table(settings).values()]
    together = threading.Barrier(4)

    def create(_: int) -> CreatedTopics:
        together.wait(10)
        return create_topics(settings, 2)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(create, range(4)))
    assert sorted(name for each in done for name in each.created) == sorted(names)
    for each in done:
        assert sorted(each.created + each.existing) == sorted(names)
    assert check_topics(settings).partitions == 2


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
        f"missing at {settings.bootstrap_servers}: {table['pairs'].name}, {table['kpi-changelog'].name}; "
        f"run: sidecart topics create --partitions N"
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
    create_topics(settings, 20)
    assert committed_offsets(settings) == {}

    topic = topic_table(settings)["browse"].name
    # From nothing to 3,000 bytes, as base64 is and as nobody should write it.
    texts = ["", "é" * 1500, "𝄞" * 750, "\n\t\x00\"'"] + ["MTIz/+=="[: n % 9] + "A" * n for n in range(187, 3000, 187)]
    commits = {TopicPartition(topic, partition): OffsetAndMetadata(1, text) for partition, text in enumerate(texts)}

    async def commit() -> dict[tuple[str, int], tuple[int, str]]:
        async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
            for partition in range(20):
                await producer.send_and_wait(topic, b"{}", partition=partition)
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=settings.bootstrap_servers,
            group_id=settings.group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        async with consumer:
            await consumer.getone()
            await consumer.commit(commits)
            return await asyncio.to_thread(committed_offsets, settings)

    found = asyncio.run(asyncio.wait_for(commit(), 30))
    assert len(texts) == 20
    assert found == {(topic, partition): (1, text) for partition, text in enumerate(texts)}
    assert committed_offsets(settings) == found


def test_offsets_of_other_topics_are_left_out(settings: Settings) -> None:
    create_topics(settings, 1)
    other = f"{settings.topic_prefix}other"
    make_topic(settings, other, 1, {})

    async def commit() -> None:
        consumer = AIOKafkaConsumer(
            other, bootstrap_servers=settings.bootstrap_servers, group_id=settings.group_id, enable_auto_commit=False
        )
        async with consumer:
            await consumer.getmany(timeout_ms=100)
            await consumer.commit({TopicPartition(other, 0): OffsetAndMetadata(0, "x")})

    asyncio.run(asyncio.wait_for(commit(), 30))
    assert committed_offsets(settings) == {}


def test_a_broker_that_gives_a_wrong_address_ends_in_one_sentence(
    kafka: KafkaBroker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with KafkaBroker(tmp_path, extra={"advertised.listeners": "PLAINTEXT://127.0.0.1:1"}) as broker:
        settings = Settings(bootstrap_servers=broker.bootstrap_servers)
        with pytest.raises(
            BrokerError, match=r"^(no Kafka broker answers at|.* to be reached at 127\.0\.0\.1:1, )[^\n]*$"
        ):
            check_topics(settings)
    assert not [record for record in caplog.records if record.name.startswith("kafka")]
