"""Compiled: the entries of a record of `session-events` (`models.layout.events`), as numbers.

Texts stay where they are: an entry holds the place of the first byte and the place after the last one.
"""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import merged
from models.kernel.interning import Ids, intern_id
from models.kernel.octets import get_i64, get_u16, get_u32

__all__ = [
    "ACTION",
    "ADD",
    "ADD_TO_CART",
    "BROWSE",
    "CLEAR",
    "CURRENCY",
    "ENTRY_WORDS",
    "EVENT_ID",
    "KIND",
    "LINES",
    "MOMENT",
    "NAMED",
    "OFFSET",
    "ORDERS",
    "ORDER_ID",
    "SESSION_ID",
    "SPAN",
    "TIME",
    "TIMESTAMP",
    "read_entry",
    "read_lines",
]

#: Places of an entry's numbers; of a text the first, the second follows. `NAMED` is the suggestion that the event
#: names; `LINES` the place of the number of lines.
SPAN, KIND, ACTION, OFFSET, TIMESTAMP, TIME = range(6)
SESSION_ID, EVENT_ID, MOMENT, ORDER_ID, CURRENCY, NAMED = range(6, 18, 2)
LINES = 18
ENTRY_WORDS = 19

#: Kinds and actions, as `models.records.KINDS` and `models.layout.events` number them.
BROWSE, ADD_TO_CART, ORDERS = range(3)
ADD, REMOVE, CLEAR = range(3)


@merged
def read_entry(buffer: NDArray[np.uint8], at: int, entry: NDArray[np.int64]) -> None:
    """Read the entry that stands at a place, all but its lines."""
    entry[SPAN] = get_u16(buffer, at)
    entry[KIND] = buffer[at + 2]
    entry[ACTION] = buffer[at + 3]
    entry[OFFSET] = get_i64(buffer, at + 4)
    entry[TIMESTAMP] = get_i64(buffer, at + 12)
    entry[TIME] = get_i64(buffer, at + 20)
    at += 28
    for text in range(SESSION_ID, NAMED + 1, 2):
        entry[text] = at + 2
        at = entry[text + 1] = at + 2 + get_u16(buffer, at)
    entry[LINES] = at


@merged
def read_lines(
    buffer: NDArray[np.uint8],
    at: int,
    items: Ids,
    categories: Ids,
    lines: NDArray[np.int64],
) -> int:
    """Read the lines at a place into rows of (item, category or -1, quantity), interned; return the place after."""
    count = get_u16(buffer, at)
    at += 2
    for line in range(count):
        end = at + 2 + get_u16(buffer, at)
        lines[line, 0] = intern_id(items, buffer, at + 2, end)
        at = end
        end = at + 2 + get_u16(buffer, at)
        lines[line, 1] = intern_id(categories, buffer, at + 2, end) if end > at + 2 else -1
        lines[line, 2] = get_u32(buffer, end)
        at = end + 12
    return at
