"""A log partition is read from one offset to its end, and a log that was cut or made again is noticed."""

import pytest
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import ConsumerRecord
from memory_log import MemoryConsumer, MemoryLog, run

from models.errors import AccidentError
from streams.changelog import LogReader


class Readers:
    """A reader of a log in memory, with every consumer that it made."""

    def __init__(self, kind: type[MemoryConsumer] = MemoryConsumer) -> None:
        self.log = MemoryLog()
        self.log.append("log", 0, [(None, str(offset).encode()) for offset in range(5)])
        self.made: list[MemoryConsumer] = []
        self.read: list[int] = []
        self._kind = kind
        self.reader = LogReader(self._make)  # type: ignore[arg-type]

    def _make(self) -> MemoryConsumer:
        self.made.append(self._kind(self.log))
        return self.made[-1]

    def apply(self, records: "list[ConsumerRecord]") -> None:
        self.read += [record.offset for record in records]


@pytest.mark.parametrize(("start", "read"), [(None, [0, 1, 2, 3, 4]), (0, [0, 1, 2, 3, 4]), (3, [3, 4]), (5, [])])
def test_everything_from_an_offset_on_is_read_in_order(start: int | None, read: list[int]) -> None:
    async def test() -> None:
        readers = Readers()
        assert await readers.reader.read("log", 0, start, readers.apply) == 5  # type: ignore[arg-type]
        assert readers.read == read

    run(test)


def test_an_empty_partition_ends_at_its_beginning() -> None:
    async def test() -> None:
        readers = Readers()
        assert await readers.reader.read("log", 1, None, readers.apply) == 0  # type: ignore[arg-type]
        assert readers.read == []

    run(test)


def test_what_retention_has_deleted_is_passed_over() -> None:
    async def test() -> None:
        readers = Readers()
        readers.log.cut("log", 0, 3)
        assert await readers.reader.bounds("log", 0) == (3, 5)
        assert await readers.reader.read("log", 0, 1, readers.apply) == 5  # type: ignore[arg-type]
        assert readers.read == [3, 4]

    run(test)


def test_the_end_may_lie_behind_the_last_record() -> None:
    async def test() -> None:
        readers = Readers()
        readers.log.skip("log", 0, 2)  # a control record, and one that compaction took
        assert await readers.reader.read("log", 0, None, readers.apply) == 7  # type: ignore[arg-type]
        assert await readers.reader.read("log", 0, 7, readers.apply) == 7  # type: ignore[arg-type]
        assert readers.read == [0, 1, 2, 3, 4]

    run(test)


def test_reading_goes_on_to_an_end_that_is_fetched_anew() -> None:
    async def test() -> None:
        readers = Readers()

        def apply(records: list[ConsumerRecord]) -> None:
            readers.apply(records)
            if readers.log.end("log", 0) < 8:
                readers.log.append("log", 0, [(None, b"moved here by compaction")])

        assert await readers.reader.read("log", 0, None, apply) == 8  # type: ignore[arg-type]
        assert readers.read == list(range(8))

    run(test)


def test_progress_counts_offsets_also_of_records_that_are_gone() -> None:
    async def test() -> None:
        readers = Readers()
        readers.log.skip("log", 0, 2)
        told: list[tuple[int, int]] = []
        await readers.reader.read("log", 0, 1, readers.apply, lambda *passed: told.append(passed))  # type: ignore[arg-type]
        assert told == [(0, 6), (3, 6), (6, 6)]

    run(test)


def test_a_log_that_ends_before_what_was_read_is_an_accident() -> None:
    async def test() -> None:
        readers = Readers()
        with pytest.raises(AccidentError, match=r"^log/0 ends at offset 5, but was read up to 6 before: the topic was"):
            await readers.reader.read("log", 0, 6, readers.apply)  # type: ignore[arg-type]

    run(test)


def test_every_consumer_is_stopped_whatever_happens() -> None:
    async def test() -> None:
        readers = Readers()
        with pytest.raises(AccidentError):
            await readers.reader.read("log", 0, 6, readers.apply)  # type: ignore[arg-type]
        with pytest.raises(ZeroDivisionError):
            await readers.reader.read("log", 0, 0, lambda records: 1 // 0)  # type: ignore[arg-type,return-value]
        await readers.reader.bounds("log", 0)
        assert len(readers.made) == 3
        assert not any(consumer.is_started for consumer in readers.made)

    run(test)


def test_a_consumer_that_does_not_start_is_stopped_too() -> None:
    class Unreachable(MemoryConsumer):
        is_stopped = False

        async def start(self) -> None:
            raise KafkaConnectionError

        async def stop(self) -> None:
            self.is_stopped = True

    async def test() -> None:
        readers = Readers(Unreachable)
        with pytest.raises(KafkaConnectionError):
            await readers.reader.bounds("log", 0)
        [consumer] = readers.made
        assert isinstance(consumer, Unreachable) and consumer.is_stopped

    run(test)
