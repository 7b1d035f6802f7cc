"""Compiled: rows of the table `cooccurrence` as bytes, and back, many at once (`models.layout.rows`)."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.arrays import NO_STEP, STEP, Owners, Table
from models.kernel.compiling import allocating, inner, kernel
from models.kernel.folding import close_row, sort_line
from models.kernel.interning import Ids, find_id, find_ids, intern_id
from models.kernel.leading import Boards, count_leader
from models.kernel.lines import room_for, set_room
from models.kernel.octets import copy, get_i64, get_u16, put_i64, put_u16

__all__ = ["NEIGHBOUR_BYTES", "count_leaders", "put_rows", "read_rows"]

#: Bytes before the category, of a number, and of a text's length.
_COUNTS, _NUMBER, _SIZE = 40, 8, 2
#: Bytes of id and value, as room is made for them first.
_USUAL = 1024
#: A neighbour has no fewer bytes.
NEIGHBOUR_BYTES = 3 * _NUMBER + _SIZE


@allocating
def put_rows(
    table: Table, ids: Ids, categories: Ids, indices: NDArray[np.int64], letter: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return id and value of the rows of some items.

    Parameters
    ----------
    letter : ndarray of uint8, read-only
        Stands before each id.

    Returns
    -------
    out : ndarray of uint8
        Ids and values, one after the other.
    bounds : ndarray of int64, items × 3
        Where id and value begin, and where the value ends; it is empty for an item without a row.
    """
    out, bounds = np.empty(_USUAL * len(indices), np.uint8), np.empty((len(indices), 3), np.int64)
    texts = np.empty((STEP * len(table.blocks), 2), np.int64)
    bits = np.empty(1, np.int64)
    number = bits.view(np.float64)
    at = 0
    for place in range(len(indices)):
        index = indices[place]
        item = table.items[index]
        line, size = item.line, item.size
        most = len(letter) + ids.bounds[index, 1] - ids.bounds[index, 0]
        if line:
            # Collected first, so that the reads do not wait for each other.
            for k in range(size):
                other = table.neighbours[line + k]
                texts[k, 0] = ids.bounds[other, 0]
                texts[k, 1] = ids.bounds[other, 1]
                most += NEIGHBOUR_BYTES + texts[k, 1] - texts[k, 0]
            most += _COUNTS + 2 * _SIZE
            if item.category >= 0:
                most += categories.bounds[item.category, 1] - categories.bounds[item.category, 0]
        if at + most > len(out):
            longer = np.empty(2 * len(out) + most, np.uint8)
            longer[:at] = out[:at]
            out = longer
        bounds[place, 0] = at
        at = copy(out, at, letter, 0, len(letter))
        at = bounds[place, 1] = copy(out, at, ids.arena, ids.bounds[index, 0], ids.bounds[index, 1])
        if line:
            at = put_i64(out, at, item.epoch)
            number[0] = item.mass
            at = put_i64(out, at, bits[0])
            number[0] = item.events
            at = put_i64(out, at, bits[0])
            number[0] = item.sessions
            at = put_i64(out, at, bits[0])
            number[0] = item.recent
            at = put_i64(out, at, bits[0])
            if item.category >= 0:
                start, end = categories.bounds[item.category]
                at = copy(out, put_u16(out, at, end - start), categories.arena, start, end)
            else:
                at = put_u16(out, at, 0)
            at = put_u16(out, at, size)
            for numbers in (table.weights, table.pairs, table.comparisons):
                for k in range(size):
                    number[0] = numbers[line + k]
                    at = put_i64(out, at, bits[0])
            for k in range(size):
                start, end = texts[k]
                at = copy(out, put_u16(out, at, end - start), ids.arena, start, end)
        bounds[place, 2] = at
    return out[:at], bounds


@allocating
def read_rows(
    table: Table,
    owners: Owners,
    ids: Ids,
    categories: Ids,
    content: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    partition: int,
    compression: float,
    row_size: int,
) -> tuple[int, int]:
    """Put rows, from their ids and values, in place of what was there; `count_leaders` is to follow.

    Parameters
    ----------
    table, ids, categories
        Have room for every text and every row.
    content : ndarray of uint8, read-only
        Holds ids and values.
    bounds : ndarray of int64, rows × 3
        Where each id and each value begins, and where the value ends; an empty one drops the row.
    partition : int
        Whose rows they are.

    Returns
    -------
    read, owned : int
        How many were read: fewer than there are when the next one cannot be, or has more neighbours than fit; and by
        how many the partition's rows have become more.
    """
    sizes = np.empty(len(bounds), np.int64)
    texts = rows = 0
    for _, at, end in bounds:
        size = 0
        if at < end:
            size = _neighbours(content, at, end)
            if size < 0 or size > row_size:
                break
        sizes[rows] = size
        texts += 1 + size
        rows += 1
    starts, ends, found = np.empty(texts, np.int64), np.empty(texts, np.int64), np.empty(texts, np.int64)
    text = 0
    for row in range(rows):
        start, at, end = bounds[row]
        starts[text], ends[text] = start, at
        text += 1
        at = _texts(content, at, sizes[row])
        for _ in range(sizes[row]):
            starts[text] = at + _SIZE
            at = ends[text] = at + _SIZE + get_u16(content, at)
            text += 1
    find_ids(ids, content, starts, ends, found)
    text = owned = 0
    bits = np.empty(1, np.int64)
    number = bits.view(np.float64)
    for row in range(rows):
        size, at, index = sizes[row], bounds[row, 1], found[text]
        if at == bounds[row, 2]:
            if index < 0:
                index = find_id(ids, content, starts[text], ends[text])
            if index >= 0 and owners.partitions[index] == partition:
                close_row(table, owners, index)
                owned -= 1
            text += 1
            continue
        if index < 0:
            index = intern_id(ids, content, starts[text], ends[text])
        text += 1
        item = table.items[index]
        set_room(table, index, room_for(size))
        if owners.partitions[index] != partition:
            owners.partitions[index] = partition
            owned += 1
        table.priors[index].step = NO_STEP
        item.epoch = get_i64(content, at)
        bits[0] = get_i64(content, at + 8)
        item.mass = number[0]
        bits[0] = get_i64(content, at + 16)
        item.events = number[0]
        bits[0] = get_i64(content, at + 24)
        item.sessions = number[0]
        bits[0] = get_i64(content, at + 32)
        item.recent = number[0]
        at += _COUNTS + _SIZE
        length = get_u16(content, at - _SIZE)
        item.category = intern_id(categories, content, at, at + length) if length else -1
        at += length + _SIZE
        item.size = size
        line = np.int64(item.line)
        for k in range(size):
            bits[0] = get_i64(content, at + k * _NUMBER)
            table.weights[line + k] = number[0]
            table.powered[line + k] = number[0] ** compression
            bits[0] = get_i64(content, at + (size + k) * _NUMBER)
            table.pairs[line + k] = number[0]
            bits[0] = get_i64(content, at + (2 * size + k) * _NUMBER)
            table.comparisons[line + k] = number[0]
            index = found[text]
            if index < 0:
                index = intern_id(ids, content, starts[text], ends[text])
            table.neighbours[line + k] = index
            text += 1
        sort_line(table, line, size, ids)
    return rows, owned


@inner
def _neighbours(content: NDArray[np.uint8], at: int, end: int) -> int:
    """Return how many neighbours a row has, -1 where its value does not end where it should."""
    at += _COUNTS
    if at + _SIZE > end:
        return -1
    at += _SIZE + get_u16(content, at)
    if at + _SIZE > end:
        return -1
    size = get_u16(content, at)
    at += _SIZE + 3 * size * _NUMBER
    for _ in range(size):
        if at + _SIZE > end:
            return -1
        at += _SIZE + get_u16(content, at)
    return size if at == end else -1


@kernel
def count_leaders(
    table: Table, owners: Owners, ids: Ids, boards: Boards, partition: int, epoch_half_lives: int
) -> None:
    """Take notice of all of a partition's rows, once they are loaded."""
    for index in range(len(owners.partitions)):
        if owners.partitions[index] == partition:
            item = table.items[index]
            count_leader(boards, ids, index, item.sessions, item.epoch, np.int64(item.category), epoch_half_lives)


@inner
def _texts(content: NDArray[np.uint8], at: int, size: int) -> int:
    """Return where the ids of a row's neighbours begin, the row having so many of them."""
    at += _COUNTS
    at += _SIZE + get_u16(content, at)
    return at + _SIZE + 3 * size * _NUMBER
