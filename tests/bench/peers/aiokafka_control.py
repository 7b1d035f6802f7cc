"""The control: Sidecart's stages, outbox, tables and replica as they are, fed by a plain aiokafka loop, without Faust.

What Faust costs is the difference to `sidecart worker`. It is wired like a worker and takes the same settings from the
environment, but has no group membership: it owns all partitions, from its start until SIGTERM.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import accumulate
from operator import itemgetter

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata
from faust.types import TP
from prometheus_client import CollectorRegistry

from models.kernel.warmup import warm_up
from streams.admin import TopicsInfo, check_topics
from streams.app import Worker
from streams.batching import RecordBatch
from streams.settings import Settings, load_settings
from streams.topics import INPUTS

#: As the worker's own batches.
_BATCH_BYTES = 256 * 1024
#: Of a partition and fetch: all that was fetched is handed on before the next poll, or one topic would hold up others.
_FETCH_BYTES = 128 * 1024
_GENERATION = 1


async def main() -> None:
    """Run until SIGTERM."""
    settings = load_settings(os.environ)
    info = await asyncio.to_thread(check_topics, settings)
    worker = Worker(settings, info, CollectorRegistry())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    warm_up(worker.context.parameters)
    await worker._producer.start()
    pipeline = worker.pipeline
    measure = pipeline.table_stages[-1]
    measure.is_ours = lambda: True
    everything = set(range(info.partitions))
    await asyncio.gather(
        *(pipeline.take_over(stage, lambda: everything, _GENERATION) for stage in pipeline.table_stages)
    )
    consumer = await _consumer(worker, settings, info)
    worker.health.start()
    tasks = [asyncio.create_task(measure.publish_forever()), asyncio.create_task(_commit_forever(worker, consumer))]
    feeding = asyncio.create_task(_feed(worker, consumer))
    await asyncio.wait({feeding, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    for task in (feeding, *tasks):
        task.cancel()
    await asyncio.gather(feeding, *tasks, return_exceptions=True)
    await _commit(worker, consumer)
    os._exit(0)


async def _consumer(worker: Worker, settings: Settings, info: TopicsInfo) -> AIOKafkaConsumer:
    inputs = [TP(worker.context.name(kind), at) for kind in INPUTS for at in range(info.input_partitions[kind])]
    logs = [
        TP(worker.context.name(stage.log), at)
        for stage in worker.pipeline.table_stages
        for at in range(info.partitions)
    ]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.servers,
        group_id=settings.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    await consumer.start()
    consumer.assign([TopicPartition(*tp) for tp in inputs + logs])
    for tp, position in (await worker.pipeline.positions(inputs + logs)).items():
        if position is None:
            await consumer.seek_to_beginning(TopicPartition(*tp))
        else:
            consumer.seek(TopicPartition(*tp), position)
    return consumer


async def _feed(worker: Worker, consumer: AIOKafkaConsumer) -> None:
    """Hand what was fetched to the stages, in batches, for ever."""
    pipeline = worker.pipeline
    handlers: dict[str, Callable[[RecordBatch], Awaitable[None]]] = {"ingest": pipeline.ingest.handle}
    handlers |= {stage.table: stage.handle for stage in pipeline.table_stages}
    tick_s = worker.settings.tick_ms / 1000
    epoch = worker.context.epoch()
    while True:
        fetched = await consumer.getmany(timeout_ms=1000)
        by_stage: dict[str, list[ConsumerRecord]] = {stage: [] for stage in handlers}
        inputs: list[tuple[int, ConsumerRecord]] = []
        for tp, records in fetched.items():
            stage = pipeline.stage_of(tp.topic)
            assert stage is not None
            if stage == "ingest":
                # No earlier than those before it, or a clock that was set back would change a partition's order.
                inputs += zip(accumulate((record.timestamp for record in records), max), records, strict=True)
            else:
                by_stage[stage] += records
        # Of three topics one order, as far as they are there.
        inputs.sort(key=itemgetter(0))
        by_stage["ingest"] = [record for _, record in inputs]
        for stage, records in by_stage.items():
            for batch in _batches(records):
                await handlers[stage](RecordBatch(stage, epoch, batch))
                await asyncio.sleep(0)
        if sum(map(len, by_stage.values())) < _BATCH_BYTES // 1024:
            await asyncio.sleep(tick_s)


def _batches(records: Iterable[ConsumerRecord]) -> Iterator[list[ConsumerRecord]]:
    batch: list[ConsumerRecord] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.key or b"") + len(record.value or b"")
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _commit_forever(worker: Worker, consumer: AIOKafkaConsumer) -> None:
    while True:
        await asyncio.sleep(worker.settings.commit_interval_s)
        await _commit(worker, consumer)


async def _commit(worker: Worker, consumer: AIOKafkaConsumer) -> None:
    offsets = await worker.pipeline.checkpoint()
    if offsets:
        await consumer.commit({TopicPartition(*tp): OffsetAndMetadata(*offset) for tp, offset in offsets.items()})


if __name__ == "__main__":
    asyncio.run(main())
