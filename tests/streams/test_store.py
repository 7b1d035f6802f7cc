"""The local store is a cache of the changelog: it holds what the changelog holds, and knows up to where."""

import asyncio
import multiprocessing
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import rocksdict
from aiokafka.errors import KafkaTimeoutError, ProducerFenced
from faust.types import TP
from memory_log import MemoryConsumer, MemoryLog, MemoryProducer, run, turns

from models.errors import AccidentError, InvariantError
from models.parts import TableRows
from streams.admin import TopicsInfo
from streams.app import create_app
from streams.changelog import LogReader
from streams.settings import Settings
from streams.store import Changelog, Store
from streams.wire import MARK_KEY

TOPIC = "sidecart-kpi-changelog"
POSITION = b"p"
WRITTEN = b"t"


class Worker:
    """A store in a folder of its own, over a changelog that is shared."""

    def __init__(self, folder: Path, log: MemoryLog, has_transactions: bool = True, batch_bytes: int = 10_000) -> None:
        app = create_app(Settings(state_dir=folder), TopicsInfo(2, {}, {}))
        table = app.Table("kpi", key_type=bytes, value_type=bytes, partitions=2)
        self.writers: list[MemoryProducer] = []
        #: What the latest loads reported: records read, and records to read.
        self.progress: list[tuple[int, ...]] = []
        self.store: Store = table.data

        def new_producer(transactional_id: str | None) -> MemoryProducer:
            self.writers.append(MemoryProducer(log, transactional_id, batch_bytes))
            return self.writers[-1]

        reader = LogReader(lambda: MemoryConsumer(log))  # type: ignore[arg-type,return-value]
        self.store.changelog = Changelog(reader, new_producer, has_transactions)  # type: ignore[arg-type]

    async def rows(self, partition: int = 0) -> dict[bytes, bytes]:
        """Take a partition over and return what it holds, the mark among it."""
        await self.store.take_over(partition)
        return dict(await self.store.load(partition, lambda *passed: self.progress.append(passed)))

    def local(self, partition: int = 0) -> dict[bytes, bytes]:
        """Return what stands on the disk, the position among it."""
        database = self.store._db_for_partition(partition)
        return {bytes(key): bytes(value) for key, value in database.items() if key != WRITTEN}

    async def close(self) -> None:
        await self.store.stop()


NewWorker = Callable[..., Worker]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def worker_in(tmp_path: Path, log: MemoryLog) -> NewWorker:
    def make(folder: str = "first", **options: bool | int) -> Worker:
        return Worker(tmp_path / folder, log, **options)  # type: ignore[arg-type]

    return make


# -- load


def test_an_empty_changelog_gives_an_empty_table(worker_in: NewWorker) -> None:
    async def test() -> None:
        worker = worker_in()
        assert await worker.rows() == {}
        await worker.close()

    run(test)


def test_an_empty_disk_is_filled_from_the_changelog(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        log.append(TOPIC, 0, [(b"ra", b"1"), (b"rb", b"1"), (b"ra", b"2"), (b"rb", None), (MARK_KEY, b"mark")])
        log.append(TOPIC, 1, [(b"rc", b"1")])
        worker = worker_in()
        assert await worker.rows(0) == {b"ra": b"2", MARK_KEY: b"mark"}
        assert await worker.rows(1) == {b"rc": b"1"}
        assert worker.local()[POSITION] == b"5"
        await worker.close()

    run(test)


def test_an_older_disk_reads_only_what_is_new(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        first = worker_in()
        log.append(TOPIC, 0, [(b"ra", b"1"), (b"rb", b"1")])
        await first.rows()
        await first.close()
        log.append(TOPIC, 0, [(b"ra", b"2"), (b"rc", b"1"), (b"rb", None)])
        log.cut(TOPIC, 0, 2)  # what it holds already is not asked for again
        again = worker_in()
        assert await again.rows() == {b"ra": b"2", b"rc": b"1"}
        assert again.local()[POSITION] == b"5"
        await again.close()

    run(test)


@pytest.mark.parametrize(("hours", "is_used"), [(11, True), (13, False)])
def test_a_disk_that_may_have_missed_a_deletion_is_not_used(
    worker_in: NewWorker, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, hours: int, is_used: bool
) -> None:
    async def test() -> None:
        first = worker_in()
        await first.store.take_over(0)
        await first.store.flush(0, TableRows.of({b"ra": b"1", b"rb": b"1"}), b"mark-1")
        await first.close()
        monkeypatch.setattr("streams.store._now_ms", lambda: written_ms + hours * 3_600_000)
        other = worker_in("other")
        await other.rows()
        await other.store.flush(0, TableRows.of({b"ra": None}), b"mark-2")
        log.compact(TOPIC, 0, log.end(TOPIC, 0), keeps_tombstones=False)
        again = worker_in()
        rows = await again.rows()
        assert (b"ra" in rows) == is_used
        assert (rows[b"rb"], rows[MARK_KEY]) == (b"1", b"mark-2")
        assert int(again.store._db_for_partition(0).get(WRITTEN)) > written_ms
        await again.close()
        await other.close()

    written_ms = 1_760_000_000_000
    monkeypatch.setattr("streams.store._now_ms", lambda: written_ms)
    run(test)


def test_a_load_says_how_far_it_is(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        log.append(TOPIC, 0, [(f"r{number}".encode(), b"1") for number in range(7)])
        first = worker_in()
        await first.rows()
        assert first.progress == [(0, 7), (3, 7), (6, 7), (7, 7)]
        await first.close()
        log.append(TOPIC, 0, [(b"ra", b"1")] * 2)
        again = worker_in()
        await again.rows()
        assert again.progress == [(0, 2), (2, 2)]  # only what the disk does not hold
        await again.close()

    run(test)


def test_a_disk_that_is_ahead_of_the_changelog_is_an_accident(worker_in: NewWorker, tmp_path: Path) -> None:
    async def test() -> None:
        worker = worker_in()
        await worker.store.take_over(0)
        await worker.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark")
        await worker.close()
        other = Worker(tmp_path / "first", MemoryLog())  # the topic was deleted and made again
        with pytest.raises(AccidentError, match=r"sidecart-kpi-changelog/0 ends at offset 0, but was read up to 2"):
            await other.rows()
        await other.close()

    run(test)


def test_offsets_without_records_at_the_end_are_passed_over(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        log.append(TOPIC, 0, [(b"ra", b"1")])
        log.skip(TOPIC, 0, 3)
        worker = worker_in()
        assert await worker.rows() == {b"ra": b"1"}
        log.append(TOPIC, 0, [(b"rb", b"1")])
        assert await worker.rows() == {b"ra": b"1", b"rb": b"1"}
        assert worker.local()[POSITION] == b"5"
        await worker.close()

    run(test)


def test_the_position_moves_with_the_rows_of_a_read_that_is_cut_off(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        log.append(TOPIC, 0, [(f"r{number}".encode(), b"1") for number in range(10)])
        worker = worker_in()

        class Broken(MemoryConsumer):
            polls = 0

            async def getmany(self, *logs, timeout_ms=0):  # type: ignore[no-untyped-def]
                self.polls += 1
                if self.polls == 3:
                    raise KafkaTimeoutError
                return await super().getmany(*logs, timeout_ms=timeout_ms)

        reader = worker.store.changelog.reader
        worker.store.changelog.reader = LogReader(lambda: Broken(log))  # type: ignore[arg-type,return-value]
        with pytest.raises(KafkaTimeoutError):
            await worker.rows()
        assert worker.local() == {POSITION: b"6", **{f"r{number}".encode(): b"1" for number in range(6)}}
        worker.store.changelog.reader = reader
        assert len(await worker.rows()) == 10
        await worker.close()

    run(test)


# -- flush


def test_rows_mark_and_position_are_written_together(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        worker = worker_in()
        await worker.rows()
        await worker.store.flush(0, TableRows.of({b"ra": b"1", b"rb": b"2"}), b"mark-1")
        assert log.messages(TOPIC) == [(b"ra", b"1"), (b"rb", b"2"), (MARK_KEY, b"mark-1")]
        assert worker.local() == {b"ra": b"1", b"rb": b"2", MARK_KEY: b"mark-1", POSITION: b"3"}
        await worker.store.flush(0, TableRows.of({b"ra": None, b"rc": b"3"}), b"mark-2")
        assert log.messages(TOPIC)[3:] == [(b"ra", None), (b"rc", b"3"), (MARK_KEY, b"mark-2")]
        # The control record of the first transaction stands at offset 3.
        assert worker.local() == {b"rb": b"2", b"rc": b"3", MARK_KEY: b"mark-2", POSITION: b"7"}
        await worker.close()

    run(test)


def test_a_mark_without_rows_is_written(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        worker = worker_in()
        await worker.store.take_over(1)
        await worker.store.flush(1, TableRows.of({}), b"mark")
        assert worker.local(1) == {MARK_KEY: b"mark", POSITION: b"1"}
        await worker.close()

    run(test)


def test_a_flush_is_one_transaction_over_as_many_batches_as_it_needs(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        worker = worker_in(batch_bytes=400)
        rows = {f"r{number}".encode(): b"x" * 150 for number in range(7)}
        await worker.store.take_over(0)
        await worker.store.flush(0, TableRows.of(rows), b"mark")
        [writer] = worker.writers
        assert len(writer.requests) > 3
        assert log.messages(TOPIC) == [*rows.items(), (MARK_KEY, b"mark")]
        assert log.end(TOPIC, 0) == 9  # eight records and one control record
        assert worker.local() == {**rows, MARK_KEY: b"mark", POSITION: b"8"}
        await worker.close()

    run(test)


def test_another_disk_is_brought_up_to_the_same(worker_in: NewWorker) -> None:
    async def test() -> None:
        first = worker_in()
        await first.rows()
        await first.store.flush(0, TableRows.of({b"ra": b"1", b"rb": b"2"}), b"mark-1")
        await first.store.flush(0, TableRows.of({b"ra": None, b"rc": b"3"}), b"mark-2")
        second = worker_in("second")
        assert await second.rows() == {b"rb": b"2", b"rc": b"3", MARK_KEY: b"mark-2"}
        assert second.local() == first.local()
        await first.close()
        await second.close()

    run(test)


async def lose_connection(worker: Worker) -> None:
    async def send_batch(*args: object, **kwargs: object) -> None:
        raise KafkaTimeoutError

    worker.writers[-1].send_batch = send_batch  # type: ignore[method-assign,assignment]


async def lose_acknowledgement(worker: Worker) -> None:
    writer = worker.writers[-1]
    writer.held = {TOPIC}

    async def fail() -> None:
        await turns(5)
        writer.requests[-1].fail(KafkaTimeoutError())

    worker.failing = asyncio.ensure_future(fail())  # type: ignore[attr-defined]


async def be_fenced_at_the_commit(worker: Worker) -> None:
    writer = worker.writers[-1]
    send_batch = writer.send_batch

    async def send_and_lose(*args: object, **kwargs: object) -> object:
        future = await send_batch(*args, **kwargs)  # type: ignore[arg-type]
        writer.log.epochs["sidecart-kpi-changelog-0"] += 1
        return future

    writer.send_batch = send_and_lose  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("accident", [lose_connection, lose_acknowledgement, be_fenced_at_the_commit])
def test_a_transaction_that_fails_writes_nothing_locally(
    worker_in: NewWorker, log: MemoryLog, accident: Callable[[Worker], Awaitable[None]]
) -> None:
    async def test() -> None:
        worker = worker_in()
        await worker.rows()
        await worker.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark-1")
        before, committed = worker.local(), log.messages(TOPIC)
        await accident(worker)
        with pytest.raises((KafkaTimeoutError, ProducerFenced)):
            await worker.store.flush(0, TableRows.of({b"ra": None, b"rb": b"2"}), b"mark-2")
        assert worker.local() == before
        assert log.messages(TOPIC) == committed
        await worker.close()

    run(test)


def test_a_partition_that_is_not_owned_is_not_flushed(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        worker = worker_in()
        with pytest.raises(InvariantError, match="table kpi: flush of partition 0, which is not owned"):
            await worker.store.flush(0, TableRows.of({}), b"mark")
        await worker.rows()
        await worker.store.release(0)
        with pytest.raises(InvariantError):
            await worker.store.flush(0, TableRows.of({}), b"mark")
        assert log.messages(TOPIC) == []
        await worker.close()

    run(test)


# -- ownership


def test_the_next_owner_fences_the_former_one(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        first, second = worker_in(), worker_in("second")
        await first.rows()
        await first.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark-1")
        before = first.local()
        assert await second.rows() == {b"ra": b"1", MARK_KEY: b"mark-1"}
        with pytest.raises(ProducerFenced):
            await first.store.flush(0, TableRows.of({b"ra": b"late"}), b"late mark")
        assert first.local() == before
        await second.store.flush(0, TableRows.of({b"ra": b"2"}), b"mark-2")
        assert log.messages(TOPIC)[-2:] == [(b"ra", b"2"), (MARK_KEY, b"mark-2")]
        assert await first.rows() == {b"ra": b"2", MARK_KEY: b"mark-2"}  # and back
        await first.close()
        await second.close()

    run(test)


def test_partitions_are_fenced_one_by_one(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        first, second = worker_in(), worker_in("second")
        await first.store.take_over(0)
        await first.store.take_over(1)
        await second.store.take_over(1)
        await first.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark")
        assert set(log.epochs) == {"sidecart-kpi-changelog-0", "sidecart-kpi-changelog-1"}
        await first.close()
        await second.close()

    run(test)


def test_a_partition_that_is_taken_over_again_gets_a_new_writer(worker_in: NewWorker) -> None:
    async def test() -> None:
        worker = worker_in()
        await worker.rows()
        await worker.rows()
        assert [writer.is_started for writer in worker.writers] == [False, True]
        await worker.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark")
        await worker.close()

    run(test)


def test_a_writer_that_does_not_stop_well_holds_up_nobody(worker_in: NewWorker) -> None:
    async def test() -> None:
        worker = worker_in()
        await worker.rows()

        async def refuse() -> None:
            raise KafkaTimeoutError

        worker.writers[0].stop = refuse  # type: ignore[method-assign]
        await worker.store.release(0)
        assert await worker.rows() == {}
        await worker.close()

    run(test)


def test_released_and_stopped_stores_are_closed_and_can_be_opened_again(worker_in: NewWorker) -> None:
    async def test() -> None:
        first = worker_in()
        await first.rows(0)
        await first.rows(1)
        await first.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark")
        await first.store.release(1)
        await first.close()
        assert not any(writer.is_started for writer in first.writers)
        second = worker_in()  # a lock that was not given back would stop it
        assert await second.rows(0) == {b"ra": b"1", MARK_KEY: b"mark"}
        assert await second.rows(1) == {}
        await second.close()

    run(test)


def test_without_transactions_nothing_is_fenced_and_all_else_is_the_same(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        worker = worker_in(has_transactions=False)
        await worker.rows()
        await worker.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark-1")
        await worker.store.flush(0, TableRows.of({b"rb": b"1"}), b"mark-2")
        assert worker.local()[POSITION] == b"4"  # no control records
        assert log.epochs == {}
        await worker.close()

    run(test)


# -- what Faust asks


def test_faust_is_told_that_there_is_nothing_to_recover(worker_in: NewWorker, log: MemoryLog) -> None:
    async def test() -> None:
        worker = worker_in()
        log.append(TOPIC, 0, [(b"ra", b"1")] * 5)
        tp = TP(TOPIC, 0)
        await worker.store.on_rebalance({tp}, set(), {tp}, 1)
        worker.store.set_persisted_offset(tp, 3)
        told = worker.store.persisted_offset(tp)
        assert told is not None and told >= log.end(TOPIC, 0) - 1
        assert worker.local() == {}
        await worker.close()

    run(test)


def test_options_hold_also_when_a_store_is_opened_again(worker_in: NewWorker) -> None:
    async def test() -> None:
        for _ in range(2):
            worker = worker_in()
            await worker.rows()
            path = worker.store.partition_path(0)
            await worker.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark")
            database = worker.store._db_for_partition(0)
            assert database.property_value("rocksdb.block-cache-capacity") == str(16 * 1024 * 1024)
            await worker.close()
            newest = max(path.glob("OPTIONS-*"), key=lambda file: int(file.name.removeprefix("OPTIONS-")))
            written = newest.read_text().replace(" ", "")
            for option in ("write_buffer_size=4194304", "max_write_buffer_number=2", "max_open_files=200"):
                assert option in written
            assert "level0_file_num_compaction_trigger=16" in written
            assert "filter_policy=bloomfilter" in written

    run(test)


def test_keys_and_values_are_raw_bytes(worker_in: NewWorker, tmp_path: Path) -> None:
    async def test() -> None:
        worker = worker_in()
        await worker.rows()
        await worker.store.flush(0, TableRows.of({b"r\x00\xff": b"\x00"}), b"")
        assert worker.local()[b"r\x00\xff"] == b"\x00"
        assert await worker.rows() == {b"r\x00\xff": b"\x00", MARK_KEY: b""}
        path = worker.store.partition_path(0)
        await worker.close()
        options = rocksdict.Options(raw_mode=True)
        assert rocksdict.Rdict(str(path), options=options)[b"r\x00\xff"] == b"\x00"

    run(test)


# -- a process that dies


def write_and_die(folder: str, rounds: int) -> None:
    """Flush rows, as many as fill several of RocksDB's buffers, and end without closing anything."""

    async def test() -> None:
        worker = Worker(Path(folder), MemoryLog())
        await worker.rows()
        for flushed in range(rounds):
            rows: dict[bytes, bytes | None] = {
                b"r%d" % (flushed * 100 + at): b"%d" % flushed + b"x" * 900 for at in range(100)
            }
            await worker.store.flush(0, TableRows.of(rows), b"mark %d" % flushed)
        os._exit(0)

    run(test)


@pytest.mark.parametrize("rounds", [1, 40, 100])
def test_the_disk_of_a_process_that_died_holds_the_rows_up_to_its_position(tmp_path: Path, rounds: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=write_and_die, args=(str(tmp_path), rounds))
    process.start()
    process.join(60)
    assert process.exitcode == 0

    async def test() -> None:
        worker = Worker(tmp_path, MemoryLog())
        found = worker.local()
        await worker.close()
        if POSITION not in found:
            assert not found and rounds < 100  # nothing came to the disk: it is loaded from the beginning
            return
        # A flush is a hundred rows, the mark, and a control record.
        whole = int(found.pop(POSITION)) // 102 + 1
        assert found.pop(MARK_KEY) == b"mark %d" % (whole - 1)
        assert len(found) == 100 * whole and all(b"r%d" % at in found for at in range(100 * whole))

    run(test)


def test_a_store_that_is_closed_holds_everything(tmp_path: Path) -> None:
    async def test() -> None:
        worker = Worker(tmp_path, MemoryLog())
        await worker.rows()
        await worker.store.flush(0, TableRows.of({b"ra": b"1"}), b"mark")
        before = worker.local()
        await worker.close()
        again = Worker(tmp_path, MemoryLog())
        assert again.local() == before and before[b"ra"] == b"1"
        await again.close()

    run(test)
