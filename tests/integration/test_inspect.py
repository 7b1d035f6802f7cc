"""`sidecart inspect item` on a real Kafka: rows and marks in the changelog, written as the store writes them."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result

from models.cooccurrence import TOTALS, Row
from models.decay import EPOCH_HALF_LIVES
from models.errors import BrokerError, TopicError, UnknownItemError
from models.partitioning import partition_of
from streams.admin import check_topics, create_topics
from streams.brokers.embedded import EmbeddedBroker
from streams.brokers.kafka import KafkaBroker
from streams.cli.inspect import command
from streams.inspection import ItemReader
from streams.settings import Settings
from streams.topics import changelog_name
from streams.wire import MARK_KEY, ROWS, Mark, encode_mark, row_key

pytestmark = pytest.mark.kafka

PARTITIONS = 4
#: Not that of the settings: the marks say in what units the weights are.
HALF_LIFE_MS = 14 * 24 * 3600 * 1000
EPOCH = 90
START_MS = EPOCH * EPOCH_HALF_LIVES * HALF_LIFE_MS
#: One half-life into the epoch: its values count half. 2025-03-27T00:00:00Z.
NEWEST_MS = START_MS + HALF_LIFE_MS

TEA = Row(
    EPOCH,
    3.0,
    10.0,
    8.0,
    {"pot": 0.75, "cup": 2.0, "sugar\n": 0.25},
    {"pot": 2.0, "cup": 6.0, "sugar\n": 1.0},
)
CUP = Row(EPOCH, 2.0, 12.0, 10.0, {"tea": 2.0}, {"tea": 6.0})
#: Of the epoch before, whose values have halved 17 times.
POT = Row(EPOCH - 1, events=2.0**18, sessions=2.0**18)
ALL = Row(EPOCH, sessions=20.0)

TABLE = """\
tea: 4.0 sessions, 5.0 events, mass 1.500, 3 neighbours, as of 2025-03-27 00:00:00 UTC
 neighbour  weight  pair count  support  confidence  lift
 cup         1.000         3.0  30.000%       75.0%  1.50
 pot         0.375         1.0  10.000%       25.0%  1.25
 'sugar\\n'   0.125         0.5   5.000%       12.5%     –
"""

#: Of each neighbour of tea.
EVIDENCE = {"source": "pair", "anchor": "tea", "via": None}

_writers = count()


async def write(settings: Settings, rows: Mapping[str, Row | None], newest: int, *, is_aborted: bool = False) -> None:
    """Write rows (None: dropped), each to its partition, and a mark to each of these, in one transaction."""
    topic = changelog_name(settings, "cooccurrence")
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.servers,
        enable_idempotence=True,
        transactional_id=f"{settings.topic_prefix}{next(_writers)}",
    )
    mark = encode_mark(Mark(0, {}, newest, {}, PARTITIONS, HALF_LIFE_MS))
    partitions: dict[int, list[tuple[bytes, bytes | None]]] = {}
    for item, row in rows.items():
        value = None if row is None else ROWS["cooccurrence"].encode(row)
        partitions.setdefault(partition_of(item, PARTITIONS), []).append((row_key(item), value))
    async with producer:
        await producer.begin_transaction()
        for partition, records in partitions.items():
            batch = producer.create_batch()
            for key, value in (*records, (MARK_KEY, mark)):
                assert batch.append(key=key, value=value, timestamp=None) is not None
            await (await producer.send_batch(batch, topic, partition=partition))
        await (producer.abort_transaction() if is_aborted else producer.commit_transaction())


async def learn(settings: Settings) -> None:
    """Write what tea, cup and pot are, in several flushes, and what must not count."""
    absurd = Row(EPOCH, 900.0, 900.0, 900.0, {"cup": 900.0}, {"cup": 900.0})
    await write(settings, {"tea": absurd, "cup": absurd, "gone": POT}, START_MS)
    await write(settings, {"tea": TEA, "cup": CUP, "gone": None}, NEWEST_MS)
    await write(settings, {TOTALS: ALL, "pot": POT}, START_MS)
    await write(settings, {"tea": absurd, "cup": absurd, TOTALS: absurd}, NEWEST_MS + HALF_LIFE_MS, is_aborted=True)


@pytest.fixture
def learnt(settings: Settings) -> Settings:
    """A deployment whose table `cooccurrence` holds tea, cup, pot and all sessions."""
    create_topics(settings, PARTITIONS)
    asyncio.run(asyncio.wait_for(learn(settings), 30))
    return settings


def inspect(settings: Settings, *arguments: str) -> Result:
    environment = {
        "SIDECART_TOPIC_PREFIX": settings.topic_prefix,
        "SIDECART_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
    }
    return CliRunner().invoke(command, ["item", *arguments], env=environment)


def test_the_table_shows_what_is_learnt_as_of_the_newest_event(learnt: Settings) -> None:
    result = inspect(learnt, "tea")
    assert result.exception is None
    assert [line.rstrip() for line in result.stdout.splitlines()] == TABLE.splitlines()
    assert result.stderr == ""


def test_json_is_one_object_with_the_evidence_of_suggestions(learnt: Settings) -> None:
    result = inspect(learnt, "tea", "--json")
    assert result.exception is None
    assert json.loads(result.stdout) == {
        "item_id": "tea",
        "time": NEWEST_MS,
        "sessions": 4.0,
        "events": 5.0,
        "mass": 1.5,
        "neighbour_count": 3,
        "neighbours": [
            {
                "item_id": "cup",
                "weight": 1.0,
                "evidence": EVIDENCE | {"pair_count": 3.0, "support": 0.3, "confidence": 0.75, "lift": 1.5},
            },
            {
                "item_id": "pot",
                "weight": 0.375,
                "evidence": EVIDENCE | {"pair_count": 1.0, "support": 0.1, "confidence": 0.25, "lift": 1.25},
            },
            {
                "item_id": "sugar\n",
                "weight": 0.125,
                "evidence": EVIDENCE | {"pair_count": 0.5, "support": 0.05, "confidence": 0.125, "lift": None},
            },
        ],
    }
    assert result.stderr == ""


def test_top_cuts_the_list_and_says_so(learnt: Settings) -> None:
    lines = inspect(learnt, "tea", "--top", "1").stdout.splitlines()
    assert len(lines) == 4
    assert lines[2].split() == ["cup", "1.000", "3.0", "30.000%", "75.0%", "1.50"]
    assert lines[3] == "and 2 more: --top 3"

    found = json.loads(inspect(learnt, "tea", "--top", "2", "--json").stdout)
    assert [neighbour["item_id"] for neighbour in found["neighbours"]] == ["cup", "pot"]
    assert found["neighbour_count"] == 3


def test_an_item_without_neighbours_has_its_line_alone(learnt: Settings) -> None:
    assert inspect(learnt, "pot").stdout == (
        "pot: 2.0 sessions, 2.0 events, mass 0.000, 0 neighbours, as of 2025-03-27 00:00:00 UTC\n"
    )


def test_a_transaction_that_is_still_open_is_not_waited_for(learnt: Settings) -> None:
    async def inspect_meanwhile() -> Result:
        producer = AIOKafkaProducer(bootstrap_servers=learnt.servers, transactional_id=f"{learnt.topic_prefix}open")
        async with producer, producer.transaction():
            row = ROWS["cooccurrence"].encode(Row(EPOCH, sessions=900.0))
            partition = partition_of("tea", PARTITIONS)
            topic = changelog_name(learnt, "cooccurrence")
            await producer.send_and_wait(topic, row, row_key("tea"), partition=partition)
            return await asyncio.to_thread(inspect, learnt, "tea")

    result = asyncio.run(asyncio.wait_for(inspect_meanwhile(), 30))
    assert result.stdout.startswith("tea: 4.0 sessions")


@pytest.mark.parametrize(
    ("item", "similar"),
    [
        ("TEA", "; ids like it: 'tea'"),
        ("po", "; ids like it: 'pot'"),
        ("gone", ""),
        ("sugar\n", ""),
        ("", "; ids like it: 'cup', 'pot', 'tea'"),
    ],
)
def test_an_unknown_item_is_said_with_ids_like_it(learnt: Settings, item: str, similar: str) -> None:
    result = inspect(learnt, item)
    assert isinstance(result.exception, UnknownItemError)
    assert str(result.exception) == (
        f"nothing is known about the item {item!r}: no event about it has been learnt yet{similar}"
    )
    assert result.output == ""


def test_a_user_s_mistake_ends_with_one_line_and_exit_code_2(learnt: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", "inspect", "item", "toa"],
        env={
            "SIDECART_TOPIC_PREFIX": learnt.topic_prefix,
            "SIDECART_BOOTSTRAP_SERVERS": learnt.bootstrap_servers,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "sidecart: nothing is known about the item 'toa': no event about it has been learnt yet; ids like it: 'tea'\n"
    )


def test_an_empty_table_is_said(settings: Settings) -> None:
    create_topics(settings, 1)
    result = inspect(settings, "tea")
    assert isinstance(result.exception, UnknownItemError)
    assert str(result.exception) == "nothing is known about the item 'tea': nothing has been learnt at all yet"


def test_missing_topics_are_said(settings: Settings) -> None:
    result = inspect(settings, "tea")
    assert isinstance(result.exception, TopicError)
    assert str(result.exception).endswith("run: sidecart topics create --partitions N")


def test_an_unreachable_broker_is_said(settings: Settings) -> None:
    result = inspect(settings, "tea", "--bootstrap-servers", "127.0.0.1:1")
    assert isinstance(result.exception, BrokerError)
    assert str(result.exception).startswith("no Kafka broker answers at 127.0.0.1:1: start one")


def test_a_broker_that_goes_away_is_said(kafka: KafkaBroker, tmp_path: Path) -> None:
    with KafkaBroker(tmp_path) as broker:
        settings = Settings(bootstrap_servers=broker.bootstrap_servers)
        create_topics(settings, 2)
        reader = ItemReader(settings, check_topics(settings), lambda records, finished: broker.kill())
        with pytest.raises(BrokerError, match=r"does not let sidecart-cooccurrence-changelog be read: Kafka"):
            asyncio.run(asyncio.wait_for(reader.read("tea", 20), 30))


@pytest.mark.parametrize("arguments", [[], ["tea", "--top", "0"], ["tea", "cup"]])
def test_wrong_arguments_are_refused(settings: Settings, arguments: list[str]) -> None:
    assert inspect(settings, *arguments).exit_code == 2


def test_the_embedded_broker_is_read_too(settings: Settings) -> None:
    async def write_rows(embedded: Settings) -> None:
        mark = encode_mark(Mark(0, {}, NEWEST_MS, {}, PARTITIONS, HALF_LIFE_MS))
        async with AIOKafkaProducer(bootstrap_servers=embedded.servers) as producer:
            for item, row in (("tea", TEA), ("cup", CUP), ("pot", POT), (TOTALS, ALL)):
                topic, partition = changelog_name(embedded, "cooccurrence"), partition_of(item, PARTITIONS)
                value = ROWS["cooccurrence"].encode(row)
                await producer.send_and_wait(topic, value, row_key(item), partition=partition)
                await producer.send_and_wait(topic, mark, MARK_KEY, partition=partition)

    with EmbeddedBroker() as broker:
        embedded = Settings(bootstrap_servers=broker.bootstrap_servers, topic_prefix="shop-")
        create_topics(embedded, PARTITIONS)
        asyncio.run(asyncio.wait_for(write_rows(embedded), 30))
        result = inspect(embedded, "tea")
    assert [line.rstrip() for line in result.stdout.splitlines()] == TABLE.splitlines()
