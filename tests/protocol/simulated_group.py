"""The consumer group in small: who is in it, and who owns what since the last rebalance."""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import Protocol

from cluster import Cluster, Process
from faust.types import TP

__all__ = ["Group", "Member"]


class Member(Protocol):
    """What the group knows of a worker."""

    process: Process


class Group:
    """The consumer group: who is in it, and who owns what since the last rebalance."""

    def __init__(self, cluster: Cluster, random: Random, logs: Mapping[str, int]) -> None:
        #: Set while the group rebalances: who is awaited.
        self.wanted: list[Member] = []
        self._cluster = cluster
        self._random = random
        self._logs = logs
        self._joining: dict[Member, asyncio.Future[tuple[int, set[TP]]]] = {}

    def join(self, worker: Member) -> "asyncio.Future[tuple[int, set[TP]]]":
        future: asyncio.Future[tuple[int, set[TP]]] = asyncio.get_running_loop().create_future()
        self._joining[worker] = future
        return future

    def begin(self, wanted: list[Member]) -> None:
        """Begin a rebalance; who is not wanted has not been heard of for a session timeout, and does not know it."""
        self.wanted = wanted

    def joined(self) -> list[Member]:
        return [worker for worker in self.wanted if worker in self._joining and worker.process.is_alive]

    def missing(self) -> list[Member]:
        return [worker for worker in self.wanted if worker not in self._joining and worker.process.is_alive]

    def complete(self) -> None:
        """End the rebalance with those who have joined: a new generation, and a new owner for every partition."""
        joined, self.wanted = self.joined(), []
        if not joined:
            return
        cluster = self._cluster
        cluster.generation += 1
        cluster.members = {worker.process for worker in joined}
        assignment: dict[Member, set[TP]] = {worker: set() for worker in joined}
        for partition in range(max(self._logs.values())):
            owner = self._random.choice(joined)
            assignment[owner] |= {TP(log, partition) for log, count in self._logs.items() if partition < count}
        for worker in joined:
            self._joining.pop(worker).set_result((cluster.generation, assignment[worker]))
