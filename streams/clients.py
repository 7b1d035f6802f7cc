"""The Kafka clients that work beside Faust's own consumer."""

import logging

from streams.log_consumer import LogConsumer
from streams.produce_batch import Producer
from streams.settings import Settings
from streams.topics import MAX_RECORD_BYTES

__all__ = ["Clients", "hush_clients"]

#: Longest wait in ms of a fetch without data: any record ends it, except on the embedded broker.
_FETCH_WAIT_MS = 500
_EMBEDDED_FETCH_WAIT_MS = 10

#: Bytes that a consumer of logs fetches of one partition at once.
_FETCH_BYTES = 4 * 1024 * 1024

#: Bytes of a batch on its way to the broker.
_PRODUCER_BATCH_BYTES = 512 * 1024


class Clients:
    """Makes unstarted clients for one broker.

    Parameters
    ----------
    has_transactions : bool
        False only on the embedded broker, which can neither fence a writer nor hold back what is not committed.
    """

    def __init__(self, settings: Settings, has_transactions: bool) -> None:
        self._settings = settings
        self._has_transactions = has_transactions

    @property
    def fetch_wait_ms(self) -> int:
        """How long a fetch without data may wait."""
        return _FETCH_WAIT_MS if self._has_transactions else _EMBEDDED_FETCH_WAIT_MS

    def producer(self, transactional_id: str | None = None) -> Producer:
        """Return a producer; idempotent where the broker can."""
        return Producer(
            bootstrap_servers=self._settings.servers,
            acks="all",
            enable_idempotence=self._has_transactions,
            transactional_id=transactional_id,
            max_batch_size=_PRODUCER_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
        )

    def log_consumer(self) -> LogConsumer:
        """Return a consumer without a group that reads only what is committed."""
        return LogConsumer(
            bootstrap_servers=self._settings.servers,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed" if self._has_transactions else "read_uncommitted",
            fetch_max_wait_ms=self.fetch_wait_ms,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )


def hush_clients() -> None:
    """Log nothing of what clients meet: a broker that goes away comes back as one error of the call."""
    for chatty in ("aiokafka", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
