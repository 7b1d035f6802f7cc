"""Compiled: sessions as rows of the table `sessions`, and back (`models.layout.sessions`)."""

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner, kernel
from models.kernel.interning import Ids, intern_id
from models.kernel.octets import copy, get_i64, get_u16, get_u32, put_i64, put_u8, put_u16, put_u32
from models.kernel.packing import Marks
from models.kernel.session import (
    BOUGHT,
    CART,
    EVENT_IDS,
    JUDGED,
    LAST,
    LENGTH,
    MOMENT_WORDS,
    OFFER_HEAD,
    OFFERS,
    ORDER_IDS,
    POSITIONS,
    SEEN,
    STARTED,
    Layout,
)
from models.kernel.session_arena import ABSENT, Sessions, has_room, load_session, save_session

__all__ = ["put_sessions", "read_sessions"]

#: Places of `Ids.counts`.
_GIVEN, _USED, _FREE = range(3)


@kernel
def put_sessions(
    sessions: Sessions,
    layout: Layout,
    slots: NDArray[np.int32],
    session: NDArray[np.int64],
    items: Ids,
    marks: Marks,
    longest_id: int,
    letter: NDArray[np.uint8],
    out: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    first: int,
) -> int:
    """Write key and value of the rows of some slots, from `first` on; return the first that there was no room for.

    Parameters
    ----------
    session : ndarray of int64
        Room for one session.
    longest_id : int
        Bytes of an id, at most.
    letter : ndarray of uint8, read-only
        Stands before each id.
    bounds : ndarray of int64, slots × 3
        Is filled with the places of key and value, and the place after; the value of a forgotten session is empty.
    """
    at = 0
    for number in range(first, len(slots)):
        slot = slots[number]
        start, end = sessions.ids.bounds[slot]
        is_there = sessions.slots[slot].place != ABSENT
        if is_there:
            load_session(sessions, layout, slot, session)
        if at + len(letter) + end - start + _size_max(session, layout, longest_id) > len(out):
            return number
        bounds[number, 0] = at
        at = copy(out, at, letter, 0, len(letter))
        at = bounds[number, 1] = copy(out, at, sessions.ids.arena, start, end)
        if is_there:
            at = _put_session(session, layout, items, marks, out, at)
        bounds[number, 2] = at
    return len(slots)


@inner
def _size_max(session: NDArray[np.int64], layout: Layout, longest_id: int) -> int:
    words = 2 * (session[POSITIONS] + session[CART] + session[JUDGED]) + session[SEEN] + session[BOUGHT]
    ids = session[EVENT_IDS] + session[ORDER_IDS]
    return 64 + (words + session[OFFERS] * layout.offer_words) * (10 + longest_id) + 8 * ids


@inner
def _put_session(
    session: NDArray[np.int64], layout: Layout, items: Ids, marks: Marks, out: NDArray[np.uint8], at: int
) -> int:
    marks.stamp[0] += 1
    at = put_i64(out, at, session[STARTED])
    at = put_i64(out, at, session[LAST])
    at = put_i64(out, at, session[LENGTH])
    texts = at
    at += 2
    known, at = _name(session, layout.positions, 2, session[POSITIONS], items, marks, 0, out, at)
    known, at = _name(session, layout.seen, 1, session[SEEN], items, marks, known, out, at)
    known, at = _name(session, layout.cart, 2, session[CART], items, marks, known, out, at)
    known, at = _name(session, layout.bought, 1, session[BOUGHT], items, marks, known, out, at)
    known, at = _name(session, layout.judged, 2, session[JUDGED], items, marks, known, out, at)
    for number in range(session[OFFERS]):
        offer = layout.offers + number * layout.offer_words
        known, at = _name(session, offer + OFFER_HEAD, 1, session[offer + 4], items, marks, known, out, at)
    put_u16(out, texts, known)
    at = _put_items(session, layout.positions, 2, session[POSITIONS], marks, out, at)
    at = _put_items(session, layout.seen, 1, session[SEEN], marks, out, at)
    at = _put_items(session, layout.cart, 2, session[CART], marks, out, at)
    at = _put_items(session, layout.bought, 1, session[BOUGHT], marks, out, at)
    at = _put_items(session, layout.judged, 2, session[JUDGED], marks, out, at)
    at = _put_words(session, layout.event_ids, session[EVENT_IDS], out, at)
    at = _put_words(session, layout.order_ids, session[ORDER_IDS], out, at)
    at = put_u16(out, at, session[OFFERS])
    for number in range(session[OFFERS]):
        offer = layout.offers + number * layout.offer_words
        at = put_i64(out, at, session[offer])
        at = put_u32(out, at, session[offer + 1])
        at = put_i64(out, at, session[offer + 2])
        size = session[offer + 3]
        at = put_u16(out, at, size)
        for byte in range(size):
            word = session[offer + OFFER_HEAD - MOMENT_WORDS + byte // 8]
            at = put_u8(out, at, word >> 8 * (byte % 8) & 0xFF)
        at = _put_items(session, offer + OFFER_HEAD, 1, session[offer + 4], marks, out, at)
    return at


@inner
def _name(
    session: NDArray[np.int64],
    start: int,
    words: int,
    count: int,
    items: Ids,
    marks: Marks,
    known: int,
    out: NDArray[np.uint8],
    at: int,
) -> tuple[int, int]:
    """Write the ids of those items of a list that have none in this row yet; return how many have, and the place."""
    for place in range(start, start + words * count, words):
        item = session[place]
        if marks.items[item].stamp != marks.stamp[0]:
            marks.items[item].stamp = marks.stamp[0]
            marks.items[item].number = known
            known += 1
            begin, end = items.bounds[item]
            at = copy(out, put_u16(out, at, end - begin), items.arena, begin, end)
    return known, at


@inner
def _put_items(
    session: NDArray[np.int64], start: int, words: int, count: int, marks: Marks, out: NDArray[np.uint8], at: int
) -> int:
    """Write a list of items, each with the number that may stand beside it."""
    at = put_u16(out, at, count)
    for place in range(start, start + words * count, words):
        at = put_u16(out, at, marks.items[session[place]].number)
        if words == 2:
            at = put_i64(out, at, session[place + 1])
    return at


@inner
def _put_words(session: NDArray[np.int64], start: int, count: int, out: NDArray[np.uint8], at: int) -> int:
    at = put_u16(out, at, count)
    for place in range(start, start + count):
        at = put_i64(out, at, session[place])
    return at


@kernel
def read_sessions(
    sessions: Sessions,
    layout: Layout,
    partition: int,
    buffer: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    first: int,
    session: NDArray[np.int64],
    items: Ids,
    numbers: NDArray[np.int64],
) -> int:
    """Put rows into their slots, from `first` on; return the first that there was no room for.

    Parameters
    ----------
    buffer, bounds : ndarray
        The rows, and as `put_sessions` fills them in.
    numbers : ndarray of int64
        Room for the items of one row.
    """
    for row in range(first, len(bounds)):
        at = bounds[row, 1]
        texts = get_u16(buffer, at + 24)
        given, used, free = items.counts[_GIVEN], items.counts[_USED], items.counts[_FREE]
        size = bounds[row, 2] - at
        if not has_room(sessions) or given - free + texts > len(items.bounds) or used + size > len(items.arena):
            return row
        session[STARTED], session[LAST] = get_i64(buffer, at), get_i64(buffer, at + 8)
        session[LENGTH] = get_i64(buffer, at + 16)
        at += 26
        for number in range(texts):
            end = at + 2 + get_u16(buffer, at)
            numbers[number] = intern_id(items, buffer, at + 2, end)
            at = end
        session[POSITIONS], at = _read_items(buffer, at, session, layout.positions, 2, numbers)
        session[SEEN], at = _read_items(buffer, at, session, layout.seen, 1, numbers)
        session[CART], at = _read_items(buffer, at, session, layout.cart, 2, numbers)
        session[BOUGHT], at = _read_items(buffer, at, session, layout.bought, 1, numbers)
        session[JUDGED], at = _read_items(buffer, at, session, layout.judged, 2, numbers)
        session[EVENT_IDS], at = _read_words(buffer, at, session, layout.event_ids)
        session[ORDER_IDS], at = _read_words(buffer, at, session, layout.order_ids)
        session[OFFERS] = get_u16(buffer, at)
        at += 2
        for number in range(session[OFFERS]):
            offer = layout.offers + number * layout.offer_words
            session[offer] = get_i64(buffer, at)
            session[offer + 1] = get_u32(buffer, at + 8)
            session[offer + 2] = get_i64(buffer, at + 12)
            session[offer + 3] = moment_size = get_u16(buffer, at + 20)
            at += 22
            for word in range(MOMENT_WORDS):
                session[offer + OFFER_HEAD - MOMENT_WORDS + word] = 0
            for byte in range(moment_size):
                place = offer + OFFER_HEAD - MOMENT_WORDS + byte // 8
                session[place] |= np.int64(buffer[at + byte]) << 8 * (byte % 8)
            at += moment_size
            session[offer + 4], at = _read_items(buffer, at, session, offer + OFFER_HEAD, 1, numbers)
        slot = intern_id(sessions.ids, buffer, bounds[row, 0], bounds[row, 1])
        save_session(sessions, layout, slot, partition, session, False)
    return len(bounds)


@inner
def _read_items(
    buffer: NDArray[np.uint8],
    at: int,
    session: NDArray[np.int64],
    start: int,
    words: int,
    numbers: NDArray[np.int64],
) -> tuple[int, int]:
    count = get_u16(buffer, at)
    at += 2
    for place in range(start, start + words * count, words):
        session[place] = numbers[get_u16(buffer, at)]
        at += 2
        if words == 2:
            session[place + 1] = get_i64(buffer, at)
            at += 8
    return count, at


@inner
def _read_words(buffer: NDArray[np.uint8], at: int, session: NDArray[np.int64], start: int) -> tuple[int, int]:
    count = get_u16(buffer, at)
    at += 2
    for number in range(count):
        session[start + number] = get_i64(buffer, at + 8 * number)
    return count, at + 8 * count
