"""Messages stand in order within a topic partition, and nothing is sent after a failure."""

import asyncio
from typing import Any

from aiokafka.errors import KafkaError, KafkaTimeoutError
from memory_log import MemoryLog, MemoryProducer, run, turns

from models.parts import Parts
from streams.outbox import Outbox, Published
from streams.produce_batch import Message, Messages, headers_bytes

TOPIC = "out"


class Setup:
    """An outbox whose requests wait for the test to acknowledge them."""

    def __init__(self, *held: str, batch_bytes: int = 512 * 1024) -> None:
        self.log = MemoryLog()
        self.producer = MemoryProducer(self.log, batch_bytes=batch_bytes)
        self.producer.held = set(held)
        self.failures: list[BaseException] = []
        self.outbox = Outbox(self.producer, self.failures.append)  # type: ignore[arg-type]

    def publish(
        self, *values: bytes, topic: str = TOPIC, partition: int = 0, after: "asyncio.Future[Any] | None" = None
    ) -> "asyncio.Future[Published]":
        return self.outbox.publish(topic, partition, [Message(None, value) for value in values], after)

    def values(self, topic: str = TOPIC) -> list[bytes | None]:
        return [value for _, value in self.log.messages(topic)]

    def in_flight(self, topic: str = TOPIC, partition: int = 0) -> list[list[bytes | None]]:
        return [
            [value for _, value in sent.messages]
            for sent in self.producer.sent(topic, partition)
            if not sent.future.done()
        ]


def test_messages_of_a_lane_keep_their_order_keys_and_headers() -> None:
    async def test() -> None:
        setup = Setup()
        headers = (("log-offset", b"7"),)
        messages = [Message(b"k", b"1"), Message(None, b"2", headers), Message(b"k", b"3")]
        await asyncio.gather(*(setup.outbox.publish(TOPIC, 0, [message]) for message in messages))
        records = setup.log.records(TOPIC, 0)
        assert [Message(record.key, record.value, tuple(record.headers)) for record in records] == messages

    run(test)


def test_sequences_are_sent_as_messages_are() -> None:
    async def test() -> None:
        setup = Setup(batch_bytes=400)
        keys, values = [b"a", None, b"c"], [b"1" * 150, b"2" * 150, b"3" * 150]
        shared = [("log-offset", b"7")]
        headers = Parts.of([headers_bytes(shared)] * 3)
        many = Messages(Parts.of(keys), Parts.of(values), headers)
        assert await setup.outbox.publish_many(TOPIC, 0, many) == Published(0, 3)
        assert await setup.outbox.publish_many(TOPIC, 0, Messages.of([Message(None, b"4")])) == Published(3, 4)
        records = setup.log.records(TOPIC, 0)
        assert [(record.key, record.value) for record in records] == [*zip(keys, values, strict=True), (None, b"4")]
        assert [list(record.headers) for record in records] == [shared, shared, shared, []]

    run(test)


def test_what_is_ready_at_the_same_time_is_handed_over_at_the_same_time() -> None:
    async def test() -> None:
        setup = Setup(TOPIC)
        for partition in range(3):
            setup.publish(b"1", partition=partition)
            setup.publish(b"2", partition=partition)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # Before the producer's own task has had its turn, which would send the first alone.
        assert [setup.in_flight(partition=partition) for partition in range(3)] == [[[b"1", b"2"]]] * 3

    run(test)


def test_a_message_that_finds_no_place_in_a_batch_begins_with_the_next() -> None:
    async def test() -> None:
        setup = Setup(TOPIC, batch_bytes=400)
        first, second = setup.publish(b"a" * 300), setup.publish(b"b" * 300)
        await turns()
        setup.producer.sent(TOPIC)[0].acknowledge()
        setup.log.append(TOPIC, 0, [(None, b"foreign")])
        await turns()
        setup.producer.release(TOPIC)
        assert (await first, await second) == (Published(0, 1), Published(2, 3))

    run(test)


def test_one_request_is_in_flight_a_lane_and_the_rest_goes_with_the_next() -> None:
    async def test() -> None:
        setup = Setup(TOPIC)
        setup.publish(b"1")
        await turns()
        setup.publish(b"2")
        setup.publish(b"3")
        await turns()
        assert setup.in_flight() == [[b"1"]]
        setup.producer.sent(TOPIC)[0].acknowledge()
        await turns()
        assert setup.in_flight() == [[b"2", b"3"]]

    run(test)


def test_lanes_do_not_wait_for_each_other() -> None:
    async def test() -> None:
        setup = Setup("slow")
        slow = setup.publish(b"1", topic="slow")
        await setup.publish(b"2", partition=0)
        await setup.publish(b"3", partition=1)
        assert not slow.done()

    run(test)


def test_nothing_is_sent_before_what_it_is_to_come_after() -> None:
    async def test() -> None:
        setup = Setup()
        before = asyncio.get_running_loop().create_future()
        held_back = setup.publish(b"late", after=before)
        await turns()
        assert setup.producer.requests == [] and not held_back.done()
        before.set_result(None)
        await held_back
        assert setup.values() == [b"late"]

    run(test)


def test_a_later_message_does_not_overtake_one_that_is_held_back() -> None:
    async def test() -> None:
        setup = Setup(TOPIC)
        before = asyncio.get_running_loop().create_future()
        setup.publish(b"1")
        setup.publish(b"2", after=before)
        setup.publish(b"3")
        await turns()
        assert setup.in_flight() == [[b"1"]]
        setup.producer.release(TOPIC)
        await turns()
        assert setup.values() == [b"1"]
        before.set_result(None)
        await turns()
        assert setup.values() == [b"1", b"2", b"3"]

    run(test)


def test_an_acknowledgement_tells_the_offsets() -> None:
    async def test() -> None:
        setup = Setup()
        setup.log.append(TOPIC, 0, [(None, b"old")] * 5)
        first, second = setup.publish(b"1", b"2"), setup.publish(b"3")
        assert await first == Published(5, 7)
        assert await second == Published(7, 8)

    run(test)


def test_the_offsets_span_the_batches_that_messages_are_split_over() -> None:
    async def test() -> None:
        setup = Setup(batch_bytes=400)
        values = [bytes([letter]) * 150 for letter in b"abcdefg"]
        jobs = [setup.publish(*values[:3]), setup.publish(*values[3:5]), setup.publish(*values[5:])]
        assert await asyncio.gather(*jobs) == [Published(0, 3), Published(3, 5), Published(5, 7)]
        assert len(setup.producer.requests) == 4  # two messages of 150 bytes a batch
        assert setup.values() == values

    run(test)


def test_a_message_larger_than_a_batch_goes_alone() -> None:
    async def test() -> None:
        setup = Setup(batch_bytes=400)
        assert await setup.publish(b"a", b"b" * 5_000, b"c") == Published(0, 3)
        assert setup.values() == [b"a", b"b" * 5_000, b"c"]

    run(test)


def test_the_offsets_show_that_somebody_else_wrote_in_between() -> None:
    async def test() -> None:
        setup = Setup(TOPIC, batch_bytes=400)
        done = setup.publish(b"a" * 300, b"b" * 300)
        await turns()
        setup.producer.sent(TOPIC)[0].acknowledge()
        await turns()
        setup.log.append(TOPIC, 0, [(None, b"foreign")])
        setup.producer.sent(TOPIC)[1].acknowledge()
        assert await done == Published(0, 3)  # three offsets for two messages

    run(test)


# -- waiting


def test_settled_waits_for_what_was_queued_before_it_and_no_longer() -> None:
    async def test() -> None:
        setup = Setup(TOPIC, "other")
        setup.publish(b"1")
        before = asyncio.get_running_loop().create_future()
        setup.publish(b"2", topic="held-back", after=before)
        settled = asyncio.ensure_future(setup.outbox.settled())
        await turns()
        setup.publish(b"3", topic="other")
        setup.producer.release(TOPIC)
        await turns()
        assert not settled.done()  # what is held back was queued before it too
        before.set_result(None)
        await settled
        assert setup.in_flight("other") == [[b"3"]]

    run(test)


def test_settled_returns_at_once_when_nothing_is_open() -> None:
    async def test() -> None:
        setup = Setup()
        await setup.outbox.settled()
        await setup.publish(b"1")
        await setup.outbox.settled()

    run(test)


def test_there_is_no_room_above_four_megabytes_until_half_of_it_is_acknowledged() -> None:
    async def test() -> None:
        setup = Setup(TOPIC)
        half = b"x" * (2 * 1024 * 1024)
        setup.publish(half)
        setup.publish(half)
        await asyncio.wait_for(setup.outbox.room(), 1)  # exactly four megabytes still fit
        setup.publish(b"y")
        room = asyncio.ensure_future(setup.outbox.room())
        await turns()
        assert not room.done()
        setup.producer.sent(TOPIC)[0].acknowledge()
        await turns()
        assert not room.done()  # two megabytes and one byte are open
        setup.producer.release(TOPIC)
        await room

    run(test)


# -- failure


def test_after_a_failure_nothing_is_sent_in_any_lane() -> None:
    async def test() -> None:
        setup = Setup(TOPIC)
        lost = setup.publish(b"lost")
        await turns()
        queued = setup.publish(b"queued behind")
        error = KafkaTimeoutError()
        setup.producer.sent(TOPIC)[0].fail(error)
        await turns()
        setup.publish(b"later", topic="other")
        await turns()
        assert setup.failures == [error]
        assert len(setup.producer.requests) == 1
        assert not lost.done() and not queued.done()

    run(test)


def test_a_broker_that_refuses_the_hand_over_is_a_failure_too() -> None:
    async def test() -> None:
        setup = Setup()

        async def refuse(*args: object, **kwargs: object) -> object:
            raise KafkaError("the producer is closed")

        setup.producer.send_batch = refuse  # type: ignore[method-assign]
        setup.publish(b"1")
        await turns()
        assert [str(error) for error in setup.failures] == ["KafkaError: the producer is closed"]

    run(test)


def test_settled_never_returns_after_a_failure() -> None:
    async def test() -> None:
        setup = Setup(TOPIC)
        setup.publish(b"1")
        await turns()
        setup.producer.sent(TOPIC)[0].fail(KafkaTimeoutError())
        settled = asyncio.ensure_future(setup.outbox.settled())
        await turns()
        assert setup.failures and not settled.done()
        settled.cancel()

    run(test)


def test_what_is_held_back_is_not_sent_after_a_failure() -> None:
    async def test() -> None:
        setup = Setup(TOPIC)
        before = asyncio.get_running_loop().create_future()
        setup.publish(b"held back", topic="other", after=before)
        setup.publish(b"lost")
        await turns()
        setup.producer.sent(TOPIC)[0].fail(KafkaTimeoutError())
        await turns()
        before.set_result(None)
        await turns()
        assert setup.values("other") == []

    run(test)


def test_a_second_failure_is_not_reported() -> None:
    async def test() -> None:
        setup = Setup(TOPIC, "other")
        setup.publish(b"1")
        setup.publish(b"2", topic="other")
        await turns()
        for request in setup.producer.requests:
            request.fail(KafkaTimeoutError())
        await turns()
        assert len(setup.failures) == 1

    run(test)


def test_whatever_goes_wrong_before_a_message_is_a_failure() -> None:
    async def test() -> None:
        setup = Setup()
        before = asyncio.get_running_loop().create_future()
        setup.publish(b"held back", after=before)
        await turns()
        before.set_exception(ValueError("a suggestion that was read back is no JSON"))
        await turns()
        assert len(setup.failures) == 1

    run(test)
