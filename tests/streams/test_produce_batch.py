"""What compiled code writes into a batch, aiokafka's own reader and a broker read back."""

import asyncio

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from models.kernel.records import compile_records, put_records
from models.parts import Parts
from streams.brokers.embedded import EmbeddedBroker
from streams.clients import Clients
from streams.produce_batch import Message, Messages, ProduceBatch, headers_bytes
from streams.settings import Settings

_texts = st.binary(max_size=200) | st.integers(0, 70_000).map(bytes)
_messages = st.builds(
    Message,
    st.none() | _texts,
    st.none() | _texts,
    st.lists(st.tuples(st.text(max_size=70), st.binary(max_size=70)), max_size=3).map(tuple),
)


def read(batch: ProduceBatch) -> list[tuple[int, Message]]:
    """Return what a batch holds, its checksum being right; each with its offset."""
    read = MemoryRecords(bytes(batch._build())).next_batch()
    assert read.validate_crc()
    return [(record.offset, Message(record.key, record.value, tuple(record.headers))) for record in read]


@given(st.lists(_messages, min_size=1, max_size=100), st.booleans(), st.data())
def test_what_is_put_in_is_read_back(messages: list[Message], is_compressed: bool, data: st.DataObject) -> None:
    batch = ProduceBatch(10**8, is_compressed=is_compressed, is_transactional=False)
    packed = Messages.of(messages)
    done = 0
    while done < len(messages):
        size = data.draw(st.integers(1, len(messages) - done))
        part = Messages(*(Parts(parts.buffer, parts.bounds[: done + size]) for parts in packed))
        assert batch.extend(part, done) == size
        done += size
    assert batch.record_count() == len(messages)
    assert read(batch) == list(enumerate(messages))


@given(st.lists(_messages, min_size=1, max_size=60), st.integers(1, 100_000))
def test_a_batch_is_full_where_the_next_message_would_be_too_much(messages: list[Message], bytes_max: int) -> None:
    packed, done = Messages.of(messages), 0
    while done < len(messages):
        batch = ProduceBatch(bytes_max, is_compressed=False, is_transactional=False)
        count = batch.extend(packed, done)
        assert read(batch) == list(enumerate(messages[done : done + count]))
        assert count == 1 or len(batch._build()) <= bytes_max
        done += count
        if done < len(messages):
            size = 36 + sum(map(len, (messages[done].key or b"", messages[done].value or b"")))
            size += len(headers_bytes(messages[done].headers))
            assert len(batch._build()) + size > bytes_max, "there was room for one more"


def test_more_can_be_put_in_as_long_as_there_is_room() -> None:
    batch = ProduceBatch(400, is_compressed=False, is_transactional=False)
    assert batch.extend(Messages.of([])) == 0
    assert batch.extend(Messages.of([Message(b"k", b"x" * 100)])) == 1
    assert batch.extend(Messages.of([Message(None, b"y" * 100), Message(None, b"z" * 200)])) == 1
    assert batch.extend(Messages.of([Message(None, b"z" * 200)])) == 0
    assert [message.value for _, message in read(batch)] == [b"x" * 100, b"y" * 100]


def test_the_head_is_the_one_that_aiokafka_writes() -> None:
    theirs = BatchBuilder(1024, 0, is_transactional=True)
    theirs.append(timestamp=1_767_607_200_000, key=b"k", value=None, headers=[("name", b"value")])
    theirs.append(timestamp=1_767_607_200_000, key=None, value=b"v" * 300)
    ours = ProduceBatch(1024, is_compressed=False, is_transactional=True)
    ours._time_ms = 1_767_607_200_000
    ours.extend(Messages.of([Message(b"k", None, (("name", b"value"),)), Message(None, b"v" * 300)]))
    for batch in (theirs, ours):
        batch._set_producer_state(7, 2, 99)
    assert bytes(ours._build()) == bytes(theirs._build())
    assert ours._build() is ours._build(), "a batch that is sent again is the same"


@pytest.mark.parametrize("is_compressed", [False, True])
def test_only_what_gets_smaller_is_compressed(is_compressed: bool) -> None:
    batch = ProduceBatch(10_000, is_compressed=is_compressed, is_transactional=False)
    batch.extend(Messages.of([Message(None, b"tea" * 1_000)]))
    assert (len(batch._build()) < 200) == is_compressed
    small = ProduceBatch(10_000, is_compressed=is_compressed, is_transactional=False)
    small.extend(Messages.of([Message(None, b"tea")]))
    assert read(small) == [(0, Message(None, b"tea"))] and len(small._build()) < 80


def test_a_broker_takes_what_a_producer_sends() -> None:
    messages = [Message(b"k%d" % at, b"value-%d" % at, (("log-offset", b"%d" % at),)) for at in range(300)]

    async def test(servers: str) -> list[Message]:
        async with Clients(Settings(bootstrap_servers=servers), has_transactions=False).producer() as producer:
            batch = producer.create_batch()
            assert batch.extend(Messages.of(messages)) == 300
            await (await producer.send_batch(batch, "browse", partition=1))
        consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
        consumer.assign([TopicPartition("browse", 1)])
        async with consumer:
            records = [await consumer.getone() for _ in messages]
        return [Message(record.key, record.value, tuple(record.headers)) for record in records]

    with EmbeddedBroker() as broker:
        broker.create_topics(["browse"])
        assert asyncio.run(asyncio.wait_for(test(broker.bootstrap_servers), 20)) == messages


def test_all_messages_are_of_the_types_that_the_worker_has_compiled_for() -> None:
    compile_records()
    before = list(put_records.signatures)
    writable = Parts(np.zeros(9, np.uint8), np.zeros((4, 7), np.int64)[:2, 3:5])
    for parts in (writable, Parts.of([b"tea", None])):
        batch = ProduceBatch(1_000, is_compressed=False, is_transactional=False)
        assert batch.extend(Messages(parts, parts, parts), 1) == 1
    assert put_records.signatures == before
