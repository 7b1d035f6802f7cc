"""How far a recovery is: what /ready, the metrics and the log say of it, and what the watchdog looks at.

A recovery lasts from the moment a worker starts or its partitions move until it is ready again.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

__all__ = ["REPLICA", "Loading", "Recovery"]

#: The name under which the replica's partitions are counted, beside those of the tables.
REPLICA = "replica"

_TELL_S = 10.0

logger = logging.getLogger(__name__)


class Loading:
    """One table partition on its way into memory.

    Attributes
    ----------
    step : str
        What is being done.
    records, end : int
        Records of the step's log that are read, and how many there are; both 0 where the step reads none.
    rows : int
        Rows put into memory.
    replay : int
        Records between the mark and the end of the log: what has to be folded once more.
    """

    def __init__(self, table: str, partition: int, started: float, moved: Callable[[], None]) -> None:
        self.table = table
        self.partition = partition
        self.started = started
        self.step = ""
        self.records = self.end = self.rows = self.replay = 0
        self._past_records = self._past_end = 0
        self._moved = moved

    @property
    def total_records(self) -> int:
        """Records read in all steps."""
        return self._past_records + self.records

    @property
    def total_end(self) -> int:
        """Records to read in all steps so far."""
        return self._past_end + self.end

    def begin(self, step: str) -> None:
        """Begin the next step."""
        self._past_records, self._past_end = self.total_records, self.total_end
        self.step, self.records, self.end = step, 0, 0
        self._moved()

    def reached(self, records: int, end: int) -> None:
        """Note how many records of the step's log are read, of how many; offsets without a record count too."""
        self.records, self.end = records, end
        self._moved()

    def loaded(self, rows: int) -> None:
        """Note how many rows are in memory."""
        self.rows = rows
        self._moved()

    def show(self, now: float) -> dict[str, Any]:
        """Return what /ready shows; `percent` is of the step's records, null where it reads none."""
        return {
            "table": self.table,
            "partition": self.partition,
            "step": self.step,
            "records": self.records,
            "of": self.end,
            "percent": round(100 * self.records / self.end, 1) if self.end else None,
            "rows": self.rows,
            "seconds": round(now - self.started, 1),
        }


class Recovery:
    """The recovery under way, or the latest one.

    Parameters
    ----------
    clock : callable
        Seconds that only grow.

    Attributes
    ----------
    moves : int
        Grows with every step, batch of records and batch of rows: a recovery in which it stands still is stuck.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.moves = 0
        self._clock = clock
        self._since: float | None = None
        self._moved_at = self._told_at = clock()
        self._loadings: dict[tuple[str, int], Loading] = {}
        self._loaded: list[Loading] = []

    @property
    def is_loading(self) -> bool:
        """Whether a table partition is being loaded."""
        return bool(self._loadings)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning, 0 when there is no recovery under way."""
        return 0.0 if self._since is None else self._clock() - self._since

    def moved(self) -> None:
        """Note that something got on."""
        self.moves += 1
        self._moved_at = self._clock()

    def begin(self, reason: str) -> None:
        """Begin a recovery, unless one is under way."""
        self.moved()
        if self._since is None:
            self._since = self._told_at = self._moved_at
            self._loaded = []
            logger.info("recovery starts: %s", reason)

    @contextmanager
    def loading(self, table: str, partition: int) -> Iterator[Loading]:
        """Show a table partition while it is being loaded."""
        self.begin(f"{table}/{partition} is to be loaded")
        loading = Loading(table, partition, self._clock(), self.moved)
        self._loadings[table, partition] = loading
        try:
            yield loading
            self._loaded.append(loading)
        finally:
            del self._loadings[table, partition]
            self.moved()

    def tell(self, missing: Sequence[str]) -> None:
        """Write the log: one line every ten seconds while something is `missing`, and one when nothing is any more."""
        if self._since is None:
            return
        if not missing:
            logger.info("recovery ended after %.1f s: %s", self._moved_at - self._since, self._amount())
            self._since = None
        elif self._clock() - self._told_at >= _TELL_S:
            self._told_at = self._clock()
            logger.info("recovery for %.0f s: %s; %s", self.seconds, "; ".join(missing), self._amount())

    def records_of(self, table: str) -> int:
        """Return the records read for a table in this recovery, or in the latest one."""
        return sum(loading.total_records for loading in self._all() if loading.table == table)

    def end_of(self, table: str) -> int:
        """Return the records to be read for a table in this recovery, or in the latest one."""
        return sum(loading.total_end for loading in self._all() if loading.table == table)

    def replay_of(self, table: str) -> int:
        """Return the records between the marks of a table and the end of its log at the latest takeover."""
        return sum(loading.replay for loading in self._all() if loading.table == table)

    def show(self) -> dict[str, Any] | None:
        """Return what /ready shows; null when there is no recovery under way."""
        if self._since is None:
            return None
        now = self._clock()
        loadings = sorted(self._loadings.copy().values(), key=lambda each: (each.table, each.partition))
        steps = sorted({loading.step for loading in loadings})
        records, end = self._sums()
        return {
            "seconds": round(self.seconds, 1),
            "step": ", ".join(steps) or "waiting for the group",
            "records": records,
            "of": end,
            "percent": round(100 * records / end, 1) if end else None,
            "partitions_loaded": len(self._loaded),
            "loading": [loading.show(now) for loading in loadings],
        }

    def _all(self) -> list[Loading]:
        return [*self._loaded, *self._loadings.copy().values()]

    def _sums(self) -> tuple[int, int]:
        loadings = self._all()
        return sum(each.total_records for each in loadings), sum(each.total_end for each in loadings)

    def _amount(self) -> str:
        records, end = self._sums()
        rows = sum(loading.rows for loading in self._all())
        replay = sum(loading.replay for loading in self._all())
        return (
            f"{len(self._loaded)} table partitions loaded with {rows:,} rows, {records:,} of {end:,} records read,"
            f" {replay:,} to fold again"
        )
