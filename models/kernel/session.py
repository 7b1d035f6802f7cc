"""Compiled: one session while its events happen, `models.session` on one array of numbers.

The array begins with a head, whose places are named below; then come, each from its place in `Layout` on: positions
(item, time), seen (item), cart (item, quantity), bought (item), offers, judged (item, stages), event ids and order ids
(hashes). Lists are oldest first, and each has room for one entry more than it keeps. An offer is

    time in ms, kind and partition, offset (together the suggestion's id); bytes of the moment; number of items;
    the moment in four words; the items

Items stand by their index.
"""

from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import inner
from models.parameters import SUGGESTIONS_LIMIT, Parameters
from models.records import MOMENT_MAX

__all__ = [
    "BOUGHT",
    "CART",
    "EVENT_IDS",
    "HEAD",
    "JUDGED",
    "LAST",
    "LENGTH",
    "MOMENT_WORDS",
    "OFFERS",
    "OFFER_HEAD",
    "ORDER_IDS",
    "POSITIONS",
    "SEEN",
    "STARTED",
    "Layout",
    "arrive",
    "begin",
    "change_quantity",
    "holds",
    "layout_of",
    "offer",
    "put_last",
    "remember",
    "take_out",
]

#: The head: times in ms, arrivals, and how many entries each list has.
STARTED, LAST, LENGTH, POSITIONS, SEEN, CART, BOUGHT, OFFERS, JUDGED, EVENT_IDS, ORDER_IDS = range(11)
HEAD = 11

#: Words of an offer before its items, of which the last hold the moment.
OFFER_HEAD = 9
MOMENT_WORDS = 4
assert MOMENT_MAX <= 8 * MOMENT_WORDS


class Layout(NamedTuple):
    """Where each list of a session begins, how many entries it keeps, and the words of all."""

    positions: int
    seen: int
    cart: int
    bought: int
    offers: int
    judged: int
    event_ids: int
    order_ids: int
    size: int
    positions_max: int
    seen_max: int
    offers_max: int
    event_ids_max: int
    order_ids_max: int
    offer_words: int


def layout_of(parameters: Parameters) -> Layout:
    """Return the layout of a session with these limits."""
    seen, offer_words = parameters.seen_max, OFFER_HEAD + SUGGESTIONS_LIMIT
    lists = (
        (parameters.positions_max, 2),
        (seen, 1),
        (seen, 2),
        (seen, 1),
        (parameters.offers_max, offer_words),
        (seen, 2),
        (parameters.event_ids_max, 1),
        (parameters.order_ids_max, 1),
    )
    ends = list(accumulate((entries + 1) * words for entries, words in lists))
    limits = (
        parameters.positions_max,
        seen,
        parameters.offers_max,
        parameters.event_ids_max,
        parameters.order_ids_max,
        offer_words,
    )
    return Layout._make([HEAD + end for end in (0, *ends)] + list(limits))


@inner
def begin(session: NDArray[np.int64], time_ms: int) -> None:
    """Begin a session in place of what is there; its cart and the ids it remembers stay."""
    session[STARTED] = session[LAST] = time_ms
    session[LENGTH] = session[POSITIONS] = session[SEEN] = session[BOUGHT] = session[OFFERS] = session[JUDGED] = 0


@inner
def holds(session: NDArray[np.int64], start: int, words: int, count: int, key: int) -> bool:
    """Tell whether one of the entries of a list begins with a key."""
    found = False
    for place in range(start, start + words * count, words):
        found |= session[place] == key
    return found


@inner
def remember(session: NDArray[np.int64], count_at: int, start: int, key: int, most: int) -> None:
    """Have a key stand last in a list of keys; the oldest is dropped when there are too many."""
    end = start + session[count_at]
    place = start
    while place < end and session[place] != key:
        place += 1
    if place == end:
        if end - start < most:
            session[end] = key
            session[count_at] += 1
            return
        place = start
    for later in range(place, end - 1):
        session[later] = session[later + 1]
    session[end - 1] = key


@inner
def arrive(session: NDArray[np.int64], layout: Layout, item: int, time_ms: int) -> None:
    """Append one item arrival to the positions and to what was seen."""
    session[LENGTH] += 1
    start = layout.positions
    if session[POSITIONS] == layout.positions_max:
        end = start + 2 * session[POSITIONS]
        for place in range(start, end - 2):
            session[place] = session[place + 2]
        session[POSITIONS] -= 1
    end = start + 2 * session[POSITIONS]
    session[end] = item
    session[end + 1] = time_ms
    session[POSITIONS] += 1
    remember(session, SEEN, layout.seen, item, layout.seen_max)


@inner
def take_out(session: NDArray[np.int64], count_at: int, start: int, key: int) -> int:
    """Take the pair of a key out of a list of pairs; return its value, 0 where there is none."""
    end = start + 2 * session[count_at]
    for place in range(start, end, 2):
        if session[place] == key:
            value = session[place + 1]
            for later in range(place, end - 2):
                session[later] = session[later + 2]
            session[count_at] -= 1
            return value
    return 0


@inner
def put_last(session: NDArray[np.int64], count_at: int, start: int, key: int, value: int, most: int) -> None:
    """Append a pair to a list of pairs that has none of its key; the oldest is dropped when there are too many."""
    if session[count_at] == most:
        take_out(session, count_at, start, session[start])
    end = start + 2 * session[count_at]
    session[end] = key
    session[end + 1] = value
    session[count_at] += 1


@inner
def change_quantity(session: NDArray[np.int64], layout: Layout, item: int, change: int) -> None:
    """Put pieces of an item into the cart, or take them out; an empty line is dropped."""
    held = take_out(session, CART, layout.cart, item) + change
    if held > 0:
        put_last(session, CART, layout.cart, item, held, layout.seen_max)


@inner
def offer(session: NDArray[np.int64], layout: Layout) -> int:
    """Return the place of a new offer, the last; the oldest is dropped when there are too many."""
    words = layout.offer_words
    if session[OFFERS] == layout.offers_max:
        for place in range(layout.offers, layout.offers + (layout.offers_max - 1) * words):
            session[place] = session[place + words]
        session[OFFERS] -= 1
    session[OFFERS] += 1
    return layout.offers + (session[OFFERS] - 1) * words
