"""One seeded schedule: a shop, up to three workers, and accidents between any two steps; then what must hold."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace

import msgspec
from aiokafka.errors import KafkaTimeoutError, ProducerFenced
from cluster import Cluster
from quiet_loop import QuietLoop, run_quietly
from simulated_disk import ReadOptions, WriteBatch
from simulated_worker import SimulatedWorker
from steps import TOPICS, Slot, Steps
from truth import Logs, differences, folded_pairs

import streams.agents.ingest
import streams.stage
import streams.store
from models.errors import LateWriterError
from streams.topics import INPUTS, TABLES

__all__ = ["Outcome", "run_schedule"]

#: What ends a worker of a right product, in accidents that it is made for.
_RIGHT_DEATHS = (KafkaTimeoutError, LateWriterError, ProducerFenced)
_LAST_WORKERS = 12
_LAST_STEPS = 60_000


@dataclass
class Outcome:
    """What a schedule has found, and how often what happened in it."""

    seed: int
    differences: list[str]
    happened: Counter[str]


class _Schedule(Steps):
    """Runs the steps in the order that the seed gives, then lets everything come to rest, and judges."""

    def __init__(self, seed: int, loop: QuietLoop, often: Mapping[str, float]) -> None:
        super().__init__(seed, often)
        self.found: list[str] = []
        self._loop = loop
        self._logs = Logs(
            lambda row, partition: self.cluster.stable_records(TOPICS[row].name, partition),
            self.partitions,
            self.info.input_partitions,
            self.parameters,
        )

    async def run(self) -> None:
        steps = self._events * self.random.randint(6, 20)
        await self._begin()
        for _ in range(steps):
            names = list(self._weights)
            name = self.random.choices(names, list(self._weights.values()))[0]
            if getattr(self, f"_{name}")():
                self.happened[name] += 1
            await self._loop.quiet()
        while self._events:
            self._send()
        await self._end()

    async def _begin(self) -> None:
        self.slots[0].worker = self._new_worker(self.slots[0])
        await self._loop.quiet()
        self.group.begin(list(self._alive()))
        self.group.complete()
        await self._loop.quiet()

    # -- the end

    async def _end(self) -> None:
        """Have one worker take over everything and fold to the end."""
        if self.random.random() < 0.5:
            for worker in self._alive():
                worker.process.kill()
        self._stalled = None
        slot = self.random.choice(self.slots)
        if slot.worker is not None:
            slot.worker.process.kill()
        await self._settle([slot])

    async def start_anew(self) -> None:
        """Lose every disk, compact the changelogs wholly, and start two workers."""
        for worker in self.workers:
            worker.process.kill()
        for table in TABLES:
            for partition in range(self.partitions):
                topic = TOPICS[f"{table}-changelog"].name
                self.cluster.compact(
                    topic, partition, self.cluster.stable_end(topic, partition), keeps_tombstones=False
                )
        await self._settle([Slot(), Slot()])

    async def _settle(self, slots: list[Slot]) -> None:
        """Start workers and run all there are, without further accidents, until nothing is left to do."""
        for _ in range(_LAST_WORKERS):
            while self._abort():
                pass
            last = [self._new_worker(slot) for slot in slots]
            await self._loop.quiet()
            self.group.begin(last)
            self.group.complete()
            if await self._run_out(last):
                return
            for worker in last:
                worker.process.kill()
        died_of = self.workers[-1].process.died_of or self.workers[-len(slots)].process.died_of
        self.found.append(f"no worker lives to the end: {died_of!r}")

    async def _run_out(self, last: list[SimulatedWorker]) -> bool:
        has_folded, closing = True, 0
        for _ in range(_LAST_STEPS):
            await self._loop.quiet()
            if not all(worker.process.is_alive for worker in last):
                return False
            if self._deliver():
                continue
            if self._fold():
                has_folded = True
            elif closing == 0:
                closing, has_folded = 1, False
                self._windows()
            elif closing == 1:
                closing = 2
                for worker in last:
                    worker.start_commit()
            elif has_folded:
                closing = 0
            else:
                return self._is_through(last)
        self.found.append("the last worker does not come to an end")
        return True

    def _is_through(self, last: list[SimulatedWorker]) -> bool:
        if not all(worker.is_active and worker.replica.loaded.is_set() for worker in last):
            self.found.append("the last worker hangs")
        return True

    def judge(self) -> None:
        """Note every difference; what a broken product did is judged by the rules of the right one."""
        self.found += differences(self._logs)
        self.found += self._replica_differences()
        if not self.happened["set_back"]:
            inputs = {TOPICS[kind].name for kind in INPUTS}
            went_back = [place for place in self.cluster.went_back if place[0] in inputs]
            self.found += [f"the commit of {topic}/{partition} went back" for topic, partition in went_back]
        for worker in self.workers:
            error = worker.process.died_of
            if error is not None:
                self.happened[type(error).__name__] += 1
                if not isinstance(error, _RIGHT_DEATHS):
                    self.found.append(f"{worker.process.name} died of {type(error).__name__}: {error}")

    def _replica_differences(self) -> list[str]:
        """Compare what workers had in memory with the fold of `pairs` up to where they stood."""
        for worker in self._alive():
            self._remember_replica(worker)
        found = []
        expected: dict[tuple[int, int], bytes] = {}
        for name, partition, position, rows in self._replicas:
            if (partition, position) not in expected:
                folded = dict(folded_pairs(self._logs, partition, position))
                expected[partition, position] = msgspec.msgpack.encode(folded, order="sorted")
            if rows != expected[partition, position]:
                found.append(f"replica: {name} differs in partition {partition} at {position}")
        self._replicas.clear()
        return found


@contextmanager
def _in_small(cluster: Cluster) -> Iterator[None]:
    """Have Sidecart's store write into memory, and its stages ask the cluster in small for what was committed."""
    before = streams.store.rocksdict, streams.stage.committed_offsets, streams.agents.ingest.committed_offsets
    streams.store.rocksdict = SimpleNamespace(
        ReadOptions=ReadOptions, WriteBatch=WriteBatch, WriteOptions=SimpleNamespace
    )
    streams.stage.committed_offsets = streams.agents.ingest.committed_offsets = lambda _: dict(cluster.commits)
    try:
        yield
    finally:
        streams.store.rocksdict, streams.stage.committed_offsets, streams.agents.ingest.committed_offsets = before


def run_schedule(
    seed: int,
    without: Callable[[], AbstractContextManager[None]] = nullcontext,
    often: Mapping[str, float] = MappingProxyType({}),
) -> Outcome:
    """Run the schedule of a seed.

    Parameters
    ----------
    without : callable
        Takes a rule out of the product, but not out of what it is judged by.
    often : mapping of str to float
        Weights of steps, in place of those that are drawn.
    """

    async def run(loop: QuietLoop) -> Outcome:
        schedule = _Schedule(seed, loop, often)
        with _in_small(schedule.cluster):
            with without():
                await schedule.run()
            schedule.judge()
            if not schedule.found:
                with without():
                    await schedule.start_anew()
                schedule.judge()
        return Outcome(seed, schedule.found, schedule.happened)

    outcome: Outcome = run_quietly(run)
    return outcome
