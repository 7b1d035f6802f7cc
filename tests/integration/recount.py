"""What stands in a deployment's topics and tables, and that nothing in it differs from what it must hold."""

import asyncio
from collections.abc import Iterable, Sequence
from time import monotonic, sleep
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from streams.admin import check_topics, committed_offsets
from streams.audit import audit
from streams.changelog import LogReader
from streams.settings import Settings
from streams.topics import INPUTS, topic_table
from streams.wire import (
    MARK_KEY,
    ROWS,
    Mark,
    decode_mark,
    row_id,
)

_SETTLE_S = 90


class Logs:
    """All records of a deployment's topics, and the tables as their changelogs have them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.info = check_topics(settings)
        self._topics = topic_table(settings)

    def read(self, row: str) -> dict[int, list[ConsumerRecord]]:
        """Read a topic whole, by partition."""
        return asyncio.run(self._read(row))

    async def _read(self, row: str) -> dict[int, list[ConsumerRecord]]:
        def consumer() -> AIOKafkaConsumer:
            return AIOKafkaConsumer(
                bootstrap_servers=self.settings.servers, isolation_level="read_committed", auto_offset_reset="earliest"
            )

        partitions = self.info.input_partitions.get(row, self.info.partitions)
        result: dict[int, list[ConsumerRecord]] = {partition: [] for partition in range(partitions)}
        reader, topic = LogReader(consumer), self._topics[row].name
        await asyncio.gather(
            *(reader.read(topic, partition, None, records.extend) for partition, records in result.items())
        )
        return result

    def values(self, row: str) -> list[Any]:
        """Read the JSON messages of a public topic."""
        return [msgspec.json.decode(record.value) for record in _all(self.read(row))]

    def table(self, table: str) -> tuple[dict[int, dict[str, Any]], dict[int, Mark]]:
        """Return a table's rows and marks, by partition."""
        rows: dict[int, dict[str, Any]] = {}
        marks: dict[int, Mark] = {}
        for partition, records in self.read(f"{table}-changelog").items():
            latest = {record.key: record.value for record in records}
            if MARK_KEY in latest:
                marks[partition] = decode_mark(latest[MARK_KEY])
            rows[partition] = {
                key: ROWS[table].decode(value)
                for encoded, value in latest.items()
                if value is not None and (key := row_id(encoded)) is not None
            }
        return rows, marks

    def is_settled(self) -> bool:
        """Tell whether every log is folded to its end and committed, and every window published."""
        committed = committed_offsets(self.settings)
        for row in (*INPUTS, "session-events", "pairs", "tallies"):
            topic = self._topics[row].name
            for partition, end in asyncio.run(self._ends(row)).items():
                if end and committed.get((topic, partition), (0, ""))[0] != end:
                    return False
        _, marks = self.table("kpi")
        return not any(mark.pending for mark in marks.values())

    async def _ends(self, row: str) -> dict[int, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.settings.servers)
        await consumer.start()
        try:
            partitions = self.info.input_partitions.get(row, self.info.partitions)
            logs = [TopicPartition(self._topics[row].name, partition) for partition in range(partitions)]
            return {log.partition: end for log, end in (await consumer.end_offsets(logs)).items()}
        finally:
            await consumer.stop()

    def settle(self) -> None:
        """Wait until the workers are done with everything that is there."""
        deadline = monotonic() + _SETTLE_S
        while not self.is_settled():
            if monotonic() > deadline:
                raise AssertionError(f"the logs were not folded to their ends within {_SETTLE_S} s")
            sleep(0.2)


def differences(logs: Logs, may_be_published_twice: bool = False) -> list[str]:
    """Return what the audit finds in a deployment that is settled: a sentence each, none when all is right.

    A suggestion may stand twice where two workers owned a partition for a while; the first one counts. Outcomes are
    sent again after every crash.
    """
    report = audit(logs.settings)
    found = [f"{finding.place}: {finding.difference}" for finding in report.found]
    repeated = report.counts["suggestions"].repeated
    if repeated and not may_be_published_twice:
        found.append(f"{repeated} suggestions are published twice")
    if report.pending or report.uncountable:
        found.append(f"{report.pending} events are not processed, {report.uncountable} items are not countable")
    return found


def _all(partitions: dict[int, list[ConsumerRecord]]) -> Iterable[ConsumerRecord]:
    return (record for records in partitions.values() for record in records)


def replica_digests(pages: Sequence[list[dict[str, Any]]]) -> set[str]:
    """Return the distinct contents of several workers' /replica pages: one, when they agree."""
    return {msgspec.json.encode(page).decode() for page in pages}
