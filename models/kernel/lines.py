"""Compiled: the lines of the rows: stretches of places, each as long as its row needs.

A line has room for a multiple of `STEP` neighbours. A row that has outgrown its line moves to a longer one, and the
line that it leaves is the next of its length to be given. When there is no room for more and much is free, all lines
are moved to arrays of their own, one after the other (`move_lines`).
"""

import numpy as np

from models.kernel.arrays import FREE, LINES, ROWS, STEP, USED, Table
from models.kernel.compiling import inner, kernel

__all__ = ["give_line", "move_lines", "room_for", "set_room"]


@inner
def room_for(size: int) -> int:
    """Return how much room the line of a row with so many neighbours has."""
    return max(STEP, (size + STEP - 1) // STEP * STEP)


@inner
def set_room(table: Table, index: int, room: int) -> None:
    """Give an item's row, or an item without a row, a line with so much room, to which its neighbours move."""
    item = table.items[index]
    if item.line and item.room == room:
        return
    blocks = table.blocks
    line = blocks[LINES + room // STEP]
    if line:
        blocks[LINES + room // STEP] = table.neighbours[line]
        blocks[FREE] -= room
    else:
        line = blocks[USED]
        blocks[USED] += room
    if item.line:
        former = np.int64(item.line)
        for place in range(min(item.size, room)):
            table.neighbours[line + place] = table.neighbours[former + place]
            table.weights[line + place] = table.weights[former + place]
            table.powered[line + place] = table.powered[former + place]
            table.pairs[line + place] = table.pairs[former + place]
            table.comparisons[line + place] = table.comparisons[former + place]
        _give_back(table, former, np.int64(item.room))
    else:
        blocks[ROWS] += 1
    item.line, item.room = line, room


@inner
def give_line(table: Table, index: int) -> None:
    """Take the line of an item's row back."""
    item = table.items[index]
    _give_back(table, np.int64(item.line), np.int64(item.room))
    table.blocks[ROWS] -= 1
    item.line = item.room = 0


@inner
def _give_back(table: Table, line: int, room: int) -> None:
    # What is free of one length is chained by the first of its places.
    table.neighbours[line] = table.blocks[LINES + room // STEP]
    table.blocks[LINES + room // STEP] = line
    table.blocks[FREE] += room


@kernel
def move_lines(table: Table, target: Table) -> None:
    """Move all lines to the places of another table, which has the same items."""
    used = np.int64(STEP)
    for index in range(len(table.items)):
        item = table.items[index]
        if item.line:
            line, room = np.int64(item.line), room_for(np.int64(item.size))
            for place in range(item.size):
                target.neighbours[used + place] = table.neighbours[line + place]
                target.weights[used + place] = table.weights[line + place]
                target.powered[used + place] = table.powered[line + place]
                target.pairs[used + place] = table.pairs[line + place]
                target.comparisons[used + place] = table.comparisons[line + place]
            item.line, item.room = used, room
            used += room
    target.blocks[:] = 0
    target.blocks[ROWS] = table.blocks[ROWS]
    target.blocks[USED] = used
