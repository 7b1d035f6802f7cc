"""What is compared after a round: the one place that knows how."""

from collections.abc import Sequence
from time import monotonic, sleep

from confluent_kafka import Consumer, TopicPartition

from models.audit.findings import Report
from streams.admin import check_topics, committed_offsets
from streams.audit import audit
from streams.settings import Settings
from streams.topics import INPUTS, topic_table

__all__ = ["Audit"]

_SETTLE_S = 90.0
_PAUSE_S = 0.2


class Audit:
    """Waits until a deployment is settled, and counts everything again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._info = check_topics(settings)
        self._consumer = Consumer(
            {"bootstrap.servers": settings.bootstrap_servers, "group.id": f"{settings.group_id}-audit", "log_level": 0}
        )

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def differences(self, workers: Sequence[str]) -> list[str]:
        """Return every difference between inputs, logs, tables, outputs and the replicas of these workers.

        It waits until all is processed. What is not within 90 s is a difference too.
        """
        deadline = monotonic() + _SETTLE_S
        while (behind := self._behind()) and monotonic() < deadline:
            sleep(_PAUSE_S)
        report = audit(self._settings, workers=workers)
        while (pending := _pending(report)) and monotonic() < deadline:
            sleep(_PAUSE_S)
            report = audit(self._settings, workers=workers)
        return [
            *(f"stuck: {each}" for each in (*behind, *pending)),
            *(f"{finding.place}: {finding.difference}" for finding in report.found),
            *(f"not counted: {sentence}" for sentence in report.not_counted),
        ]

    def _behind(self) -> list[str]:
        table, committed = topic_table(self._settings), committed_offsets(self._settings)
        behind = []
        for row in (*INPUTS, "session-events", "pairs", "tallies"):
            topic = table[row].name
            for partition in range(self._info.input_partitions.get(row, self._info.partitions)):
                _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                offset, _ = committed.get((topic, partition), (0, ""))
                if offset != end:
                    behind.append(f"{row}/{partition} is committed up to {offset} of {end}")
        return behind


def _pending(report: Report) -> list[str]:
    return [f"{count.pending} {kind} are not processed" for kind, count in report.counts.items() if count.pending]
