"""The Faust store of the three tables: opens, loads in bulk, flushes rows and mark together.

Registered as ``sidecart://`` in the entry-point group ``faust.stores``. The local RocksDB is a cache of the changelog;
its ``position`` is the changelog offset up to which it holds every row. A flush writes the changelog first, in one
transaction that a later owner of the partition fences, then the local store in one batch.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import rocksdict
from faust.stores.rocksdb import Store as RocksDBStore
from faust.types import TP

from models.errors import InvariantError
from models.parts import TableRows
from streams.changelog import LogReader
from streams.log_consumer import LogRecord
from streams.produce_batch import Message, Messages, Producer
from streams.wire import MARK_KEY

__all__ = ["Changelog", "Store"]

#: Beside the rows: the position in the changelog up to which they are held, and when that was written, in epoch ms.
_POSITION_KEY = b"p"
_WRITTEN_KEY = b"t"
_OWN_KEYS = (_POSITION_KEY, _WRITTEN_KEY)

#: A disk that was last written longer ago is not used: Kafka keeps the deletion of a row for a day (the default of
#: `delete.retention.ms`), and an older disk might hold a row whose deletion it can never hear of.
_DISK_AGE_MAX_MS = 12 * 3600 * 1000

#: For each table and partition: the driver's own defaults are 2 GiB of cache and three buffers of 64 MB.
_BLOCK_CACHE_BYTES = 16 * 1024 * 1024
_WRITE_BUFFER_BYTES = 4 * 1024 * 1024
#: Files that are merged at once. Rows are read only when a partition is loaded: to merge them four times as often, as
#: the driver would, nearly doubles the CPU a row.
_FILES_MERGED = 16
_OPEN_FILES = 200

#: Rows copied before other tasks get a turn: no event is to wait for a flush.
_ROWS_AT_ONCE = 500

#: While a changelog is read: in large pieces and unsorted, or most of the time would be spent on sorting them again.
_LOADING = {"write_buffer_size": str(16 * 1024 * 1024), "disable_auto_compactions": "true"}
_LOADED = {"write_buffer_size": str(_WRITE_BUFFER_BYTES), "disable_auto_compactions": "false"}
#: All of a partition is read at once, and then not again.
_READAHEAD_BYTES = 2 * 1024 * 1024

_BEYOND_ANY_END = 2**62


class Changelog:
    """How a table partition's changelog is read and written.

    Parameters
    ----------
    reader : LogReader
        Reads it back.
    new_producer : callable
        Makes an unstarted producer from a transactional id, or from None where the broker has no transactions.
    has_transactions : bool
        False only on the embedded broker: there a former owner is not fenced.
    """

    def __init__(
        self, reader: LogReader, new_producer: Callable[[str | None], Producer], has_transactions: bool
    ) -> None:
        self.reader = reader
        self.has_transactions = has_transactions
        self._new_producer = new_producer

    async def writer(self, topic: str, partition: int) -> Producer:
        """Start the producer of one partition; a former owner's can no longer write."""
        producer = self._new_producer(f"{topic}-{partition}" if self.has_transactions else None)
        await producer.start()
        return producer

    @asynccontextmanager
    async def transaction(self, writer: Producer) -> AsyncIterator[None]:
        """Write in one transaction where there are any."""
        if not self.has_transactions:
            yield
            return
        async with writer.transaction():
            yield


class Store(RocksDBStore):  # type: ignore[misc]
    """One table's rows on this worker, by partition; the stage asks for what it owns."""

    changelog: Changelog

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._writers: dict[int, Producer] = {}

    # -- what Faust calls

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Do nothing: the stage lets go of partitions and takes them over, when Faust's recovery is through."""

    def persisted_offset(self, tp: TP) -> int:
        """Report the changelog as read, however it grows: rows are loaded in bulk by `load`, not message by message."""
        return _BEYOND_ANY_END

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """Do nothing: the position is written with the rows, by `flush` and `load`."""

    async def stop(self) -> None:
        """Close the partitions."""
        for partition in list(self._dbs):
            await self.release(partition)

    def _open_for_partition(self, partition: int) -> rocksdict.Rdict:
        path = self.partition_path(partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        options = _options()
        if Path(path / "CURRENT").exists():
            # Reopened without its column family's options the driver falls back to its defaults.
            return rocksdict.Rdict(str(path), options=options, column_families={"default": _options()})
        return rocksdict.Rdict(str(path), options=options)

    # -- what the stages call

    async def take_over(self, partition: int) -> None:
        """Fence the former owner of a partition: its late rows and its open transaction are refused from now on."""
        await self._close_writer(partition)
        self._writers[partition] = await self.changelog.writer(self._topic, partition)

    async def load(self, partition: int, on_progress: Callable[[int, int], None]) -> Iterator[tuple[bytes, bytes]]:
        """Bring the local rows up to the changelog's end and return all of them, the mark among them.

        Parameters
        ----------
        on_progress : callable
            Called with the changelog's records read and to be read, as by `LogReader.read`.
        """
        database = self._db_for_partition(partition)
        if _now_ms() - int(database.get(_WRITTEN_KEY) or 0) > _DISK_AGE_MAX_MS:
            _empty(database)
        position = database.get(_POSITION_KEY)
        start = None if position is None else int(position)
        is_loading = False

        def apply(records: Sequence[LogRecord]) -> None:
            nonlocal is_loading
            if not is_loading:
                is_loading = True
                database.set_options(_LOADING)
            batch = rocksdict.WriteBatch(raw_mode=True)
            for record in records:
                if record.value is None:
                    batch.delete(record.key)
                else:
                    batch.put(record.key, record.value)
            _put_position(batch, records[-1].offset + 1)
            _write(database, batch)

        try:
            await self.changelog.reader.read(self._topic, partition, start, apply, on_progress)
        finally:
            if is_loading:
                database.set_options(_LOADED)
        reading = rocksdict.ReadOptions()
        reading.set_readahead_size(_READAHEAD_BYTES)
        reading.fill_cache(False)
        return ((key, value) for key, value in database.items(read_opt=reading) if key not in _OWN_KEYS)

    async def flush(self, partition: int, rows: TableRows, mark: bytes) -> None:
        """Make rows (None: dropped) and mark durable, together: changelog first, then the local store."""
        writer = self._writers.get(partition)
        if writer is None:
            raise InvariantError(f"table {self.table_name}: flush of partition {partition}, which is not owned")
        async with self.changelog.transaction(writer):
            sent = []
            batch = writer.create_batch()
            for messages in (Messages.without_headers(*rows), Messages.of([Message(MARK_KEY, mark)])):
                done = batch.extend(messages)
                while done < len(messages.keys):
                    sent.append(await writer.send_batch(batch, self._topic, partition=partition))
                    batch = writer.create_batch()
                    done += batch.extend(messages, done)
            last = batch.record_count()
            sent.append(await writer.send_batch(batch, self._topic, partition=partition))
            acknowledged = [await future for future in sent]
        local = rocksdict.WriteBatch(raw_mode=True)
        for number, (key, value) in enumerate(zip(*rows, strict=True), 1):
            if value is None:
                local.delete(key)
            else:
                local.put(key, value)
            if number % _ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)
        local.put(MARK_KEY, mark)
        _put_position(local, acknowledged[-1].offset + last)
        _write(self._db_for_partition(partition), local)

    async def release(self, partition: int) -> None:
        """Close a partition that is not owned any more."""
        await self._close_writer(partition)
        database = self._dbs.pop(partition, None)
        if database is not None:
            database.close()

    @property
    def _topic(self) -> str:
        return str(self.table.changelog_topic.get_topic_name())

    async def _close_writer(self, partition: int) -> None:
        writer = self._writers.pop(partition, None)
        if writer is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(writer.stop(), timeout=5)


def _write(database: rocksdict.Rdict, batch: rocksdict.WriteBatch) -> None:
    """Write a batch without RocksDB's own log, which costs as much as the rows.

    Batches reach the disk whole and in order, at the latest when the database is closed: after a crash the store is an
    older one, rows and position together, and is brought up from the changelog.
    """
    unlogged = rocksdict.WriteOptions()
    unlogged.disable_wal = True
    database.write(batch, unlogged)


def _put_position(batch: rocksdict.WriteBatch, position: int) -> None:
    batch.put(_POSITION_KEY, str(position).encode())
    batch.put(_WRITTEN_KEY, str(_now_ms()).encode())


def _empty(database: rocksdict.Rdict) -> None:
    batch = rocksdict.WriteBatch(raw_mode=True)
    for key in database.keys():  # noqa: SIM118  iterating a database itself gives no keys in raw mode
        batch.delete(key)
    _write(database, batch)


def _now_ms() -> int:
    return round(time() * 1000)


def _options() -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(_OPEN_FILES)
    options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_level_zero_file_num_compaction_trigger(_FILES_MERGED)
    options.set_level_zero_slowdown_writes_trigger(2 * _FILES_MERGED)
    options.set_level_zero_stop_writes_trigger(4 * _FILES_MERGED)
    # Rows are numbers and hardly smaller when compressed.
    options.set_compression_type(rocksdict.DBCompressionType.none())
    table = rocksdict.BlockBasedOptions()
    table.set_bloom_filter(10, block_based=False)
    table.set_block_cache(rocksdict.Cache(_BLOCK_CACHE_BYTES))
    options.set_block_based_table_factory(table)
    return options
