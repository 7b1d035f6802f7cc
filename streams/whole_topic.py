"""Reads a whole topic, or some of its partitions, for a person who waits for it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from models.errors import BrokerError
from streams.changelog import LogReader
from streams.settings import Settings

__all__ = ["read_topic"]

#: Partitions read at the same time, each through a connection of its own.
_AT_ONCE = 8

#: Seconds without a record after which the broker counts as gone.
_SILENCE_S = 15.0


async def read_topic(
    settings: Settings,
    reader: LogReader,
    topic: str,
    partitions: Iterable[int],
    apply: Callable[[Sequence[ConsumerRecord]], None],
    on_progress: Callable[[int, int], None],
) -> None:
    """Hand all records of some partitions to `apply`, of each partition in order, in batches of one partition.

    Parameters
    ----------
    settings : Settings
        Says where the broker is, for the error.
    on_progress : callable
        Called with the number of records read since the last call and of partitions finished since then.

    Raises
    ------
    BrokerError
        If the broker refuses, or is silent for 15 s.
    """
    turn = asyncio.Semaphore(_AT_ONCE)
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(_SILENCE_S) as silence:

            def advance(records: int, finished: int) -> None:
                silence.reschedule(now() + _SILENCE_S)
                on_progress(records, finished)

            def taken(records: Sequence[ConsumerRecord]) -> None:
                apply(records)
                advance(len(records), 0)

            async def read(partition: int) -> None:
                async with turn:
                    await reader.read(topic, partition, None, taken)
                advance(0, 1)

            await asyncio.gather(*map(read, partitions))
    except (KafkaError, TimeoutError) as error:
        reason = str(error) or f"it was silent for {_SILENCE_S:g} s"
        servers = settings.bootstrap_servers
        raise BrokerError(f"the broker at {servers} does not let {topic} be read: {reason}") from error
