"""Every worker holds the same rows: its own shards, and the other partitions as the log says they are."""

import asyncio
from collections.abc import Callable, Sequence

from memory_log import MemoryConsumer, run, turns
from memory_worker import Deployment, MemoryStore, MemoryWorker, event

from models.cooccurrence import TOTALS, Row
from models.errors import AccidentError
from models.partitioning import partition_of
from models.records import Event
from streams.replica import PartitionDigest

ITEMS = [f"item-{number}" for number in range(12)]


async def until(is_true: Callable[[], bool]) -> None:
    """Let the tasks run until something is true."""
    while not is_true():
        await turns(1)


def visit(deployment: Deployment, number: int) -> None:
    session = f"s{number}"
    seen = (ITEMS[number % 12], ITEMS[(number + 1) % 12], ITEMS[(number + 5) % 12])
    deployment.put(*(event(session, f"e{at}", item, seconds=number * 60 + at) for at, item in enumerate(seen)))


async def two_workers() -> tuple[MemoryWorker, MemoryWorker]:
    """Return the owners of partition 0 and of partition 1, with some visits folded and flushed."""
    deployment = Deployment(2)
    for number in range(6):
        visit(deployment, number)
    first, second = MemoryWorker(deployment), MemoryWorker(deployment)
    await first.take_over(0)
    await second.take_over(1)
    await first.fold()
    await second.fold()
    await first.flush(*first.table_stages)
    await second.flush(*second.table_stages)
    return first, second


async def rows_of(*visits: int, last: Sequence[Event] = ()) -> dict[str, Row]:
    """Return the rows after some visits, as one worker that nothing happens to folds them."""
    deployment = Deployment(2)
    for number in visits:
        visit(deployment, number)
    if last:
        deployment.put(*last)
    worker = MemoryWorker(deployment)
    await worker.take_over()
    await worker.fold()
    await worker.stop()
    return worker.replica.rows


async def digests(worker: MemoryWorker) -> list[PartitionDigest]:
    return await worker.replica.digests()


def test_workers_with_different_partitions_hold_the_same_rows() -> None:
    async def test() -> None:
        first, second = await two_workers()
        await until(lambda: first.replica.lag == second.replica.lag == 0)
        assert first.replica.rows == second.replica.rows
        assert set(first.replica.rows) == {TOTALS, *(ITEMS[n] for n in range(11))}
        mine = await digests(first)
        assert mine == await digests(second)
        assert [digest.partition for digest in mine] == [0, 1]
        assert sum(digest.rows for digest in mine) == len(first.replica.rows)
        await first.stop()
        await second.stop()

    run(test)


def test_a_replica_begins_with_the_changelog_and_goes_on_with_the_log() -> None:
    async def test() -> None:
        first, second = await two_workers()
        deployment = first.deployment
        for partition, rows in deployment.tables["cooccurrence"].items():
            deployment.log.append("sidecart-cooccurrence-changelog", partition, rows.items())
        visit(deployment, 7)
        await first.fold()
        await second.fold()
        late = MemoryWorker(deployment)
        assert not late.replica.loaded.is_set()
        late.replica.follow({0, 1})
        await late.replica.loaded.wait()
        assert late.replica.rows == first.replica.rows
        for worker in (first, second, late):
            await worker.stop()

    run(test)


def test_a_replica_that_owns_everything_is_loaded_at_once() -> None:
    async def test() -> None:
        worker = MemoryWorker(Deployment(2))
        await worker.learn.take_over({0, 1}, 1)
        await turns(2)
        assert worker.replica.loaded.is_set() and worker.replica.lag == 0

    run(test)


def test_following_a_log_shows_how_far_behind_it_is() -> None:
    async def test() -> None:
        first, second = await two_workers()
        await until(lambda: first.replica.loaded.is_set() and first.replica.lag == 0)
        fed = partition_of(ITEMS[0], 2)
        follower, owner = (first, second) if fed == 1 else (second, first)
        before = follower.replica.rows[ITEMS[0]].events
        await follower.replica.stop_following()
        deployment = first.deployment
        deployment.put(event("new", "e1", ITEMS[0]))
        await owner.suggest.take_over({0, 1}, 2)
        await owner.fold(owner.suggest)
        assert follower.replica.rows[ITEMS[0]].events == before
        follower.replica.follow({fed})
        await until(lambda: follower.replica.rows[ITEMS[0]].events > before)
        await until(lambda: follower.replica.lag == 0)
        await first.stop()
        await second.stop()

    run(test)


def test_a_log_that_was_cut_before_it_was_read_ends_the_worker() -> None:
    async def test() -> None:
        first, second = await two_workers()
        deployment = first.deployment
        visit(deployment, 7)
        await first.fold(first.suggest)
        late = MemoryWorker(deployment)
        gate = asyncio.Event()

        class Consumer(MemoryConsumer):
            async def end_offsets(self, logs):  # type: ignore[no-untyped-def]
                if {log.topic for log in logs} == {"pairs"}:
                    await gate.wait()
                return await super().end_offsets(logs)

        late.new_consumer = lambda: Consumer(deployment.log)
        late.replica.follow({0, 1})
        await turns()
        for partition in (0, 1):
            deployment.log.cut("pairs", partition, deployment.log.end("pairs", partition) - 1)
        gate.set()
        await until(lambda: bool(late.died))
        [error] = late.died
        assert isinstance(error, AccidentError) and "the log was cut before it was read" in str(error)
        assert not late.replica.loaded.is_set()
        for worker in (first, second, late):
            await worker.stop()

    run(test)


def test_a_partition_that_is_taken_over_is_folded_by_learn_alone() -> None:
    async def test() -> None:
        first, second = await two_workers()
        deployment = first.deployment
        await first.take_over(generation=2)
        visit(deployment, 8)
        await first.fold(first.suggest)
        await turns()
        assert all(shard.position < deployment.log.end("pairs", n) for n, shard in first.learn.shards.items())
        await first.fold(first.learn)
        assert all(len(shard.take_dirty()) for shard in first.learn.shards.values())
        for worker in (first, second):
            await worker.stop()

    run(test)


def test_what_a_replica_was_ahead_of_the_mark_is_not_counted_twice_after_a_takeover() -> None:
    async def test() -> None:
        first, second = await two_workers()
        new = next(item for item in map(str, range(99)) if partition_of(item, 2) == 1)
        last = (event("new", "e1", new), event("new", "e2", ITEMS[0]))
        first.deployment.put(*last)
        await first.fold(first.suggest)
        await until(lambda: new in first.replica.rows)
        await first.take_over(generation=2)  # the second worker was killed before it folded this
        await first.fold()
        assert first.replica.rows == await rows_of(*range(6), last=last)
        await first.stop()
        await second.stop()

    run(test)


def test_a_takeover_that_overtakes_another_leaves_no_follower_behind() -> None:
    async def test() -> None:
        first, second = await two_workers()
        deployment = first.deployment
        gate = asyncio.Event()

        class SlowStore(MemoryStore):
            async def take_over(self, partition: int) -> None:
                await gate.wait()
                await super().take_over(partition)

        third = MemoryWorker(deployment)
        third.learn._store = SlowStore(deployment, "cooccurrence")  # type: ignore[assignment]
        await third.suggest.take_over({0, 1}, 1)
        taking = [
            asyncio.ensure_future(third.learn.take_over({0}, 1)),
            asyncio.ensure_future(third.learn.take_over({0, 1}, 2)),
        ]
        await turns()
        gate.set()
        await asyncio.gather(*taking)
        visit(deployment, 8)
        await third.fold(third.suggest)
        await turns()
        # A follower left behind would fold into learn's shards, or into the same rows a second time.
        assert all(shard.position < deployment.log.end("pairs", n) for n, shard in third.learn.shards.items())
        await third.fold(third.learn)
        assert third.replica.rows == await rows_of(*range(6), 8)
        assert third.died == []
        for worker in (first, second, third):
            await worker.stop()

    run(test)


def test_rows_that_are_still_being_loaded_have_no_digest() -> None:
    async def test() -> None:
        worker = MemoryWorker(Deployment(partitions=1))
        await worker.take_over()
        [loaded] = await digests(worker)
        worker.replica.new_shard(0)
        [loading] = await digests(worker)
        assert (loaded.digest is None, loading.digest) == (False, None)
        await worker.stop()

    run(test)


def test_a_digest_of_rows_that_change_meanwhile_says_so() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        for number in range(600):
            deployment.put(event(f"s{number}", "e1", f"item-{number}"))
        worker = MemoryWorker(deployment)
        await worker.take_over()
        await worker.fold()
        deployment.put(event("new", "e1", "item-0"))
        await worker.fold(worker.suggest)
        digesting = asyncio.ensure_future(digests(worker))
        await asyncio.sleep(0)  # 500 rows are hashed, then others have their turn
        await worker.learn.handle(worker.batch(worker.learn))
        [digest] = await digesting
        assert (digest.rows, digest.digest) == (601, None)
        [steady] = await digests(worker)
        assert steady.digest is not None and steady.position == worker.learn.shards[0].position
        await worker.stop()

    run(test)


def test_freshness_is_observed_for_every_event_once_a_record() -> None:
    async def test() -> None:
        deployment = Deployment(1)
        deployment.put(event("a", "e1", "tea"), event("a", "e2", "cup"))
        worker = MemoryWorker(deployment)
        await worker.take_over()
        await worker.fold()
        assert worker.metric("sidecart_freshness_seconds_count") == 1  # both arrived in the same millisecond
        await worker.stop()

    run(test)
