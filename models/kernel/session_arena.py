"""Compiled: all sessions of a worker, packed one by one into an arena of words.

A session of eight views with eight suggestions of four items takes about 700 bytes; the words are those of
`models.kernel.session` without what is empty, an offer's items two to a word. Places in the arena have one of some
sizes, a third apart or half, so that what one session leaves another can take.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner, kernel, merged
from models.kernel.interning import Ids, forget_id
from models.kernel.session import (
    BOUGHT,
    CART,
    EVENT_IDS,
    HEAD,
    JUDGED,
    LAST,
    MOMENT_WORDS,
    OFFER_HEAD,
    OFFERS,
    ORDER_IDS,
    POSITIONS,
    SEEN,
    Layout,
)

__all__ = [
    "ABSENT",
    "Sessions",
    "drop_session",
    "empty_sessions",
    "forget_old",
    "has_room",
    "load_session",
    "mark_items",
    "release_partition",
    "save_session",
    "settle",
    "take_dirty",
    "with_more_slots",
    "with_more_words",
]

#: Instead of a place in the arena: the slot's session is forgotten, which the table has still to be told.
ABSENT = -1
#: Instead of a slot.
_NONE = -1

_CAPACITIES = np.array([32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096])

#: One session: its place in the arena, or `ABSENT`, and the size of that place by its number; its partition; the
#: sessions of its partition that were touched before and after it; whether the table has still to be told of it.
_SLOT = np.dtype(
    [
        ("place", np.int64),
        ("last", np.int64),
        ("capacity", np.int32),
        ("partition", np.int32),
        ("before", np.int32),
        ("after", np.int32),
        ("is_dirty", np.int32),
    ],
    align=True,
)

#: Places in `Sessions.ends`: words used of the arena, dirty slots.
_WORDS, _DIRTY = range(2)


class Sessions(NamedTuple):
    """The sessions of all partitions that are owned.

    Attributes
    ----------
    ids : Ids
        The session ids; a session's slot is the index of its id.
    slots : ndarray of _SLOT
        The sessions.
    arena : ndarray of int64
        Their words.
    free : ndarray of int64, by capacity
        The first free place of each size, -1 for none; its first word is the place of the next.
    ends : ndarray of int64
        Words used of the arena; dirty slots.
    dirty : ndarray of int32
        Slots that the table has still to be told of.
    ring : ndarray of int32, partitions × 2
        The sessions that were touched first and last, -1 for none.
    counts : ndarray of int64, by partition
        Sessions.
    """

    ids: Ids
    slots: NDArray[np.void]
    arena: NDArray[np.int64]
    free: NDArray[np.int64]
    ends: NDArray[np.int64]
    dirty: NDArray[np.int32]
    ring: NDArray[np.int32]
    counts: NDArray[np.int64]


def empty_sessions(ids: Ids, partitions: int) -> Sessions:
    """Return no sessions, with room for one slot."""
    return Sessions(
        ids=ids,
        slots=_new_slots(1),
        arena=np.zeros(2 * _CAPACITIES.item(-1), np.int64),
        free=np.full(len(_CAPACITIES), _NONE, np.int64),
        ends=np.zeros(2, np.int64),
        dirty=np.zeros(1, np.int32),
        ring=np.full((partitions, 2), _NONE, np.int32),
        counts=np.zeros(partitions, np.int64),
    )


def _new_slots(count: int) -> NDArray[np.void]:
    slots = np.zeros(count, _SLOT)
    slots["place"] = ABSENT
    slots["partition"] = slots["before"] = slots["after"] = _NONE
    return slots


def with_more_slots(sessions: Sessions) -> Sessions:
    """Return sessions with room for twice as many."""
    more = len(sessions.slots)
    return sessions._replace(
        slots=np.concatenate((sessions.slots, _new_slots(more))),
        dirty=np.concatenate((sessions.dirty, np.zeros(more, np.int32))),
    )


def with_more_words(sessions: Sessions) -> Sessions:
    """Return sessions with half as many words more."""
    words = len(sessions.arena)
    # Not touched before it is used: a page costs as much as a session.
    arena = np.zeros(words + words // 2, np.int64)
    arena[:words] = sessions.arena
    return sessions._replace(arena=arena)


@kernel
def has_room(sessions: Sessions) -> bool:
    """Tell whether there is room for one session of any size."""
    return bool(sessions.ends[_WORDS] + _CAPACITIES[-1] <= len(sessions.arena))


@inner
def load_session(sessions: Sessions, layout: Layout, slot: int, session: NDArray[np.int64]) -> None:
    """Unpack a session that is there."""
    arena, at = sessions.arena, sessions.slots[slot].place
    for place in range(HEAD):
        session[place] = arena[at + place]
    at += HEAD
    at = _read(arena, at, session, layout.positions, 2 * session[POSITIONS])
    at = _read(arena, at, session, layout.seen, session[SEEN])
    at = _read(arena, at, session, layout.cart, 2 * session[CART])
    at = _read(arena, at, session, layout.bought, session[BOUGHT])
    at = _read(arena, at, session, layout.judged, 2 * session[JUDGED])
    at = _read(arena, at, session, layout.event_ids, session[EVENT_IDS])
    at = _read(arena, at, session, layout.order_ids, session[ORDER_IDS])
    for number in range(session[OFFERS]):
        offer = layout.offers + number * layout.offer_words
        session[offer] = arena[at]
        session[offer + 1] = arena[at + 1]
        session[offer + 2] = arena[at + 2]
        session[offer + 3] = size = arena[at + 3] >> 32
        session[offer + 4] = count = arena[at + 3] & 0xFFFFFFFF
        at += 4
        for word in range(MOMENT_WORDS):
            session[offer + OFFER_HEAD - MOMENT_WORDS + word] = 0
            if 8 * word < size:
                session[offer + OFFER_HEAD - MOMENT_WORDS + word] = arena[at]
                at += 1
        for k in range(0, count, 2):
            session[offer + OFFER_HEAD + k] = arena[at] & 0xFFFFFFFF
            session[offer + OFFER_HEAD + k + 1] = arena[at] >> 32
            at += 1


@inner
def save_session(
    sessions: Sessions, layout: Layout, slot: int, partition: int, session: NDArray[np.int64], is_dirty: bool
) -> None:
    """Pack a session, new or not, as the one of its partition that was touched last."""
    own = sessions.slots[slot]
    words = HEAD + 2 * (session[POSITIONS] + session[CART] + session[JUDGED])
    words += session[SEEN] + session[BOUGHT] + session[EVENT_IDS] + session[ORDER_IDS]
    for number in range(session[OFFERS]):
        offer = layout.offers + number * layout.offer_words
        words += 4 + (session[offer + 3] + 7) // 8 + (session[offer + 4] + 1) // 2
    capacity = 0
    while _CAPACITIES[capacity] < words:
        capacity += 1
    if own.place == ABSENT:
        own.partition = partition
        sessions.counts[partition] += 1
        own.place, own.capacity = _take_place(sessions, capacity), capacity
    else:
        _unlink(sessions, slot)
        if own.capacity != capacity:
            _give_place(sessions, slot)
            own.place, own.capacity = _take_place(sessions, capacity), capacity
    own.last = session[LAST]
    _link_last(sessions, slot)
    if is_dirty:
        _note_dirty(sessions, slot)
    arena, at = sessions.arena, own.place
    for place in range(HEAD):
        arena[at + place] = session[place]
    at += HEAD
    at = _write(arena, at, session, layout.positions, 2 * session[POSITIONS])
    at = _write(arena, at, session, layout.seen, session[SEEN])
    at = _write(arena, at, session, layout.cart, 2 * session[CART])
    at = _write(arena, at, session, layout.bought, session[BOUGHT])
    at = _write(arena, at, session, layout.judged, 2 * session[JUDGED])
    at = _write(arena, at, session, layout.event_ids, session[EVENT_IDS])
    at = _write(arena, at, session, layout.order_ids, session[ORDER_IDS])
    for number in range(session[OFFERS]):
        offer = layout.offers + number * layout.offer_words
        size, count = session[offer + 3], session[offer + 4]
        arena[at] = session[offer]
        arena[at + 1] = session[offer + 1]
        arena[at + 2] = session[offer + 2]
        arena[at + 3] = size << 32 | count
        at += 4
        for word in range((size + 7) // 8):
            arena[at] = session[offer + OFFER_HEAD - MOMENT_WORDS + word]
            at += 1
        for k in range(0, count, 2):
            arena[at] = session[offer + OFFER_HEAD + k]
            if k + 1 < count:
                arena[at] |= session[offer + OFFER_HEAD + k + 1] << 32
            at += 1


@inner
def drop_session(sessions: Sessions, slot: int) -> None:
    """Forget a session that is there; the table has still to be told."""
    _unlink(sessions, slot)
    _give_place(sessions, slot)
    sessions.slots[slot].place = ABSENT
    sessions.counts[sessions.slots[slot].partition] -= 1
    _note_dirty(sessions, slot)


@inner
def forget_old(sessions: Sessions, partition: int, before_ms: int) -> None:
    """Forget what was touched longest ago, as long as its last event is older than a time."""
    slot = np.int64(sessions.ring[partition, 0])
    while slot != _NONE and sessions.slots[slot].last < before_ms:
        drop_session(sessions, slot)
        slot = np.int64(sessions.ring[partition, 0])


@kernel
def take_dirty(sessions: Sessions, partition: int, slots: NDArray[np.int32]) -> int:
    """Fill in the slots of a partition that the table has still to be told of, which is then done; return how many."""
    left = taken = 0
    for k in range(sessions.ends[_DIRTY]):
        slot = np.int64(sessions.dirty[k])
        if sessions.slots[slot].partition == partition:
            slots[taken] = slot
            taken += 1
            sessions.slots[slot].is_dirty = 0
        else:
            sessions.dirty[left] = slot
            left += 1
    sessions.ends[_DIRTY] = left
    return taken


@kernel
def settle(sessions: Sessions, slots: NDArray[np.int32]) -> None:
    """Give up those of some slots whose session is forgotten, now that the table is told."""
    for slot in slots:
        if sessions.slots[slot].place == ABSENT and not sessions.slots[slot].is_dirty:
            forget_id(sessions.ids, slot)


@kernel
def release_partition(sessions: Sessions, partition: int, slots: NDArray[np.int32]) -> None:
    """Forget all sessions of a partition without telling the table; `slots` is room for all dirty ones."""
    taken = take_dirty(sessions, partition, slots)
    settle(sessions, slots[:taken])
    slot = np.int64(sessions.ring[partition, 0])
    while slot != _NONE:
        after = np.int64(sessions.slots[slot].after)
        _give_place(sessions, slot)
        sessions.slots[slot].place = ABSENT
        forget_id(sessions.ids, slot)
        slot = after
    sessions.ring[partition] = _NONE
    sessions.counts[partition] = 0


@kernel
def mark_items(sessions: Sessions, layout: Layout, session: NDArray[np.int64], used: NDArray[np.bool_]) -> None:
    """Set `used`, by index, for every item that a session holds."""
    for partition in range(len(sessions.ring)):
        slot = np.int64(sessions.ring[partition, 0])
        while slot != _NONE:
            load_session(sessions, layout, slot, session)
            _mark(session, layout.positions, 2, session[POSITIONS], used)
            _mark(session, layout.seen, 1, session[SEEN], used)
            _mark(session, layout.cart, 2, session[CART], used)
            _mark(session, layout.bought, 1, session[BOUGHT], used)
            _mark(session, layout.judged, 2, session[JUDGED], used)
            for number in range(session[OFFERS]):
                offer = layout.offers + number * layout.offer_words
                _mark(session, offer + OFFER_HEAD, 1, session[offer + 4], used)
            slot = np.int64(sessions.slots[slot].after)


@inner
def _mark(session: NDArray[np.int64], start: int, words: int, count: int, used: NDArray[np.bool_]) -> None:
    for place in range(start, start + words * count, words):
        used[session[place]] = True


@inner
def _read(arena: NDArray[np.int64], at: int, session: NDArray[np.int64], start: int, words: int) -> int:
    # Without a sign, of which each index would have to be freed.
    origin, to = np.uintp(at), np.uintp(start)
    for place in range(np.uintp(words)):
        session[to + place] = arena[origin + place]
    return at + words


@inner
def _write(arena: NDArray[np.int64], at: int, session: NDArray[np.int64], start: int, words: int) -> int:
    to, origin = np.uintp(at), np.uintp(start)
    for place in range(np.uintp(words)):
        arena[to + place] = session[origin + place]
    return at + words


@merged
def _take_place(sessions: Sessions, capacity: int) -> int:
    place = sessions.free[capacity]
    if place == _NONE:
        place = sessions.ends[_WORDS]
        sessions.ends[_WORDS] += _CAPACITIES[capacity]
    else:
        sessions.free[capacity] = sessions.arena[place]
    return place


@merged
def _give_place(sessions: Sessions, slot: int) -> None:
    own = sessions.slots[slot]
    sessions.arena[own.place] = sessions.free[own.capacity]
    sessions.free[own.capacity] = own.place


@merged
def _note_dirty(sessions: Sessions, slot: int) -> None:
    if not sessions.slots[slot].is_dirty:
        sessions.slots[slot].is_dirty = 1
        sessions.dirty[sessions.ends[_DIRTY]] = slot
        sessions.ends[_DIRTY] += 1


@merged
def _link_last(sessions: Sessions, slot: int) -> None:
    own = sessions.slots[slot]
    last = sessions.ring[own.partition, 1]
    own.before, own.after = last, _NONE
    if last == _NONE:
        sessions.ring[own.partition, 0] = slot
    else:
        sessions.slots[last].after = slot
    sessions.ring[own.partition, 1] = slot


@merged
def _unlink(sessions: Sessions, slot: int) -> None:
    own = sessions.slots[slot]
    if own.before == _NONE:
        sessions.ring[own.partition, 0] = own.after
    else:
        sessions.slots[own.before].after = own.after
    if own.after == _NONE:
        sessions.ring[own.partition, 1] = own.before
    else:
        sessions.slots[own.after].before = own.before
