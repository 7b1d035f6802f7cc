"""The logs and tables of a small shop's day in memory, as a recount reads them; tests doctor them."""

import asyncio
import copy
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from time import monotonic
from typing import Any

from memory_log import T0_MS, turns
from memory_worker import Deployment, MemoryWorker

from models.coverage import Chain
from models.door import InputRecord, admit_records
from models.simulation import Shop
from streams.audit_logs import LogRecord, TableState
from streams.settings import Settings
from streams.topics import INPUTS, TABLES, topic_table
from streams.wire import MARK_KEY, PACKED_EVENTS, PACKED_PAIRS, PACKED_TALLIES, checked, dead_letter, row_id

PARTITIONS = 2
CODECS: dict[str, Any] = {"session-events": PACKED_EVENTS, "pairs": PACKED_PAIRS, "tallies": PACKED_TALLIES}

_EVENTS = 600
_BATCH = 25


class MemoryLogs:
    """Logs as lists of records and tables as dicts, to be changed at will."""

    def __init__(self, deployment: Deployment) -> None:
        table = topic_table(deployment.settings)
        self.names = {row: row for row in table}
        self.partitions = deployment.partitions
        self.input_partitions: Mapping[str, int] = dict.fromkeys(INPUTS, 1)
        self.topic_ids: dict[str, str] = {row: f"id-of-{row}" for row in table}
        self.logs: dict[tuple[str, int], list[LogRecord]] = {
            (row, partition): [
                LogRecord(record.offset, record.timestamp, record.key, record.value, record.headers)
                for record in deployment.log.records(table[row].name, partition)
            ]
            for row in table
            for partition in range(self.input_partitions.get(row, self.partitions))
            if not row.endswith("-changelog")
        }
        self.ends: dict[tuple[str, int], int] = {log: len(records) for log, records in self.logs.items()}
        self.committed: dict[tuple[str, int], int] = {(kind, 0): self.ends[kind, 0] for kind in INPUTS}
        self.tables: dict[tuple[str, int], TableState] = {
            (name, partition): TableState(
                {row: value for key, value in rows.items() if (row := row_id(key)) is not None},
                deployment.mark(name, partition),
            )
            for name in TABLES
            for partition, rows in deployment.tables[name].items()
            if MARK_KEY in rows
        }
        self._begins: dict[tuple[str, int], int] = {}

    def bounds(self, row: str, partition: int) -> tuple[int, int]:
        return self._begins.get((row, partition), 0), max(self.ends[row, partition], self._length(row, partition))

    def records(self, row: str, partition: int, end: int) -> Iterator[LogRecord]:
        begin, _ = self.bounds(row, partition)
        return (record for record in self.logs[row, partition] if begin <= record.offset < end)

    def table(self, table: str, partition: int) -> TableState:
        return self.tables[table, partition]

    # -- for the tests

    def copy(self) -> "MemoryLogs":
        return copy.deepcopy(self)

    def cut(self, row: str, partition: int, begin: int) -> None:
        """Delete what is before an offset, as retention does."""
        self._begins[row, partition] = begin

    def append(self, row: str, partition: int, value: bytes | None, **fields: Any) -> None:
        """Write one more record."""
        records = self.logs[row, partition]
        timestamp = records[-1].timestamp if records else T0_MS
        records.append(LogRecord(len(records), timestamp, None, value)._replace(**fields))
        self.ends[row, partition] += 1

    def remove(self, row: str, partition: int, offset: int) -> None:
        """Take out a record; those behind it move up."""
        records = self.logs[row, partition]
        self.logs[row, partition] = [
            record._replace(offset=at) for at, record in enumerate(records[:offset] + records[offset + 1 :])
        ]
        self.ends[row, partition] -= 1

    def replace(self, row: str, partition: int, offset: int, **fields: Any) -> None:
        """Change a record."""
        records = self.logs[row, partition]
        records[offset] = records[offset]._replace(**fields)

    def change_packed(self, row: str, partition: int, offset: int, change: Callable[[Any], Any]) -> None:
        """Change a packed record's content in place, or by what is returned."""
        packed = CODECS[row].decode(self.logs[row, partition][offset].value)
        changed = change(packed)
        self.replace(row, partition, offset, value=CODECS[row].encode(packed if changed is None else changed))

    def change_json(self, row: str, partition: int, offset: int, **fields: Any) -> dict[str, Any]:
        """Change fields of a JSON message; return the message as it was."""
        message: dict[str, Any] = json.loads(self.logs[row, partition][offset].value or b"")
        self.replace(row, partition, offset, value=json.dumps(message | fields).encode())
        return message

    def find(self, row: str, is_wanted: Callable[[Any], bool]) -> tuple[int, int]:
        """Return partition and offset of the first record with a decoded content that is wanted."""
        decode = CODECS[row].decode if row in CODECS else json.loads
        return next(
            (partition, record.offset)
            for (name, partition), records in self.logs.items()
            if name == row
            for record in records
            if record.value and is_wanted(decode(record.value))
        )

    def _length(self, row: str, partition: int) -> int:
        return len(self.logs[row, partition])


def recorded() -> MemoryLogs:
    """Return the logs and tables of 600 events of a simulated shop and three bad ones, all folded and published."""
    return _recorded().copy()


@cache
def _recorded() -> MemoryLogs:
    return asyncio.run(_record())


async def _record() -> MemoryLogs:
    deployment = Deployment(partitions=PARTITIONS, settings=Settings(tick_ms=0))
    _send_traffic(deployment)
    worker = MemoryWorker(deployment)
    await worker.take_over()
    records = [record for kind in INPUTS for record in deployment.log.records(kind, 0)]
    records.sort(key=lambda record: (record.timestamp, record.topic, record.offset))
    chains = {(kind, 0): Chain(f"{kind}-0") for kind in INPUTS}
    for start in range(0, len(records), _BATCH):
        batch = [
            InputRecord(record.topic, 0, record.offset, record.timestamp, record.key, record.value)
            for record in records[start : start + _BATCH]
        ]
        admitted = admit_records(batch, chains, PARTITIONS, worker.context.parameters)
        for target, content in admitted.packed.items():
            deployment.log.append("session-events", target, [(None, checked(content))], batch[-1].timestamp)
        for rejected in admitted.rejected:
            letter = dead_letter(rejected.record.kind, rejected)
            deployment.log.append("dead-letters", 0, [(None, letter)])
        deployment.log.now_ms = batch[-1].timestamp
        await worker.fold()
    worker.measure.publish_due(monotonic() + 1000)
    await turns()
    await worker.flush(*worker.table_stages)
    assert worker.died == []
    await worker.stop()
    return MemoryLogs(deployment)


def _send_traffic(deployment: Deployment) -> None:
    shop = Shop(seed=7, rate=5.0)
    now_ms = T0_MS
    sent = 0
    while sent < _EVENTS:
        now_ms += 1000
        for kind, event in shop.step(now_ms):
            value = json.dumps(dict(event)).encode()
            deployment.send_raw(kind, value, timestamp_ms=now_ms)
            sent += 1
        if sent % 200 < 5:
            deployment.send_raw("browse", b"no json", timestamp_ms=now_ms)
