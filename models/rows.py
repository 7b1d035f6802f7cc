"""The co-occurrence rows of all items, as ranking and evidence read them: the plain implementation."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, MutableMapping
from heapq import nsmallest

from models.cooccurrence import TOTALS, Increment, Row, fold
from models.decay import growth, level
from models.leaders import Leaders
from models.parameters import Parameters
from models.ranking import Candidate, rank

__all__ = ["PlainRows", "Rows"]


class Rows(MutableMapping[str, Row]):
    """Rows by item. A row that is read may be a copy: rows change by `fold_all` and by assignment alone.

    All counts that the methods return are decayed to the time they are asked for.
    """

    @abstractmethod
    def fold_all(self, increments: Iterable[tuple[Increment, int]]) -> None:
        """Add increments, each with its event time in ms, in their order."""

    @abstractmethod
    def rank(self, positions: list[tuple[str, int]], excluded: set[str], time_ms: int) -> list[Candidate]:
        """Return the best ``parameters.candidates_max`` candidates of a session (`models.ranking`)."""

    @abstractmethod
    def sessions(self, item: str, time_ms: int) -> float:
        """Return the sessions that met an item, zero for an unknown one."""

    @abstractmethod
    def pair(self, anchor: str, other: str, time_ms: int) -> tuple[float, float]:
        """Return in how many sessions two items met, and how often they were compared, by the row of `anchor`."""

    @abstractmethod
    def category(self, item: str) -> str | None:
        """Return the category of an item, None when none is known."""

    @abstractmethod
    def has_neighbours(self, item: str) -> bool:
        """Tell whether an item has a row with a neighbour."""

    @abstractmethod
    def leaders(self, category: str | None) -> list[str]:
        """Return the most popular items of a category, None for all, most popular first."""

    @abstractmethod
    def least_met(self, items: Iterable[str], count: int) -> list[str]:
        """Return the `count` items with the fewest recent arrivals, in no order; ties: the greatest ids."""

    def tidy(self) -> None:
        """Give back what dropped rows have used."""

    def total(self, time_ms: int) -> float:
        """Return the number of all sessions."""
        return self.sessions(TOTALS, time_ms)


class PlainRows(Rows):
    """Rows in a dict, folded and ranked by the plain functions: what the compiled rows are held equal to.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> rows = PlainRows(DEFAULTS)
    >>> rows.fold_all([(Increment("tea", 1, 1, (("cup", 0.5, 1, 0),)), 0)])
    >>> rows.pair("tea", "cup", DEFAULTS.half_life_ms), rows.leaders(None)
    ((0.5, 0.0), ['tea'])
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._rows: dict[str, Row] = {}
        self._leaders = Leaders(parameters.leaders_max)

    def __getitem__(self, item: str) -> Row:
        return self._rows[item]

    def __setitem__(self, item: str, row: Row) -> None:
        self._rows[item] = row
        self._leaders.count(item, row.sessions, row.epoch, row.category)

    def __delitem__(self, item: str) -> None:
        self._leaders.forget(item, self._rows.pop(item).category)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def fold_all(self, increments: Iterable[tuple[Increment, int]]) -> None:
        for increment, time_ms in increments:
            row = fold(self._rows.get(increment.anchor), increment, time_ms, self._parameters)
            self._rows[increment.anchor] = row
            if increment.events:
                self._leaders.count(increment.anchor, row.sessions, row.epoch, row.category)

    def rank(self, positions: list[tuple[str, int]], excluded: set[str], time_ms: int) -> list[Candidate]:
        return rank(self._rows, positions, excluded, time_ms, self._parameters)

    def sessions(self, item: str, time_ms: int) -> float:
        row = self._rows.get(item)
        return row.sessions / self._growth(row, time_ms) if row else 0.0

    def pair(self, anchor: str, other: str, time_ms: int) -> tuple[float, float]:
        row = self._rows.get(anchor)
        if row is None or other not in row.pairs:
            return 0.0, 0.0
        grown = self._growth(row, time_ms)
        return row.pairs[other] / grown, row.comparisons.get(other, 0.0) / grown

    def category(self, item: str) -> str | None:
        row = self._rows.get(item)
        return row.category if row else None

    def has_neighbours(self, item: str) -> bool:
        row = self._rows.get(item)
        return bool(row and row.weights)

    def leaders(self, category: str | None) -> list[str]:
        return self._leaders.top(category)

    def least_met(self, items: Iterable[str], count: int) -> list[str]:
        ordered = sorted(items, reverse=True)
        return nsmallest(count, ordered, key=self._recency)

    def _recency(self, item: str) -> tuple[int, float]:
        row = self._rows[item]
        return level(row.recent, row.epoch, self._parameters.trend_speed)

    def _growth(self, row: Row, time_ms: int) -> float:
        return growth(time_ms, row.epoch, self._parameters.half_life_ms)
