"""The four stages as the consumer sees them: who reads what, from where, and what may be committed."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from faust.types import TP

from streams.agents.ingest import Ingest
from streams.context import Context
from streams.stage import TableStage
from streams.topics import INPUTS

__all__ = ["Pipeline"]


class Pipeline:
    """Implements `streams.batching.Checkpoints` over the stages.

    Attributes
    ----------
    is_recovered : bool
        Whether all partitions of the current assignment are loaded and sought to.
    flushes : int
        Checkpoints that were begun.
    is_flushing : bool
        Whether one of them is under way.
    handled : dict of str to int
        Batches that each stage is done with, by the name of the stage.
    """

    def __init__(self, context: Context, ingest: Ingest, table_stages: Sequence[TableStage[Any]]) -> None:
        self.context = context
        self.ingest = ingest
        self.table_stages = table_stages
        self.is_recovered = False
        self.flushes = 0
        self._flushing = 0
        self._stages = {context.name(kind): "ingest" for kind in INPUTS}
        self._stages |= {context.name(stage.log): stage.table for stage in table_stages}
        self.handled = dict.fromkeys(self._stages.values(), 0)

    @property
    def topics(self) -> Iterable[str]:
        """The topics that the stages read."""
        return self._stages

    @property
    def is_flushing(self) -> bool:
        return self._flushing > 0

    def stage_of(self, topic: str) -> str | None:
        """Return the name of the stage that reads a topic, None for a changelog."""
        return self._stages.get(topic)

    def turn_of(self, topic: str) -> int | None:
        """Return 1 for what ingest makes and somebody waits for, 0 for all that comes from elsewhere or may wait."""
        if topic not in self._stages:
            return None
        return 1 if topic == self.context.name("session-events") else 0

    async def positions(self, assigned: Iterable[TP]) -> Mapping[TP, int | None]:
        """Return where each assigned log partition goes on: the tables' marks, the door's commits."""
        assigned = list(assigned)
        try:
            result = dict(await self.ingest.resume(assigned))
            for stage in self.table_stages:
                topic = self.context.name(stage.log)
                result |= {tp: stage.shards[tp.partition].position for tp in assigned if tp.topic == topic}
        except Exception as error:
            self.context.die(error)
            raise
        self.is_recovered = True
        self.context.recovery.moved()
        return result

    async def checkpoint(self) -> Mapping[TP, tuple[int, str]]:
        """Flush all stages side by side; an error that stops one stops the process before the commit."""
        started = monotonic()
        self.flushes += 1
        self._flushing += 1
        try:
            flushed = await asyncio.gather(self.ingest.flush(), *(stage.flush() for stage in self.table_stages))
        except Exception as error:
            self.context.die(error)
            raise
        finally:
            self._flushing -= 1
        if any(flushed):
            self.context.metrics.flush_seconds.observe(monotonic() - started)
        return {tp: offset for offsets in flushed for tp, offset in offsets.items()}

    async def take_over(self, stage: TableStage[Any], owned: Callable[[], set[int]], generation: int) -> None:
        """Have a stage own its partitions of the current assignment."""
        self.is_recovered = False
        try:
            await stage.take_over(owned(), generation)
        except Exception as error:
            self.context.die(error)
            raise
