"""Reads what has been learnt about one item from the changelog of the table `cooccurrence`."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from aiokafka.structs import ConsumerRecord

from models.cooccurrence import TOTALS, Row
from models.errors import UnknownItemError
from models.inspection import ItemReport, close_ids, inspect_item
from models.partitioning import partition_of
from models.rows import PlainRows
from streams.admin import TopicsInfo
from streams.changelog import LogReader
from streams.clients import Clients
from streams.context import model_parameters
from streams.settings import Settings
from streams.topics import changelog_name
from streams.whole_topic import read_topic
from streams.wire import ROWS, Mark, decode_mark, row_id

__all__ = ["ItemReader"]

_TABLE = "cooccurrence"


class ItemReader:
    """Reads the table as it is at the moment, for one item.

    The item's own partition is read first: its row names the neighbours. Then all partitions are read for the rows of
    these and for the marks, so that of a large table little is decoded and kept.

    Parameters
    ----------
    settings : Settings
        Says where the broker is and what the topics are called.
    info : TopicsInfo
        From `streams.admin.check_topics`.
    on_progress : callable
        Called with the number of records read since the last call and of partitions finished since then.
    """

    def __init__(self, settings: Settings, info: TopicsInfo, on_progress: Callable[[int, int], None]) -> None:
        has_transactions = any(info.topic_ids.values())
        self._settings = settings
        self._partitions = info.partitions
        self._on_progress = on_progress
        self._reader = LogReader(Clients(settings, has_transactions).log_consumer)

    @property
    def steps(self) -> int:
        """How many partitions `read` finishes; the item's own counts twice."""
        return 1 + self._partitions

    async def read(self, item: str, top: int) -> ItemReport:
        """Return the report on an item and its `top` neighbours, as of the newest event time in the table's marks.

        The half-life is that of the marks, whatever the settings say.

        Raises
        ------
        UnknownItemError
            If the item has no row; ids much like it are named.
        BrokerError
            If the broker refuses, or is silent for 15 s.
        """
        own = await self._read([partition_of(item, self._partitions)], {item})
        row = own.rows.get(item) if item != TOTALS else None
        whole = await self._read(range(self._partitions), {TOTALS, *row.weights} if row else ())
        if row is None or whole.mark is None:
            raise UnknownItemError(_unknown(item, whole.ids))
        parameters = replace(model_parameters(self._settings), half_life_ms=whole.mark.half_life_ms)
        rows = PlainRows(parameters)
        rows.update({**whole.rows, item: row})
        return inspect_item(rows, item, top, whole.mark.newest, parameters)

    async def _read(self, partitions: Iterable[int], wanted: Collection[str]) -> "_Snapshot":
        snapshot = _Snapshot(wanted)
        topic = changelog_name(self._settings, _TABLE)
        await read_topic(self._settings, self._reader, topic, partitions, snapshot.apply, self._on_progress)
        return snapshot


class _Snapshot:
    """The last state of the rows that are wanted, or the ids of all rows where none is, and the newest mark."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.rows: dict[str, Row] = {}
        self.ids: set[str] = set()
        self.mark: Mark | None = None
        self._wanted = wanted

    def apply(self, records: Sequence[ConsumerRecord]) -> None:
        """Take over records of one partition, in order."""
        for record in records:
            item = row_id(record.key)
            if item is None:
                mark = decode_mark(record.value)
                if self.mark is None or mark.newest > self.mark.newest:
                    self.mark = mark
            elif record.value is None:
                self.ids.discard(item)
                self.rows.pop(item, None)
            elif item in self._wanted:
                self.rows[item] = ROWS[_TABLE].decode(record.value)
            elif not self._wanted:
                self.ids.add(item)


def _unknown(item: str, ids: set[str]) -> str:
    if not ids:
        return f"nothing is known about the item {item!r}: nothing has been learnt at all yet"
    close = close_ids(item, ids - {TOTALS})
    similar = f"; ids like it: {', '.join(map(repr, close))}" if close else ""
    return f"nothing is known about the item {item!r}: no event about it has been learnt yet{similar}"
