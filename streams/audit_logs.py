"""The logs and tables of a deployment as a recount reads them: live or stopped, at one moment that fits together.

Everything is bounded before anything is compared, downstream first: first the commits and the tables `sessions` and
`kpi` with their marks, then the ends of the logs against the data's path, the inputs' last. So whatever stands in a log
before its end follows from what stands before the ends of the logs that it was made from.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from aiokafka.errors import KafkaError as AioKafkaError
from aiokafka.structs import ConsumerRecord
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from models.errors import BrokerError
from streams.admin import TopicsInfo, committed_offsets
from streams.changelog import LogReader
from streams.clients import Clients
from streams.metadata import CLIENT_CONFIG
from streams.settings import Settings
from streams.topics import INPUTS, Role, changelog_name, topic_table
from streams.wire import MARK_KEY, Mark, decode_mark, row_id

__all__ = ["AuditLogs", "KafkaLogs", "LogRecord", "TableState", "table_state"]

#: Against the data's path: what stands in one of these logs before its end follows from the logs after it.
_DOWNSTREAM_FIRST: Final = (
    "acceptance-metrics", "tallies", "pairs", "acceptance", "suggestions", "dead-letters", "session-events", *INPUTS
)  # fmt: skip

#: Seconds without a record after which the broker counts as gone.
_SILENCE_S: Final = 15.0
_ANSWER_S: Final = 10.0
_POLL_S: Final = 0.02
#: Short, because the question for a log's bounds waits behind the fetch under way.
_FETCH_WAIT_MS: Final = 10
_POLL_RECORDS: Final = 1000
#: Partitions of a changelog read at the same time, each through a connection of its own.
_AT_ONCE: Final = 8


class LogRecord(NamedTuple):
    """One record; `timestamp` in ms."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class TableState(NamedTuple):
    """The rows of a table partition, encoded, and the mark that was written with them; None for none yet."""

    rows: dict[str, bytes]
    mark: Mark | None


class AuditLogs(Protocol):
    """What a recount reads; logs and tables are called by their rows in the table of topics.

    Attributes
    ----------
    names : mapping
        Topic names.
    partitions : int
        Of all topics but the inputs.
    input_partitions, topic_ids : mapping
        As in `streams.admin.TopicsInfo`.
    committed : mapping of (row, partition) to int
        The group's commits, read before the ends.
    ends : mapping of (row, partition) to int
        Where each log is read to.
    """

    @property
    def names(self) -> Mapping[str, str]: ...

    @property
    def partitions(self) -> int: ...

    @property
    def input_partitions(self) -> Mapping[str, int]: ...

    @property
    def topic_ids(self) -> Mapping[str, str]: ...

    @property
    def committed(self) -> Mapping[tuple[str, int], int]: ...

    @property
    def ends(self) -> Mapping[tuple[str, int], int]: ...

    def bounds(self, row: str, partition: int) -> tuple[int, int]:
        """Return where a log begins and ends now."""
        ...

    def records(self, row: str, partition: int, end: int) -> Iterator[LogRecord]:
        """Yield what a log holds before an offset, in order."""
        ...

    def table(self, table: str, partition: int) -> TableState:
        """Return a table partition, `sessions` and `kpi` as they were before the ends were fetched."""
        ...


def table_state(records: Iterable[tuple[bytes, bytes | None]], has_transactions: bool) -> TableState:
    """Return what a changelog's records hold.

    Parameters
    ----------
    has_transactions : bool
        Whether only whole flushes are read. Else what stands behind the last mark, which ends each flush, is left out.
    """
    rows: dict[str, bytes] = {}
    flush: dict[str, bytes | None] = {}
    mark = None
    for key, value in records:
        row = row_id(key)
        if row is not None:
            flush[row] = value
        elif key == MARK_KEY and value is not None:
            mark = decode_mark(value)
            _apply(rows, flush)
    if has_transactions:
        _apply(rows, flush)
    return TableState(rows, mark)


def _apply(rows: dict[str, bytes], flush: dict[str, bytes | None]) -> None:
    for row, value in flush.items():
        if value is None:
            rows.pop(row, None)
        else:
            rows[row] = value
    flush.clear()


class KafkaLogs:
    """A deployment's logs on a broker; of the tables, `sessions` and `kpi` are held as bytes.

    Parameters
    ----------
    show : callable
        Called with the records passed and those to pass in all.

    Raises
    ------
    BrokerError
        If the broker refuses, or is silent for 15 s.
    """

    def __init__(self, settings: Settings, info: TopicsInfo, show: Callable[[int, int], None]) -> None:
        table = topic_table(settings)
        self.names = {row: topic.name for row, topic in table.items() if topic.role is not Role.CHANGELOG}
        self.partitions = info.partitions
        self.input_partitions = info.input_partitions
        self.topic_ids = info.topic_ids
        self._settings = settings
        self._show = show
        self._has_transactions = any(info.topic_ids.values())
        clients = Clients(settings, self._has_transactions)
        self._reader = LogReader(clients.log_consumer)
        rows = {name: row for row, name in self.names.items()}
        self.committed = {
            (rows[topic], partition): offset
            for (topic, partition), (offset, _) in committed_offsets(settings).items()
            if topic in rows
        }
        self._tables = {
            (name, partition): state
            for name in ("sessions", "kpi")
            for partition, state in enumerate(self._read_tables(name, range(info.partitions)))
        }
        self._consumer = Consumer(
            {
                **CLIENT_CONFIG,
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": f"{settings.group_id}-audit",  # demanded by the client, never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                # As the workers read: an aborted transaction's records count too.
                "isolation.level": "read_uncommitted",
                "fetch.wait.max.ms": _FETCH_WAIT_MS,
            }
        )
        bounds: dict[tuple[str, int], tuple[int, int]] = {
            (row, partition): self.bounds(row, partition)
            for row in _DOWNSTREAM_FIRST
            for partition in range(info.input_partitions.get(row, info.partitions))
        }
        self.ends = {log: end for log, (_, end) in bounds.items()}
        self._total = sum(end - begin for begin, end in bounds.values())
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def bounds(self, row: str, partition: int) -> tuple[int, int]:
        """Return where a log begins and ends now."""
        try:
            begin, end = self._consumer.get_watermark_offsets(
                TopicPartition(self.names[row], partition), timeout=_ANSWER_S
            )
        except KafkaException as error:
            raise self._gone(row, error.args[0].str()) from error
        return begin, end

    def records(self, row: str, partition: int, end: int) -> Iterator[LogRecord]:
        """Yield what a log holds before an offset, in order."""
        position, _ = self.bounds(row, partition)
        self._consumer.assign([TopicPartition(self.names[row], partition, position)])
        heard = time.monotonic()
        while position < end:
            messages = self._consumer.consume(_POLL_RECORDS, _POLL_S)
            if not messages and time.monotonic() - heard > _SILENCE_S:
                raise self._gone(row, f"it was silent for {_SILENCE_S:g} s")
            before = position
            for message in messages:
                heard = time.monotonic()
                failure = message.error()
                if failure is not None and failure.code() == KafkaError._PARTITION_EOF:
                    position = max(position, message.offset())
                elif failure is not None:
                    raise self._gone(row, failure.str())
                else:
                    position = message.offset() + 1
                    if position <= end:
                        yield LogRecord(
                            message.offset(),
                            message.timestamp()[1],
                            message.key(),
                            message.value(),
                            message.headers() or (),
                        )
            self._done += min(position, end) - min(before, end)
            self._show(min(self._done, self._total), self._total)
        self._consumer.unassign()

    def table(self, table: str, partition: int) -> TableState:
        """Return a table partition; once, if it is of `sessions` or `kpi`."""
        state = self._tables.pop((table, partition), None)
        return state if state is not None else self._read_tables(table, [partition])[0]

    def _read_tables(self, table: str, partitions: Sequence[int]) -> list[TableState]:
        topic = changelog_name(self._settings, table)
        return asyncio.run(self._read_changelogs(topic, partitions))

    async def _read_changelogs(self, topic: str, partitions: Sequence[int]) -> list[TableState]:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def read(partition: int) -> TableState:
            records: list[tuple[bytes, bytes | None]] = []

            def apply(batch: Sequence[ConsumerRecord]) -> None:
                records.extend((record.key, record.value) for record in batch)

            async with turn:
                await self._reader.read(topic, partition, None, apply)
            return table_state(records, self._has_transactions)

        try:
            return await asyncio.gather(*map(read, partitions))
        except AioKafkaError as error:
            raise self._gone(topic, str(error)) from error

    def _gone(self, row: str, reason: str) -> BrokerError:
        name = self.names.get(row, row)
        return BrokerError(f"the broker at {self._settings.bootstrap_servers} does not let {name} be read: {reason}")
