"""Compiled: folding records of `pairs` into rows, `models.cooccurrence.fold` to the last bit.

A record is read as it came (`models.layout.pairs`); each text is looked up once a record.
"""

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import NO_STEP, NOBODYS, NOT_COMPARED, STEP, Owners, Table
from models.kernel.compiling import allocating, inner, kernel
from models.kernel.constants import Decay
from models.kernel.growth import grown_at
from models.kernel.interning import Ids, find_ids, intern_id
from models.kernel.leading import Boards, count_leader, forget_leader
from models.kernel.lines import give_line, set_room
from models.kernel.octets import get_i64, get_u16, get_u32
from models.kernel.order import precedes

__all__ = ["close_row", "drop_rows", "fold_pairs", "mark_used", "place_of", "sort_line", "texts_size"]

#: As in `models.layout.pairs`: numba's cache would keep constants from beyond this folder when they have changed.
_MET, _COMPARED, _NO_TEXT = 1, 2, 0xFFFFFFFF

#: Bytes of a section, an arrival, an increment and an other, without what follows in them.
_SECTION, _ARRIVAL, _INCREMENT, _OTHER = 14, 18, 12, 13

#: More than any place in a line.
_NOWHERE = 2**31 - 1


@kernel
def texts_size(
    content: NDArray[np.uint8], at: int, spans: int, texts: int, sections: int, increments: int, others: int
) -> int:
    """Return the bytes of a record's texts, -1 where its parts are not what its head says: it must not be folded.

    Parameters
    ----------
    at : int
        Where the texts begin.
    """
    start, end = at, len(content)
    for _ in range(texts):
        if at + 2 > end:
            return -1
        at += 2 + get_u16(content, at)
    size = at - start
    for _ in range(sections):
        if at + _SECTION > end or get_u16(content, at) >= spans:
            return -1
        arrivals = get_u32(content, at + 10)
        at += _SECTION
        for _ in range(arrivals):
            if at + _ARRIVAL > end:
                return -1
            own_increments = get_u16(content, at + 16)
            increments -= own_increments
            at += _ARRIVAL
            for _ in range(own_increments):
                if at + _INCREMENT > end:
                    return -1
                category, own_others = get_u32(content, at + 6), get_u16(content, at + 10)
                others -= own_others
                if get_u32(content, at) >= texts or (category != _NO_TEXT and category >= texts):
                    return -1
                at += _INCREMENT
                if at + _OTHER * own_others > end:
                    return -1
                for _ in range(own_others):
                    if get_u32(content, at) >= texts or content[at + 12] > (_MET | _COMPARED):
                        return -1
                    at += _OTHER
    return size if at == end and increments == 0 and others == 0 else -1


@allocating
def fold_pairs(
    table: Table,
    owners: Owners,
    ids: Ids,
    categories: Ids,
    boards: Boards,
    content: NDArray[np.uint8],
    at: int,
    texts: int,
    sections: int,
    after: NDArray[np.int64],
    partition: int,
    decay: Decay,
    compression: float,
    row_size: int,
    changed: NDArray[np.int64],
    timestamps: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Fold the increments of a record in their order, and keep the leaders up to date.

    Parameters
    ----------
    table, ids, categories
        Have room for every text, and places for every line that may be given.
    content : ndarray of uint8, read-only
        The record, which `texts_size` has found whole.
    at : int
        Where its texts begin.
    after : ndarray of int64, by span
        The offset above which increments are folded.
    partition : int
        Whose rows they are, or `NOBODYS`.
    changed : ndarray of int64, as many as texts
        Is filled with the items whose rows have become dirty.
    timestamps : ndarray of int64, as many as increments
        Is filled with the arrivals' timestamps, of which the same one is not twice in a row.

    Returns
    -------
    changed, owned, newest, timestamps : int
        How many rows have become dirty, and have become the partition's; the greatest time that was folded, 0 for
        none; how many timestamps.
    """
    starts, ends = np.empty(texts, np.int64), np.empty(texts, np.int64)
    for text in range(texts):
        starts[text] = at + 2
        at = ends[text] = at + 2 + get_u16(content, at)
    items, named = np.empty(texts, np.int64), np.full(texts, -1, np.int64)
    find_ids(ids, content, starts, ends, items)
    bits = np.empty(1, np.int64)
    weight = bits.view(np.float64)
    dirty = owned = newest = arrived = 0
    # Of the latest time and epoch.
    growth_time = growth_epoch = np.int64(0)
    grown = grown_at(growth_time, growth_epoch, decay, 1)
    for _ in range(sections):
        is_new = get_i64(content, at + 2) > after[get_u16(content, at)]
        arrivals = get_u32(content, at + 10)
        at += _SECTION
        for _ in range(arrivals):
            time_ms, timestamp = get_i64(content, at), get_i64(content, at + 8)
            increments = get_u16(content, at + 16)
            at += _ARRIVAL
            if increments and (arrived == 0 or timestamps[arrived - 1] != timestamp):
                timestamps[arrived] = timestamp
                arrived += 1
            if increments and is_new:
                newest = max(newest, time_ms)
            for _ in range(increments):
                others = get_u16(content, at + 10)
                if not is_new:
                    at += _INCREMENT + _OTHER * others
                    continue
                index = _index_of(ids, content, starts, ends, items, get_u32(content, at))
                events, sessions = np.int64(content[at + 4]), np.int64(content[at + 5])
                category = get_u32(content, at + 6)
                at += _INCREMENT
                item = table.items[index]
                _open(table, index, time_ms // decay.epoch_ms, decay, compression, ids)
                if partition != NOBODYS:
                    if owners.partitions[index] != partition:
                        owners.partitions[index] = partition
                        owned += 1
                    if not owners.is_dirty[index]:
                        owners.is_dirty[index] = True
                        changed[dirty] = index
                        dirty += 1
                if time_ms != growth_time or item.epoch != growth_epoch:
                    growth_time, growth_epoch = time_ms, item.epoch
                    grown = grown_at(time_ms, item.epoch, decay, 1)
                item.events += events * grown
                if events:
                    item.recent += events * grown_at(time_ms, item.epoch, decay, decay.trend_speed)
                    table.priors[index].step = NO_STEP
                item.sessions += sessions * grown
                if category != _NO_TEXT:
                    item.category = _index_of(categories, content, starts, ends, named, category)
                # Wide, or numba would compile what is called with narrow integers once more.
                line = np.int64(item.line)
                for _ in range(others):
                    other = _index_of(ids, content, starts, ends, items, get_u32(content, at))
                    bits[0] = get_i64(content, at + 4)
                    flags = content[at + 12]
                    at += _OTHER
                    grown_weight = weight[0] * grown
                    place = place_of(table.neighbours, line, np.int64(item.size), other)
                    if place < 0:
                        place = _enter(table, index, other, row_size)
                        line = np.int64(item.line)
                    table.weights[line + place] += grown_weight
                    table.powered[line + place] = table.weights[line + place] ** compression
                    if flags & _MET:
                        table.pairs[line + place] += grown
                    if flags & _COMPARED:
                        table.comparisons[line + place] = max(0.0, table.comparisons[line + place]) + grown
                    item.mass += grown_weight
                    _rise(table, line, place, ids)
                if events:
                    category = np.int64(item.category)
                    count_leader(boards, ids, index, item.sessions, item.epoch, category, decay.epoch_half_lives)
    return dirty, owned, newest, arrived


@kernel
def place_of(neighbours: NDArray[np.int32], line: int, size: int, other: int) -> int:
    """Return the place of a neighbour in a line of some size, -1 where it is none."""
    # All of them are looked at: so many at once that it takes less time than to be ready to leave.
    start, nowhere = np.uintp(line), np.int64(_NOWHERE)
    found = nowhere
    for place in range(np.uintp(size)):
        found = min(found, np.int64(place) if neighbours[start + place] == other else nowhere)
    return found if found != nowhere else -1


@kernel
def drop_rows(table: Table, owners: Owners, boards: Boards, indices: NDArray[np.int64]) -> None:
    """Drop the rows of items; what was dirty stays so."""
    for index in indices:
        forget_leader(boards, index, np.int64(table.items[index].category))
        close_row(table, owners, index)


@inner
def close_row(table: Table, owners: Owners, index: int) -> None:
    """Take away the row of an item."""
    give_line(table, index)
    item = table.items[index]
    item.size = 0
    item.category = -1
    item.epoch = 0
    item.mass = item.events = item.recent = item.sessions = 0.0
    table.priors[index].step = NO_STEP
    owners.partitions[index] = NOBODYS


@kernel
def mark_used(
    table: Table, owners: Owners, boards: Boards, used: NDArray[np.bool_], categories_used: NDArray[np.bool_]
) -> None:
    """Set what rows and boards name, by index.

    Parameters
    ----------
    used : ndarray of bool
        Is set for every item that has a row or had one that is still to be written, is the neighbour of one that has,
        or is on a board.
    categories_used : ndarray of bool
        Is set for every category that a row names or whose board is not empty.
    """
    for index in range(len(used)):
        item = table.items[index]
        if owners.is_dirty[index]:
            used[index] = True
        if item.line:
            used[index] = True
            for place in range(item.size):
                used[table.neighbours[item.line + place]] = True
            if item.category >= 0:
                categories_used[item.category] = True
    for board in range(len(categories_used) + 1):
        for place in range(boards.sizes[board]):
            used[boards.items[board, place]] = True
        if board and boards.sizes[board]:
            categories_used[board - 1] = True


@inner
def _index_of(
    ids: Ids,
    content: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    known: NDArray[np.int64],
    text: int,
) -> int:
    """Return the index of a record's text, a new one if it has none."""
    if known[text] < 0:
        known[text] = intern_id(ids, content, starts[text], ends[text])
    return int(known[text])


@inner
def _open(table: Table, index: int, epoch: int, decay: Decay, compression: float, ids: Ids) -> None:
    """Make a missing row, or carry an older one into a later epoch."""
    item = table.items[index]
    line = item.line
    if not line:
        set_room(table, index, np.int64(STEP))
        item.epoch = epoch
    elif epoch > item.epoch:
        half_lives = decay.epoch_half_lives * (epoch - item.epoch)
        factor = decay.base ** float(-half_lives)
        item.recent *= decay.base ** float(-half_lives * decay.trend_speed)
        item.epoch = epoch
        item.mass *= factor
        item.events *= factor
        item.sessions *= factor
        for place in range(item.size):
            table.weights[line + place] *= factor
            table.powered[line + place] = table.weights[line + place] ** compression
            table.pairs[line + place] *= factor
            if table.comparisons[line + place] != NOT_COMPARED:
                table.comparisons[line + place] *= factor
        # Weights that have decayed to nothing are all alike.
        sort_line(table, np.int64(line), np.int64(item.size), ids)


@inner
def sort_line(table: Table, line: int, size: int, ids: Ids) -> None:
    """Sort the neighbours in a line, heaviest first, ties by id: soon done where they nearly are."""
    for place in range(1, size):
        _rise(table, line, place, ids)


@inner
def _rise(table: Table, line: int, place: int, ids: Ids) -> None:
    """Let a neighbour that has gained weight pass those that are lighter now."""
    weights, neighbours = table.weights, table.neighbours
    while place > 0:
        before = place - 1
        weight, other = weights[line + place], weights[line + before]
        if weight < other or (
            weight == other and not precedes(neighbours[line + place], neighbours[line + before], ids.arena, ids.bounds)
        ):
            return
        neighbours[line + place], neighbours[line + before] = neighbours[line + before], neighbours[line + place]
        for numbers in (weights, table.powered, table.pairs, table.comparisons):
            numbers[line + place], numbers[line + before] = numbers[line + before], numbers[line + place]
        place = before


@inner
def _enter(table: Table, index: int, other: int, row_size: int) -> int:
    """Give a newcomer the last place of a row, with nothing counted; a full row drops its lightest neighbour."""
    item = table.items[index]
    size = np.int64(item.size)
    if size < row_size:
        if size == item.room:
            set_room(table, index, size + STEP)
        item.size = size + 1
    else:
        size -= 1
        item.mass -= table.weights[item.line + size]
    place = item.line + size
    table.neighbours[place] = other
    table.weights[place] = 0.0
    table.pairs[place] = 0.0
    table.comparisons[place] = NOT_COMPARED
    return int(size)
