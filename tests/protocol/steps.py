"""Everything in a schedule, and its steps: what each of them does is drawn from the seed."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import msgspec
from cluster import Cluster, Request
from memory_log import MemoryLog
from shop import Shop
from simulated_disk import Disk
from simulated_group import Group
from simulated_worker import SimulatedWorker

from models.parameters import DEFAULTS
from streams.admin import TopicsInfo
from streams.settings import Settings
from streams.topics import INPUTS, TABLES, topic_table
from streams.wire import MARK_KEY

__all__ = ["TOPICS", "Slot", "Steps"]

TOPICS = topic_table(Settings())
#: Few sessions are evidence enough: most events are offered something, and it depends on the moment.
_PARAMETERS = replace(DEFAULTS, confidence_z=0.0, popular_sessions_floor=1.0, popular_share_floor=0.0)
_WORKERS = 3
#: What happens to a disk before a worker starts on it again.
_FATES = ("disk kept", "disk lost", "disk old")


@dataclass
class Slot:
    """A machine: its disk now, and as it once was."""

    disk: Disk = field(default_factory=Disk)
    old: Disk = field(default_factory=Disk)
    worker: SimulatedWorker | None = None


class Steps:
    """A shop, a cluster and up to three workers. Each step returns whether there was anything to do."""

    def __init__(self, seed: int, often: Mapping[str, float]) -> None:
        self.random = random = Random(seed)
        self.happened: Counter[str] = Counter()
        self.partitions = random.randint(1, 3)
        inputs = {kind: random.randint(1, 2) for kind in INPUTS}
        self.info = TopicsInfo(self.partitions, inputs, {row: f"id-of-{row}" for row in TOPICS})
        self.parameters = _PARAMETERS
        if random.random() < 0.3:
            self.parameters = replace(_PARAMETERS, catalogue_max=3 * self.partitions)
        self.cluster = Cluster(random, MemoryLog())
        logs = {TOPICS[kind].name: count for kind, count in inputs.items()}
        logs |= {TOPICS[row].name: self.partitions for row in ("session-events", "pairs", "tallies")}
        self.group = Group(self.cluster, random, logs)
        self.shop = Shop(random, self.cluster.log, dict(inputs))
        self.slots = [Slot() for _ in range(_WORKERS)]
        self.workers: list[SimulatedWorker] = []
        #: What workers had in memory: worker, partition, position, rows.
        self._replicas: list[tuple[str, int, int, bytes]] = []
        self._events = random.randint(20, 80)
        fates = dict(zip(_FATES, random.choice(((1, 0, 0), (3, 1, 1), (1, 0, 3), (1, 3, 0))), strict=True))
        drawn = self._draw_weights() | fates | often
        self._fates = [drawn.pop(fate) for fate in _FATES]
        self._weights = drawn

    def _draw_weights(self) -> dict[str, float]:
        """Every schedule has accidents of its own: in a mixture of all each would be rare."""
        random = self.random
        often = {"deliver": 40.0, "fold": 20.0, "send": random.uniform(1, 8), "commit": random.uniform(0.5, 4)}
        often |= {"start": 2.0, "notice": 4.0, "complete": 2.0, "rebalance": random.uniform(0.2, 2)}
        rare = (
            "crash", "expire", "lose_answer", "lose", "hurry", "compact", "set_back", "move_commits", "snapshot",
            "windows", "abort", "stall",
        )  # fmt: skip
        return often | {name: random.choice((0.0, random.uniform(0.1, 2.0))) for name in rare}

    def _alive(self) -> Iterator[SimulatedWorker]:
        return (worker for worker in self.workers if worker.process.is_alive)

    def _one(self, found: list[Any]) -> Any:
        return self.random.choice(found) if found else None

    def _new_worker(self, slot: Slot) -> SimulatedWorker:
        name = f"worker-{len(self.workers)}"
        worker = SimulatedWorker(name, self.cluster, self.group, slot.disk, self.info, self.parameters)
        slot.worker = worker
        self.workers.append(worker)
        return worker

    # -- the steps

    def _deliver(self) -> bool:
        stalled = self.happened["stall"] and self._stalled
        requests = [each for each in self.cluster.deliverable() if each.process.name != stalled]
        request: Request | None = self._one(requests)
        if request is not None:
            self.cluster.deliver(request)
        return request is not None

    _stalled: str | None = None

    def _stall(self) -> bool:
        """From now on the network of one worker stands still, until another's does: two owners for long."""
        worker = self._one(list(self._alive()))
        self._stalled = None if self.random.random() < 0.5 or worker is None else worker.process.name
        return True

    def _writes(self) -> list[Request]:
        return [each for each in self.cluster.deliverable() if each.kind in ("send", "end")]

    def _expire(self) -> bool:
        request = self._one([each for each in self._writes() if each.process.is_alive])
        if request is not None:
            self.cluster.lose(request)
        return request is not None

    def _lose_answer(self) -> bool:
        request = self._one([each for each in self._writes() if each.process.is_alive])
        if request is not None:
            self.cluster.lose_answer(request)
        return request is not None

    def _lose(self) -> bool:
        """Lose what a dead worker had sent; else it still gets in, late."""
        request = self._one([each for each in self.cluster.requests if not each.process.is_alive])
        if request is not None:
            self.cluster.lose(request)
        return request is not None

    def _send(self) -> bool:
        if self._events:
            self._events -= 1
            self.shop.send()
        return True

    def _fold(self) -> bool:
        choices = [(worker, stage) for worker in self._alive() for stage in worker.waiting()]
        chosen = self._one(choices)
        if chosen is not None:
            chosen[0].fold(chosen[1], self.random, self.random.choice((1, 3, 8)))
        return chosen is not None

    def _commit(self) -> bool:
        worker = self._one([each for each in self._alive() if each.is_active and not each.is_committing])
        if worker is not None:
            worker.start_commit()
        return worker is not None

    def _windows(self) -> bool:
        for worker in self._alive():
            worker.publish_windows()
        return True

    def _crash(self) -> bool:
        alive = list(self._alive())
        worker = self._one([each for each in alive if each.is_committing] or alive)
        if worker is not None:
            self._remember_replica(worker)
            worker.process.kill()
        return worker is not None

    def _remember_replica(self, worker: SimulatedWorker) -> None:
        for partition, shard in worker.replica._shards.items():
            if not shard.is_loaded:
                continue
            rows = msgspec.msgpack.encode({key: shard.rows[key] for key in shard.keys}, order="sorted")
            self._replicas.append((worker.process.name, partition, shard.position, rows))

    def _start_in(self, slot: Slot) -> None:
        fate = self.random.choices(_FATES, self._fates)[0]
        if fate == "disk lost":
            slot.disk = Disk()
        elif fate == "disk old":
            slot.disk = slot.old.snapshot()
        self.happened[fate] += 1
        self._new_worker(slot)

    def _start(self) -> bool:
        slot = self._one([each for each in self.slots if each.worker is None or not each.worker.process.is_alive])
        if slot is not None:
            self._start_in(slot)
        return slot is not None

    def _snapshot(self) -> bool:
        slot = self.random.choice(self.slots)
        slot.old = slot.disk.snapshot()
        return True

    def _rebalance(self) -> bool:
        alive = list(self._alive())
        if self.group.wanted or not alive:
            return False
        if self.random.random() < 0.5:
            alive = self.random.sample(alive, self.random.randint(1, len(alive)))
        self.group.begin(alive)
        return True

    def _notice(self) -> bool:
        worker = self._one(self.group.missing())
        return worker is not None and worker.notice()

    def _hurry(self) -> bool:
        for worker in self.group.missing():
            worker.hurry()
        return True

    def _complete(self) -> bool:
        if not self.group.wanted or (self.group.missing() and self.random.random() < 0.8):
            return False
        self.group.complete()
        return True

    def _compact(self) -> bool:
        """The cleaner runs over every changelog, in some up to a segment's end."""
        for table in TABLES:
            topic = TOPICS[f"{table}-changelog"].name
            for partition in range(self.partitions):
                end = self.cluster.stable_end(topic, partition)
                self.cluster.compact(topic, partition, self.random.choice((end, self.random.randint(0, end))))
        return True

    def _abort(self) -> bool:
        """A transaction has been open for too long."""
        transaction = self._one(self.cluster.orphaned_transactions())
        if transaction is not None:
            self.cluster.fence(transaction)
        return transaction is not None

    def _set_back(self) -> bool:
        """The group's commits are lost, or old ones come back."""
        old = self._one([{}, *self.cluster.history])
        for kind in INPUTS:
            for partition in range(self.info.input_partitions[kind]):
                place = (TOPICS[kind].name, partition)
                self.cluster.commits.pop(place, None)
                if place in old:
                    self.cluster.commits[place] = old[place]
        return True

    def _move_commits(self) -> bool:
        """Somebody moves the group's offsets of an internal log, as with kafka-consumer-groups."""
        table, log = self.random.choice((("sessions", "session-events"), ("cooccurrence", "pairs"), ("kpi", "tallies")))
        partition = self.random.randrange(self.partitions)
        changelog = self.cluster.stable_records(TOPICS[f"{table}-changelog"].name, partition)
        if not any(record.key == MARK_KEY for record in changelog):
            return False
        end = self.cluster.log.end(TOPICS[log].name, partition)
        self.cluster.commits[TOPICS[log].name, partition] = (self.random.randint(0, end), "")
        return True
