"""The co-occurrence rows of all items in dense arrays, folded and ranked by compiled code."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.cooccurrence import TOTALS, Increment, Row
from models.decay import EPOCH_HALF_LIVES, NO_LEVEL, growth
from models.errors import InvariantError
from models.kernel.arrays import NOT_COMPARED, doubled, empty_table, with_more_items, with_more_lines
from models.kernel.constants import decay_of, weighing_of
from models.kernel.interning import Interner
from models.kernel.kernels import NOBODY, enable_caches, fold_tape, mark_used, place_of, rank_session
from models.leaders import Leaders
from models.parameters import Parameters
from models.ranking import Candidate, distinct
from models.rows import Rows

__all__ = ["DenseRows", "compile_kernels"]

#: Unused indices are looked for when so many times as many items are known as were used the last time, and not before
#: there are so many.
_TIDY_GROWTH = 1.25
_TIDY_MIN = 1024

#: A candidate from a tuple of its fields, at half the price of `Candidate(*fields)`.
_CANDIDATE = partial(tuple.__new__, Candidate)


class DenseRows(Rows):
    """Rows as dense arrays: equal to `models.rows.PlainRows`, but a row that is read is a copy.

    The first use of each kernel in a process loads or compiles it (`compile_kernels`).

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> rows = DenseRows(DEFAULTS)
    >>> rows.fold_all([(Increment("tea", 1, 1, (("cup", 0.5, 1, 0),)), 0)])
    >>> rows.pair("tea", "cup", DEFAULTS.half_life_ms), rows.leaders(None)
    ((0.5, 0.0), ['tea'])
    >>> [candidate.item_id for candidate in rows.rank([("tea", 0)], {"tea"}, 0)]
    ['cup']
    """

    def __init__(self, parameters: Parameters) -> None:
        enable_caches()
        self._parameters = parameters
        self._decay = decay_of(parameters)
        self._weighing = weighing_of(parameters)
        self._leaders = Leaders(parameters.leaders_max)
        self._items = Interner()
        self._items.intern(TOTALS)
        self._table = empty_table(parameters.row_size)
        self._categories: dict[str, str] = {}
        self._tidy_at = _TIDY_MIN
        self._slots: NDArray[np.int32] = np.zeros(1, np.int32)
        self._scores: NDArray[np.float64] = np.empty(parameters.candidates_max)
        self._found: NDArray[np.int32] = np.empty((4, parameters.candidates_max), np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, whether rows or room for more."""
        return sum(array.nbytes for array in self._table) + self._items.nbytes + self._slots.nbytes

    def __getitem__(self, item: str) -> Row:
        index = self._index(item)
        table, ids = self._table, self._items.ids
        size = table.sizes[index]
        line = table.lines[index]
        names = [ids[other] for other in table.neighbours[line, :size].tolist()]
        comparisons = zip(names, table.comparisons[line, :size].tolist(), strict=True)
        return Row(
            epoch=int(table.epochs[index]),
            mass=float(table.mass[index]),
            events=float(table.events[index]),
            sessions=float(table.sessions[index]),
            weights=dict(zip(names, table.weights[line, :size].tolist(), strict=True)),
            pairs=dict(zip(names, table.pairs[line, :size].tolist(), strict=True)),
            comparisons={name: compared for name, compared in comparisons if compared != NOT_COMPARED},
            category=self._categories.get(item),
            recent=float(table.recent[index]),
        )

    def __setitem__(self, item: str, row: Row) -> None:
        size = len(row.weights)
        if size > self._parameters.row_size:
            raise InvariantError(
                f"the row of item {item!r} has {size} neighbours: at most row_size={self._parameters.row_size} fit"
            )
        index = self._items.intern(item)
        others = [self._items.intern(other) for other in row.weights]
        self._make_room(1)
        weights = list(row.weights.values())
        compression = self._parameters.compression
        table = self._table
        if not table.lines[index]:
            table.spares[0] -= 1
            table.lines[index] = table.spare[table.spares[0]]
        line = table.lines[index]
        table.epochs[index] = row.epoch
        table.mass[index] = row.mass
        table.events[index] = row.events
        table.recent[index] = row.recent
        table.sessions[index] = row.sessions
        table.sizes[index] = size
        table.neighbours[line, :size] = others
        table.weights[line, :size] = weights
        table.powered[line, :size] = [weight**compression for weight in weights]
        table.pairs[line, :size] = [row.pairs[other] for other in row.weights]
        table.comparisons[line, :size] = [row.comparisons.get(other, NOT_COMPARED) for other in row.weights]
        self._categories.pop(item, None)
        if row.category is not None:
            self._categories[item] = row.category
        self._leaders.count(item, row.sessions, row.epoch, row.category)

    def __delitem__(self, item: str) -> None:
        index = self._index(item)
        table = self._table
        table.spare[table.spares[0]] = table.lines[index]
        table.spares[0] += 1
        for array in table.by_item:
            array[index] = 0
        self._leaders.forget(item, self._categories.pop(item, None))

    def __contains__(self, item: object) -> bool:
        index = self._items.indices.get(item) if isinstance(item, str) else None
        return index is not None and bool(self._table.lines[index])

    def __iter__(self) -> Iterator[str]:
        return iter([self._items.ids[index] for index in np.flatnonzero(self._table.lines).tolist()])

    def __len__(self) -> int:
        return int(np.count_nonzero(self._table.lines))

    def fold_all(self, increments: Iterable[tuple[Increment, int]]) -> None:
        indices, intern, categories = self._items.indices, self._items.intern, self._categories
        tape: list[int] = []
        amounts: list[float] = []
        arrivals: list[tuple[str, str | None]] = []
        lines, fresh = self._table.lines, 0
        for increment, time_ms in increments:
            anchor, sessions, others = increment.anchor, increment.sessions, increment.others
            index = indices.get(anchor)
            if index is None:
                index = intern(anchor)
            if index >= len(lines) or not lines.item(index):
                fresh += 1
            tape += (index, time_ms, increment.events, sessions, len(others))
            for other, amount, met, compared in others:
                index = indices.get(other)
                if index is None:
                    index = intern(other)
                tape += (index, met, compared)
                amounts.append(amount)
            if increment.category is not None:
                categories[anchor] = increment.category
            if increment.events:
                arrivals.append((anchor, categories.get(anchor)))
        self._make_room(fresh)
        left = np.empty((len(arrivals), 2))
        fold_tape(
            self._table,
            self._items.arena,
            self._items.bounds,
            np.array(tape, np.int64),
            np.array(amounts, np.float64),
            left,
            self._decay,
            self._parameters.compression,
        )
        for (item, category), (counted, epoch) in zip(arrivals, left.tolist(), strict=True):
            self._leaders.count(item, counted, int(epoch), category)

    def rank(self, positions: list[tuple[str, int]], excluded: set[str], time_ms: int) -> list[Candidate]:
        indices, ids = self._items.indices, self._items.ids
        asked = distinct(positions)[: self._parameters.query_items]
        count = rank_session(
            self._table,
            self._items.arena,
            self._items.bounds,
            self._slots,
            np.array([indices.get(item, -1) for item, _ in asked], np.int64),
            np.array([asked_ms for _, asked_ms in asked], np.int64),
            np.array([indices.get(item, -1) for item in excluded], np.int64),
            time_ms,
            self._decay,
            self._weighing,
            self._scores,
            self._found,
        )
        items, anchors, path_anchors, vias = self._found[:, :count].tolist()
        paths = [
            None if via == NOBODY else (ids[anchor], ids[via]) for anchor, via in zip(path_anchors, vias, strict=True)
        ]
        named = [None if anchor == NOBODY else ids[anchor] for anchor in anchors]
        fields = zip(map(ids.__getitem__, items), self._scores[:count].tolist(), named, paths, strict=True)
        return list(map(_CANDIDATE, fields))

    def sessions(self, item: str, time_ms: int) -> float:
        index = self._items.indices.get(item)
        if index is None:
            return 0.0
        return self._table.sessions.item(index) / self._growth(index, time_ms)

    def pair(self, anchor: str, other: str, time_ms: int) -> tuple[float, float]:
        index, other_index = self._items.indices.get(anchor), self._items.indices.get(other)
        if index is None or other_index is None:
            return 0.0, 0.0
        table = self._table
        line = table.lines.item(index)
        place = place_of(table.neighbours, line, table.sizes.item(index), other_index)
        if place < 0:
            return 0.0, 0.0
        grown = self._growth(index, time_ms)
        return table.pairs.item(line, place) / grown, max(0.0, table.comparisons.item(line, place)) / grown

    def category(self, item: str) -> str | None:
        return self._categories.get(item)

    def has_neighbours(self, item: str) -> bool:
        index = self._items.indices.get(item)
        return index is not None and self._table.sizes.item(index) > 0

    def leaders(self, category: str | None) -> list[str]:
        return self._leaders.top(category)

    def least_met(self, items: Iterable[str], count: int) -> list[str]:
        indices, ids = self._items.indices, self._items.ids
        asked = np.fromiter(map(indices.__getitem__, items), np.int64)
        recent = self._table.recent[asked]
        mantissas, exponents = np.frexp(recent)
        epochs = EPOCH_HALF_LIVES * self._parameters.trend_speed * self._table.epochs[asked]
        levels = np.where(recent > 0, exponents + epochs, NO_LEVEL)
        order = np.lexsort((mantissas, levels))
        last = order[count - 1]
        is_tied = (levels == levels[last]) & (mantissas == mantissas[last])
        less_met = [index for index in order[:count].tolist() if not is_tied[index]]
        tied = sorted((ids[index] for index in asked[is_tied].tolist()), reverse=True)
        return [ids[index] for index in asked[less_met].tolist()] + tied[: count - len(less_met)]

    def tidy(self) -> None:
        """Free the indices of items that have no row and are in none, when there may be many."""
        if len(self._items.indices) < self._tidy_at:
            return
        used = np.zeros(len(self._items.ids), np.bool_)
        mark_used(self._table, used)
        self._items.keep(np.flatnonzero(used).tolist())
        self._tidy_at = max(_TIDY_MIN, int(_TIDY_GROWTH * len(self._items.indices)))

    def _index(self, item: str) -> int:
        if item not in self:
            raise KeyError(item)
        return self._items.indices[item]

    def _make_room(self, rows: int) -> None:
        """Have room for all items that have an index, and for so many new rows."""
        while len(self._items.ids) > len(self._slots):
            self._table = with_more_items(self._table)
            self._slots = doubled(self._slots)
        while self._table.spares[0] < rows:
            self._table = with_more_lines(self._table)

    def _growth(self, index: int, time_ms: int) -> float:
        return growth(time_ms, self._table.epochs.item(index), self._parameters.half_life_ms)


def compile_kernels(parameters: Parameters) -> None:
    """Use each kernel once, so that a worker compiles them at its start and not under its first events.

    Where numba may write its cache (beside this file, else under `NUMBA_CACHE_DIR` or the user's cache folder), only
    the first start ever compiles; the others load.
    """
    rows = DenseRows(parameters)
    rows.fold_all([(Increment("a", 1, 1, (("b", 1.0, 1, 1),)), 0)])
    rows.rank([("a", 0)], {"a"}, 0)
    rows.pair("a", "b", 0)
    mark_used(rows._table, np.zeros(len(rows), np.bool_))
