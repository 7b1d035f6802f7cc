"""Deterministic traffic of a shop, drawn with numpy and encoded in advance: half a million messages in seconds.

Shoppers come in a steady stream and browse, a third or so of an item's visits going on to one of its planted
complements. Popularity follows Zipf's law. Of a hundred events about 94 are views, 4 to 5 put something into the cart,
and 1 to 2 are orders of all that is in it. Messages are the compact JSON of a shop's front-end, 140 to 200 bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.records import Kind

__all__ = ["Message", "Traffic", "category_of", "complements", "item_name", "shop_traffic"]

_Ints = NDArray[np.int64]

_BROWSE, _ADD, _ORDER = range(3)

#: Views of a session: one, and a long-tailed number more; five on average, as in the public recordings.
_LENGTH_MEAN_LOG, _LENGTH_SIGMA, _LENGTH_MAX = 0.9, 0.9, 50
#: What the next view is: a complement of the one before, one of the session's earlier items, else any item.
_COMPLEMENT, _RETURN = 0.35, 0.15
_COMPLEMENTS = 4
_ADDS, _ORDERS = 0.05, 0.35
#: Mean seconds between two views, from a view to the cart, from the last event to the order.
_VIEW_S, _ADD_S, _ORDER_S = 30.0, 12.0, 60.0
_ZIPF = 1.0
_CATEGORIES = 200
#: About the event time that all traffic takes, the more of it the busier the shop: sessions are whole, whatever the
#: number of events.
_SPAN_S = 1800.0
#: Sessions begin so long before the first event, so that it is not all beginnings.
_WARM_S = 600.0
#: Events that a session of mean length brings.
_EVENTS_A_SESSION = 5.0


class Message(NamedTuple):
    """One record of an input topic."""

    kind: Kind
    key: bytes
    value: bytes


def item_name(item: int) -> str:
    """Return the id of an item."""
    return f"item-{item:07d}"


def category_of(item: int) -> str:
    """Return the category of an item: popular and rare ones in each."""
    return f"category-{item % _CATEGORIES:03d}"


def complements(catalogue: int) -> _Ints:
    """Return the planted truth: of each item its complements, popular ones first among them, shape (catalogue, 4)."""
    rng = np.random.default_rng(catalogue)
    return (rng.random((catalogue, _COMPLEMENTS)) ** 2 * catalogue).astype(np.int64)


@dataclass(frozen=True)
class Traffic:
    """Events in order of their time.

    Attributes
    ----------
    kinds, sessions, items, times : arrays
        Of each event its kind (0 browse, 1 add-to-cart, 2 orders), its session, its item (of an order the first
        line's), and its time in ms.
    lines : tuple of arrays
        Of each line of an order the number of the event, and the item; in order of the events.
    label : str
        Begins the event ids; another label makes the same traffic other events of other sessions.
    """

    kinds: _Ints
    sessions: _Ints
    items: _Ints
    times: _Ints
    lines: tuple[_Ints, _Ints]
    label: str

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def newest_ms(self) -> int:
        """The greatest event time."""
        return int(self.times[-1])

    @property
    def distinct_items(self) -> _Ints:
        """All items that the events name."""
        return np.unique(np.concatenate((self.items, self.lines[1])))

    @cached_property
    def messages(self) -> list[Message]:
        """The records of the input topics, keyed by session."""
        return list(self._encode())

    def event_id(self, number: int) -> str:
        """Return the id of the event of this number."""
        return f"{self.label}-{number:09d}"

    def item_events(self, now_ms: int, half_life_ms: int | None = None) -> dict[str, float]:
        """Return how often each item arrived, decayed to a time; without a half-life the plain counts."""
        owners, line_items = self.lines
        is_single = self.kinds != _ORDER
        items = np.concatenate((self.items[is_single], line_items))
        times = np.concatenate((self.times[is_single], self.times[owners]))
        weights = None if half_life_ms is None else 2.0 ** ((times - now_ms) / half_life_ms)
        counts = np.bincount(items, weights)
        met = np.flatnonzero(np.bincount(items))
        return {item_name(item): float(counts[item]) for item in met.tolist()}

    def _encode(self) -> Iterator[Message]:
        names = {item: _fields(item) for item in self.distinct_items.tolist()}
        keys = {
            session: f"{self.label}-{session * 0x9E3779B1 % 2**32:08x}-{session}"
            for session in np.unique(self.sessions).tolist()
        }
        orders: dict[int, list[str]] = {}
        for owner, item in zip(*(array.tolist() for array in self.lines), strict=True):
            orders.setdefault(owner, []).append(f'{{{names[item]},"quantity":1}}')
        columns = (self.kinds, self.sessions, self.items, self.times)
        for number, (kind, session, item, time) in enumerate(zip(*(array.tolist() for array in columns), strict=True)):
            key = keys[session]
            head = f'{{"event_id":"{self.label}-{number:09d}","session_id":"{key}","time":{time},"currency":"EUR",'
            if kind == _BROWSE:
                yield Message("browse", key.encode(), f"{head}{names[item]}}}".encode())
            elif kind == _ADD:
                yield Message("add-to-cart", key.encode(), f'{head}{names[item]},"quantity":1}}'.encode())
            else:
                lines = ",".join(orders[number])
                yield Message("orders", key.encode(), f'{head}"order_id":"{key}-{number}","lines":[{lines}]}}'.encode())


def shop_traffic(events: int, catalogue: int, *, start_ms: int, seed: int = 1, label: str = "e") -> Traffic:
    """Draw half an hour of traffic; the same arguments give the same bytes.

    Parameters
    ----------
    events, catalogue : int
        How many events, about items of a catalogue of so many.
    start_ms : int
        Event time of the beginning, epoch ms.
    """
    rng = np.random.default_rng((seed, events, catalogue))
    # A quarter more than needed: what is too much is cut off at the end.
    seconds = _WARM_S + 1.25 * _SPAN_S
    count = int(events / _EVENTS_A_SESSION * seconds / _SPAN_S) + 50
    starts = np.sort(rng.random(count)) * seconds - _WARM_S
    drawn = _draw(rng, starts, catalogue)
    times = (start_ms + drawn.seconds * 1000).astype(np.int64)
    order = np.lexsort((drawn.kinds, drawn.sessions, times))
    order = order[times[order] >= start_ms][:events]
    if len(order) < events:
        raise ValueError(f"{len(order)} events were drawn of {events}")
    kinds, sessions = drawn.kinds[order], drawn.sessions[order]
    return Traffic(kinds, sessions, drawn.items[order], times[order], _lines(drawn, kinds, sessions), label)


class _Drawn(NamedTuple):
    """Events in no order; and of each session that orders the items of its cart."""

    kinds: _Ints
    sessions: _Ints
    items: _Ints
    seconds: NDArray[np.float64]
    carts: tuple[_Ints, _Ints]


def _draw(rng: np.random.Generator, starts: NDArray[np.float64], catalogue: int) -> _Drawn:
    lengths = 1 + rng.lognormal(_LENGTH_MEAN_LOG, _LENGTH_SIGMA, len(starts)).astype(np.int64)
    lengths = np.minimum(lengths, _LENGTH_MAX)
    popularity = np.cumsum(1.0 / np.arange(1, catalogue + 1) ** _ZIPF)
    related = complements(catalogue)
    seen = np.zeros((len(starts), _LENGTH_MAX), np.int64)
    now = starts.copy()
    parts: list[tuple[_Ints, _Ints, _Ints, NDArray[np.float64]]] = []
    carts: list[tuple[_Ints, _Ints]] = []
    for place in range(_LENGTH_MAX):
        active = np.flatnonzero(lengths > place)
        count = len(active)
        if not count:
            break
        items = np.searchsorted(popularity, rng.random(count) * popularity[-1])
        if place:
            chance = rng.random(count)
            follows = chance < _COMPLEMENT
            last = seen[active, place - 1]
            items = np.where(follows, related[last, rng.integers(_COMPLEMENTS, size=count)], items)
            earlier = seen[active, rng.integers(place, size=count)]
            items = np.where(~follows & (chance < _COMPLEMENT + _RETURN), earlier, items)
            now[active] += rng.exponential(_VIEW_S, count)
        seen[active, place] = items
        parts.append((np.full(count, _BROWSE), active, items, now[active]))
        is_added = rng.random(count) < _ADDS
        adding = active[is_added]
        now[adding] += rng.exponential(_ADD_S, len(adding))
        parts.append((np.full(len(adding), _ADD), adding, items[is_added], now[adding]))
        carts.append((adding, items[is_added]))
    owners, cart_items = (np.concatenate(column) for column in zip(*carts, strict=True))
    owners, cart_items = _distinct(owners, cart_items)
    buyers, first = np.unique(owners, return_index=True)
    is_ordered = rng.random(len(buyers)) < _ORDERS
    buyers, first = buyers[is_ordered], first[is_ordered]
    ordered_at = now[buyers] + rng.exponential(_ORDER_S, len(buyers))
    parts.append((np.full(len(buyers), _ORDER), buyers, cart_items[first], ordered_at))
    kinds, sessions, items, seconds = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Drawn(kinds, sessions, items, seconds, (owners, cart_items))


def _distinct(owners: _Ints, items: _Ints) -> tuple[_Ints, _Ints]:
    """Return each item of a cart once, ordered by owner."""
    pairs = np.unique(np.stack((owners, items)), axis=1)
    return pairs[0], pairs[1]


def _lines(drawn: _Drawn, kinds: _Ints, sessions: _Ints) -> tuple[_Ints, _Ints]:
    """Return the lines of the orders that are among these events, as event number and item."""
    owners, items = drawn.carts
    orders = np.flatnonzero(kinds == _ORDER)
    buyers = sessions[orders]
    first, last = np.searchsorted(owners, buyers), np.searchsorted(owners, buyers, "right")
    counts = last - first
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(orders, counts), items[np.repeat(first, counts) + within]


def _fields(item: int) -> str:
    """Return what a message says of an item; its price is decided by its number."""
    price = 2 + item * 7919 % 9800 / 100
    return f'"item_id":"{item_name(item)}","category":"{category_of(item)}","price":{price:.2f}'
