"""The co-occurrence rows of all items in dense arrays, folded and ranked by compiled code."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.cooccurrence import TOTALS, Increment, Row
from models.coverage import NOTHING_SENT, Span
from models.decay import EPOCH_HALF_LIVES, NO_LEVEL, growth
from models.errors import InvariantError
from models.kernel.arrays import (
    FREE,
    NOBODYS,
    NOT_COMPARED,
    ROWS,
    STEP,
    USED,
    empty_table,
    nobodys_items,
    with_more_items,
    with_more_owners,
    with_more_places,
    with_places,
)
from models.kernel.caching import enable_cache
from models.kernel.constants import decay_of, weighing_of
from models.kernel.folding import drop_rows, fold_pairs, mark_used, place_of, texts_size
from models.kernel.interning import INTERNING, Interner
from models.kernel.leading import count_leader, empty_boards, with_more_boards
from models.kernel.lines import move_lines
from models.kernel.ranking import NOBODY, board_of, find_candidates, with_more_cells
from models.kernel.row_bytes import NEIGHBOUR_BYTES, count_leaders, put_rows, read_rows
from models.layout.fields import Reader
from models.layout.pairs import encode, read_head
from models.layout.rows import decode as decode_row
from models.layout.rows import encode as encode_row
from models.learning import PackedPairs, PairEntry
from models.parameters import Parameters
from models.parts import TableRows
from models.ranking import Candidate, distinct
from models.rows import Rows

__all__ = ["DenseRows", "Folded", "PairsRecord", "compile_kernels"]

#: Unused indices are looked for when so many times as many items are known as were used the last time, and not before
#: there are so many.
_TIDY_GROWTH = 1.25
_TIDY_MIN = 1024

#: Lines are moved together when such a part of their places is free; where it is less, places are only added.
_FREE_PART = 8

#: No offset is greater.
_OFFSET_MAX: Final = 2**63 - 1

#: A candidate from a tuple of its fields, at half the price of `Candidate(*fields)`.
_CANDIDATE = partial(tuple.__new__, Candidate)


class PairsRecord:
    """A record of `pairs` as compiled code reads it.

    Parameters
    ----------
    content : bytes
        In the layout of `models.layout.pairs`; raises ValueError where it is not.

    Attributes
    ----------
    head : Head
        What stands before the texts.
    buffer : ndarray of uint8
        All of it.
    texts_size : int
        Bytes of the texts.
    """

    __slots__ = ("buffer", "head", "texts_size")

    def __init__(self, content: bytes | memoryview) -> None:
        self.head = head = read_head(Reader(content))
        self.buffer: NDArray[np.uint8] = np.frombuffer(content, np.uint8)
        counts = head.texts, head.sections, head.increments, head.others
        self.texts_size = texts_size(self.buffer, head.end, len(head.spans), *counts)
        if self.texts_size < 0:
            raise ValueError("its parts are not what its head says: texts, sections, increments, others")


class Folded(NamedTuple):
    """What folding one record has done.

    `changed` are the items whose rows have become dirty, `owned` is how many have become the partition's; `newest` is
    the greatest time that was folded, 0 for none. `timestamps` are those of all arrivals in the record.
    """

    changed: NDArray[np.int64]
    owned: int
    newest: int
    timestamps: NDArray[np.int64]


class DenseRows(Rows):
    """Rows as dense arrays: equal to `models.rows.PlainRows`, but a row that is read is a copy.

    The first use of each kernel in a process loads or compiles it (`compile_kernels`).

    Attributes
    ----------
    ids, categories : Interner
        The ids of the items that are known, of which the first is `TOTALS`, and the categories.
    table : Table
        The rows.
    owners : Owners
        The partitions that they belong to.
    boards : Boards
        The leaders.
    board : Board
        What ranking notes down.
    decay, weighing : Decay, Weighing
        What growth and scores depend on.
    mark_held : callable
        Is given a mask by index of item when `tidy` looks for what is still used, to set what others hold.

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
        _enable_cache()
        self._parameters = parameters
        self.decay = decay_of(parameters)
        self.weighing = weighing_of(parameters)
        self.ids = Interner()
        self.ids.intern(TOTALS)
        self.categories = Interner()
        self.table = empty_table(parameters.row_size)
        self.owners = nobodys_items()
        self.boards = empty_boards(parameters.leaders_max)
        self.mark_held: Callable[[NDArray[np.bool_]], None] = _nothing_held
        self._tidy_at = _TIDY_MIN
        self.board = board_of(parameters, self.weighing)
        self._paths: NDArray[np.int64] = np.empty((parameters.candidates_max, 3), np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, whether rows or room for more."""
        arrays = (*self.table, *self.owners, *self.boards, *self.board)
        return sum(int(array.nbytes) for array in arrays) + self.ids.nbytes + self.categories.nbytes

    def __getitem__(self, item: str) -> Row:
        table = self.table
        counts = table.items[self._index(item)]
        line, size, category = counts["line"].item(), counts["size"].item(), counts["category"].item()
        line = slice(line, line + size)
        names = [self.ids.text(other) for other in table.neighbours[line].tolist()]
        comparisons = zip(names, table.comparisons[line].tolist(), strict=True)
        return Row(
            epoch=counts["epoch"].item(),
            mass=counts["mass"].item(),
            events=counts["events"].item(),
            sessions=counts["sessions"].item(),
            weights=dict(zip(names, table.weights[line].tolist(), strict=True)),
            pairs=dict(zip(names, table.pairs[line].tolist(), strict=True)),
            comparisons={name: compared for name, compared in comparisons if compared != NOT_COMPARED},
            category=None if category < 0 else self.categories.text(category),
            recent=counts["recent"].item(),
        )

    def __setitem__(self, item: str, row: Row) -> None:
        self.read([(item.encode(), encode_row(row))], NOBODYS)
        index = self.ids.find(item)
        category = self.table.items["category"].item(index)
        half_lives = self.decay.epoch_half_lives
        count_leader(self.boards, self.ids.arrays, index, row.sessions, row.epoch, category, half_lives)

    def __delitem__(self, item: str) -> None:
        self.drop(np.array([self._index(item)]))

    def __contains__(self, item: object) -> bool:
        index = self.ids.find(item) if isinstance(item, str) else -1
        return index >= 0 and bool(self.table.items[index]["line"])

    def __iter__(self) -> Iterator[str]:
        return iter([self.ids.text(index) for index in np.flatnonzero(self.table.items["line"]).tolist()])

    def __len__(self) -> int:
        return int(self.table.blocks[ROWS])

    def make_room(self, texts: int, size: int, places: int) -> None:
        """Have room for so many new items, or categories, of so many bytes in all, and for lines of so many places."""
        self.ids.make_room(texts, size)
        self.categories.make_room(texts, size)
        while len(self.ids.arrays.bounds) > len(self.table.items):
            self.table = with_more_items(self.table)
            self.owners = with_more_owners(self.owners)
            self.board = with_more_cells(self.board)
        while len(self.categories.arrays.bounds) >= len(self.boards.sizes):
            self.boards = with_more_boards(self.boards)
        used, free = self.table.blocks[USED : FREE + 1].tolist()
        length = len(self.table.neighbours)
        if used + places > length:
            # A quarter more than is needed: places that are nearly all taken would be moved again and again.
            kept = used if free < used // _FREE_PART else used - free
            while length < kept * 5 // 4 + places:
                length *= 2
            if kept == used:
                self.table = with_more_places(self.table, length)
            else:
                moved = with_places(self.table, length)
                move_lines(self.table, moved)
                self.table = moved

    def fold_all(self, increments: Iterable[tuple[Increment, int]]) -> None:
        entries = [PairEntry(0, 0, time_ms, time_ms, increment) for increment, time_ms in increments]
        record = PairsRecord(encode(PackedPairs([Span("", NOTHING_SENT, 0)], entries)))
        self.fold(record, [NOTHING_SENT], NOBODYS)

    def fold(self, record: PairsRecord, after: list[int | None], partition: int) -> Folded:
        """Fold a record of `pairs`.

        Parameters
        ----------
        after : list of (int or None)
            For each span the offset above which its increments are folded, None for none of them.
        partition : int
            Whose rows they are.
        """
        head = record.head
        # A row that gains neighbours may need a longer line, for each step of them another.
        lines = head.increments + head.others // STEP
        self.make_room(head.texts, record.texts_size, lines * (self._parameters.row_size + STEP))
        changed, timestamps = np.empty(head.texts, np.int64), np.empty(head.increments, np.int64)
        dirty, owned, newest, arrivals = fold_pairs(
            self.table,
            self.owners,
            self.ids.arrays,
            self.categories.arrays,
            self.boards,
            record.buffer,
            head.end,
            head.texts,
            head.sections,
            np.array([_OFFSET_MAX if start is None else start for start in after], np.int64),
            partition,
            self.decay,
            self._parameters.compression,
            self._parameters.row_size,
            changed,
            timestamps,
        )
        return Folded(changed[:dirty], owned, newest, timestamps[:arrivals])

    def write(self, indices: NDArray[np.int64], letter: bytes = b"") -> TableRows:
        """Return the rows of items, in the layout of `models.layout.rows`; None for no row.

        Parameters
        ----------
        letter : bytes
            Stands before each id.
        """
        letters = np.frombuffer(letter, np.uint8)
        return TableRows.written(*put_rows(self.table, self.ids.arrays, self.categories.arrays, indices, letters))

    def read(self, rows: Sequence[tuple[bytes, bytes]], partition: int) -> int:
        """Put rows from their ids and values in place of what was there; an empty value takes one out.

        Returns
        -------
        int
            By how many the rows of the partition have become more.

        Raises
        ------
        ValueError
            A value is not of this layout; the rows before it were read.
        InvariantError
            A row has more neighbours than fit.
        """
        parts = [part for row in rows for part in row]
        content = b"".join(parts)
        bounds = np.zeros((len(rows), 3), np.int64)
        bounds[:, 1:] = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts))).reshape(-1, 2)
        bounds[1:, 0] = bounds[:-1, 2]
        neighbours = len(content) // NEIGHBOUR_BYTES
        self.ids.make_room(len(rows) + neighbours, len(content))
        self.make_room(len(rows), len(content), neighbours + STEP * len(rows))
        read, owned = read_rows(
            self.table,
            self.owners,
            self.ids.arrays,
            self.categories.arrays,
            np.frombuffer(content, np.uint8),
            bounds,
            partition,
            self._parameters.compression,
            self._parameters.row_size,
        )
        if read < len(rows):
            item, value = rows[read]
            size = len(decode_row(value).weights)
            raise InvariantError(
                f"the row of item {item.decode()!r} has {size} neighbours: at most"
                f" row_size={self._parameters.row_size} fit"
            )
        return int(owned)

    def count_leaders(self, partition: int) -> None:
        """Take notice of the rows of a partition, once all are read."""
        arrays = self.table, self.owners, self.ids.arrays, self.boards
        count_leaders(*arrays, partition, self.decay.epoch_half_lives)

    def drop(self, indices: NDArray[np.int64]) -> None:
        """Drop the rows of items."""
        drop_rows(self.table, self.owners, self.boards, indices)

    def rank(self, positions: list[tuple[str, int]], excluded: set[str], time_ms: int) -> list[Candidate]:
        find, text = self.ids.find, self.ids.text
        asked = distinct(positions)[: self._parameters.query_items]
        count = find_candidates(
            self.table,
            self.ids.arrays,
            self.board,
            np.array([find(item) for item, _ in asked], np.int64),
            np.array([asked_ms for _, asked_ms in asked], np.int64),
            np.array([find(item) for item in excluded], np.int64),
            time_ms,
            self.decay,
            self.weighing,
            self._paths,
        )
        anchors, path_anchors, vias = self._paths[:count].T.tolist()
        paths = [
            None if via == NOBODY else (text(anchor), text(via)) for anchor, via in zip(path_anchors, vias, strict=True)
        ]
        named = [None if anchor == NOBODY else text(anchor) for anchor in anchors]
        items, scores = self.board.found[:count].tolist(), self.board.scores[:count].tolist()
        return list(map(_CANDIDATE, zip(map(text, items), scores, named, paths, strict=True)))

    def sessions(self, item: str, time_ms: int) -> float:
        index = self.ids.find(item)
        if index < 0:
            return 0.0
        return float(self.table.items["sessions"].item(index)) / self._growth(index, time_ms)

    def pair(self, anchor: str, other: str, time_ms: int) -> tuple[float, float]:
        index, other_index = self.ids.find(anchor), self.ids.find(other)
        if index < 0 or other_index < 0:
            return 0.0, 0.0
        table = self.table
        line = table.items["line"].item(index)
        place = place_of(table.neighbours, line, table.items["size"].item(index), other_index)
        if place < 0:
            return 0.0, 0.0
        place += line
        grown = self._growth(index, time_ms)
        return table.pairs.item(place) / grown, max(0.0, table.comparisons.item(place)) / grown

    def category(self, item: str) -> str | None:
        index = self.ids.find(item)
        category = -1 if index < 0 else self.table.items["category"].item(index)
        return None if category < 0 else self.categories.text(category)

    def has_neighbours(self, item: str) -> bool:
        index = self.ids.find(item)
        return index >= 0 and bool(self.table.items["size"].item(index))

    def leaders(self, category: str | None) -> list[str]:
        board = 0
        if category is not None:
            board = self.categories.find(category) + 1
            if not board:
                return []
        return [self.ids.text(item) for item in self.boards.items[board, : self.boards.sizes[board]].tolist()]

    def least_met(self, items: Iterable[str], count: int) -> list[str]:
        asked = np.fromiter(map(self.ids.find, items), np.int64)
        return [self.ids.text(index) for index in self.least_met_of(asked, count).tolist()]

    def least_met_of(self, asked: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return `count` of some items as `least_met` does, by index."""
        recent = self.table.items["recent"][asked]
        mantissas, exponents = np.frexp(recent)
        epochs = EPOCH_HALF_LIVES * self._parameters.trend_speed * self.table.items["epoch"][asked]
        levels = np.where(recent > 0, exponents + epochs, NO_LEVEL)
        order = np.lexsort((mantissas, levels))
        last = order[count - 1]
        is_tied = (levels == levels[last]) & (mantissas == mantissas[last])
        less_met = asked[order[:count][~is_tied[order[:count]]]]
        tied = sorted(asked[is_tied].tolist(), key=self.ids.text, reverse=True)
        return np.concatenate((less_met, np.array(tied[: count - len(less_met)], np.int64)))

    def tidy(self) -> None:
        """Free the indices of items and categories that nothing names, when there may be many."""
        if len(self.ids) < self._tidy_at:
            return
        self.make_room(0, 0, 0)
        used = np.zeros(len(self.ids.arrays.bounds), np.bool_)
        used[0] = True
        categories_used = np.zeros(len(self.categories.arrays.bounds), np.bool_)
        mark_used(self.table, self.owners, self.boards, used, categories_used)
        self.mark_held(used)
        self.ids.keep(np.flatnonzero(used))
        self.categories.keep(np.flatnonzero(categories_used))
        self._tidy_at = max(_TIDY_MIN, int(_TIDY_GROWTH * len(self.ids)))

    def _index(self, item: str) -> int:
        if item not in self:
            raise KeyError(item)
        return self.ids.find(item)

    def _growth(self, index: int, time_ms: int) -> float:
        return growth(time_ms, self.table.items["epoch"].item(index), self._parameters.half_life_ms)


def _nothing_held(used: NDArray[np.bool_]) -> None:
    """Mark nothing."""


@cache
def _enable_cache() -> None:
    own = (drop_rows, fold_pairs, mark_used, place_of, texts_size, count_leaders, put_rows, read_rows, move_lines)
    enable_cache((*INTERNING, count_leader, find_candidates, *own))


def compile_kernels(parameters: Parameters) -> None:
    """Use each kernel once, so that a worker compiles them at its start and not under its first events.

    Where numba may write its cache (beside this file, else under `NUMBA_CACHE_DIR` or the user's cache folder), only
    the first start ever compiles; the others load.
    """
    rows = DenseRows(parameters)
    rows.fold_all([(Increment("a", 1, 1, (("b", 1.0, 1, 1),)), 0)])
    rows.rank([("a", 0)], {"a"}, 0)
    rows.pair("a", "b", 0)
    rows["a"] = rows.pop("a")
    [value] = rows.write(np.array([rows.ids.find("a")])).values
    rows.read([(b"a", value or b"")], 0)
    rows.count_leaders(0)
    rows._tidy_at = 0
    rows.tidy()
    move_lines(rows.table, with_places(rows.table, len(rows.table.neighbours)))
