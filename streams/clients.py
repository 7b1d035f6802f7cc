"""How the logs are read beside Faust's own consumer."""

from aiokafka import AIOKafkaConsumer

from streams.settings import Settings

__all__ = ["log_consumer"]

#: Longest wait in ms of a fetch without data: any record ends it, except on the embedded broker.
_FETCH_WAIT_MS = 500
_EMBEDDED_FETCH_WAIT_MS = 5


def log_consumer(settings: Settings, has_transactions: bool) -> AIOKafkaConsumer:
    """Return an unstarted consumer without a group that reads only what is committed.

    Parameters
    ----------
    has_transactions : bool
        False only on the embedded broker, which cannot hold back what is not committed.
    """
    return AIOKafkaConsumer(
        bootstrap_servers=settings.servers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if has_transactions else "read_uncommitted",
        fetch_max_wait_ms=_FETCH_WAIT_MS if has_transactions else _EMBEDDED_FETCH_WAIT_MS,
    )
