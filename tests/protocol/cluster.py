"""Kafka in small: logs, transactions, compaction and a consumer group, every request of which is a step of a schedule.

A request is on its way until the schedule delivers it, loses it, or loses only its answer. It outlives its sender.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaTimeoutError, ProducerFenced
from aiokafka.structs import ConsumerRecord
from memory_log import MemoryLog, Message

__all__ = ["Cluster", "Commits", "Process", "Request"]

Commits = dict[tuple[str, int], tuple[int, str]]


class Process:
    """One operating-system process; what is killed runs no further line and hears no answer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: list[asyncio.Task[Any]] = []
        self.died_of: BaseException | None = None
        self.is_alive = True

    def kill(self, error: BaseException | None = None) -> None:
        if self.is_alive:
            self.is_alive = False
            self.died_of = error
            for task in self.tasks:
                task.cancel()


class Request:
    """What a process has asked of the cluster: `perform` is its effect, in the moment of its delivery."""

    def __init__(self, process: Process, kind: str, lane: object, perform: Callable[[], Any]) -> None:
        self.process = process
        self.kind = kind
        #: Requests of one process and lane are delivered in their order.
        self.lane = lane
        self.perform = perform
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        #: For a fetch: whether there is anything to bring.
        self.is_ready: Callable[[], bool] = lambda: True

    def answer(self, result: Any = None, error: BaseException | None = None) -> None:
        if self.process.is_alive and not self.future.done():
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)


@dataclass
class _Transaction:
    process: Process
    written: list[tuple[TopicPartition, int]] = field(default_factory=list)


@dataclass
class Cluster:
    """The brokers. `generation` and `members` are the consumer group's."""

    random: Random
    log: MemoryLog = field(default_factory=MemoryLog)
    requests: list[Request] = field(default_factory=list)
    commits: Commits = field(default_factory=dict)
    #: All that was ever committed, for a group that is set back.
    history: list[Commits] = field(default_factory=list)
    generation: int = 0
    members: set[Process] = field(default_factory=set)
    #: Partitions whose committed offset one worker has set back behind another's.
    went_back: list[tuple[str, int]] = field(default_factory=list)
    checks_generation: ClassVar[bool] = True
    _open: dict[str, _Transaction] = field(default_factory=dict)
    _committers: dict[tuple[str, int], Process] = field(default_factory=dict)

    # -- requests

    def ask(self, process: Process, kind: str, perform: Callable[[], Any], lane: object = None) -> Request:
        """Send a request; its future is the answer."""
        request = Request(process, kind, lane, perform)
        if process.is_alive:
            self.requests.append(request)
        else:
            request.future.cancel()
        return request

    def deliverable(self) -> list[Request]:
        """Return the requests that can be delivered next."""
        lanes = set()
        found = []
        self.requests = [each for each in self.requests if not (each.kind == "fetch" and each.future.done())]
        for request in self.requests:
            lane = (id(request.process), request.lane)
            if request.lane is not None:
                if lane in lanes:
                    continue
                lanes.add(lane)
            if request.is_ready():
                found.append(request)
        return found

    def deliver(self, request: Request) -> None:
        self.requests.remove(request)
        try:
            result = request.perform()
        except (CommitFailedError, ProducerFenced) as error:
            request.answer(error=error)
        else:
            request.answer(result)

    def lose(self, request: Request) -> None:
        """Lose a request; its sender waits until it gives up."""
        self.requests.remove(request)
        request.answer(error=KafkaTimeoutError("the request has expired"))

    def lose_answer(self, request: Request) -> None:
        """Do what a request asks; its sender waits for the answer until it gives up."""
        self.requests.remove(request)
        try:
            request.perform()
        except (CommitFailedError, ProducerFenced) as error:
            request.answer(error=error)
        else:
            request.answer(error=KafkaTimeoutError("no answer has come"))

    # -- logs

    def append(self, topic: str, partition: int, messages: list[Message], headers: Any = ()) -> int:
        return self.log.append(topic, partition, messages, headers=headers)

    def stable_end(self, topic: str, partition: int) -> int:
        """Return the end for those who read only what is committed."""
        log = TopicPartition(topic, partition)
        starts = [offset for each in self._open.values() for written, offset in each.written if written == log]
        return min([*starts, self.log.end(topic, partition)])

    def stable_records(self, topic: str, partition: int, start: int = 0) -> list[ConsumerRecord]:
        end = self.stable_end(topic, partition)
        return [record for record in self.log.records(topic, partition, start) if record.offset < end]

    def compact(self, topic: str, partition: int, end: int, keeps_tombstones: bool = True) -> None:
        """Keep the last record of every key before `end`, which is at most the stable end."""
        self.log.compact(topic, partition, min(end, self.stable_end(topic, partition)), keeps_tombstones)

    # -- transactions

    def fence(self, transactional_id: str) -> int:
        """Refuse all who wrote under this id before, and abort what they have not committed; return the new epoch."""
        self.abort(transactional_id)
        epoch = self.log.epochs[transactional_id] = self.log.epochs.get(transactional_id, 0) + 1
        return epoch

    def write(
        self, process: Process, transactional_id: str, epoch: int, topic: str, partition: int, messages: list[Message]
    ) -> int:
        self._check(transactional_id, epoch)
        transaction = self._open.setdefault(transactional_id, _Transaction(process))
        first = self.append(topic, partition, messages)
        log = TopicPartition(topic, partition)
        transaction.written += [(log, first + at) for at in range(len(messages))]
        return first

    def commit_transaction(self, transactional_id: str, epoch: int) -> None:
        self._check(transactional_id, epoch)
        self._end(transactional_id)

    def abort(self, transactional_id: str) -> None:
        transaction = self._open.get(transactional_id)
        if transaction is not None:
            self.log.hide(transaction.written)
            self._end(transactional_id)

    def orphaned_transactions(self) -> list[str]:
        """Return what dead writers have left open."""
        return [transactional_id for transactional_id, each in self._open.items() if not each.process.is_alive]

    def _end(self, transactional_id: str) -> None:
        transaction = self._open.pop(transactional_id, None)
        for topic, partition in sorted({log for log, _ in transaction.written} if transaction else ()):
            self.log.skip(topic, partition)

    def _check(self, transactional_id: str, epoch: int) -> None:
        if self.log.epochs[transactional_id] != epoch:
            raise ProducerFenced

    # -- the group

    def commit(self, process: Process, generation: int, offsets: Mapping[Any, tuple[int, str]]) -> None:
        if self.checks_generation and (process not in self.members or generation != self.generation):
            raise CommitFailedError
        for place, offset in offsets.items():
            if offset[0] < self.commits.get(place, (0, ""))[0] and self._committers.get(place) is not process:
                self.went_back.append(place)
            self.commits[place] = offset
            self._committers[place] = process
        self.history.append(dict(self.commits))
