"""The layout of a row of the table `sessions`; all numbers little-endian (`models.layout.fields`).

    row     i64 started, last and length; u16 texts; the item ids of the row, each once; then, each after its u16 count:
            positions (u16 item, i64 time), seen (u16 item), cart (u16 item, i64 quantity), bought (u16 item),
            judged (u16 item, i64 stages), event ids (i64), order ids (i64), offers
    offer   i64 time, u32 kind and partition, i64 offset: the suggestion's id; text moment; u16 items; u16 item each

An item stands by its place among the texts.
"""

import struct
from collections.abc import Iterable, Sequence

from models.layout.fields import Reader, text_bytes
from models.session import Offer, Session

__all__ = ["decode", "encode"]

_U16 = struct.Struct("<H")
_I64 = struct.Struct("<q")
_HEAD = struct.Struct("<qqq")
_PAIR = struct.Struct("<Hq")
_OFFER = struct.Struct("<qIq")


def encode(session: Session) -> bytes:
    """Return a row.

    Examples
    --------
    >>> decode(encode(Session(1, 2, positions=[("tea", 1)]))).positions
    [('tea', 1)]
    """
    numbers: dict[str, int] = {}
    for items in (
        [item for item, _ in session.positions],
        session.seen,
        session.cart,
        session.bought,
        session.judged,
        *(offer.items for offer in session.offers),
    ):
        for item in items:
            numbers.setdefault(item, len(numbers))
    parts = [_HEAD.pack(session.started, session.last, session.length), _U16.pack(len(numbers))]
    parts += map(text_bytes, numbers)
    parts.append(_pairs(numbers, session.positions))
    parts.append(_items(numbers, session.seen))
    parts.append(_pairs(numbers, session.cart.items()))
    parts.append(_items(numbers, session.bought))
    parts.append(_pairs(numbers, session.judged.items()))
    for ids in (session.event_ids, session.order_ids):
        parts.append(_U16.pack(len(ids)))
        parts += map(_I64.pack, ids)
    parts.append(_U16.pack(len(session.offers)))
    for offer in session.offers:
        key = offer.suggestion_id
        parts.append(_OFFER.pack(int(key[:12], 16), int(key[12:18], 16), int(key[18:], 16)))
        parts += (text_bytes(offer.moment), _items(numbers, offer.items))
    return b"".join(parts)


def decode(row: bytes | memoryview) -> Session:
    """Read a row.

    Raises
    ------
    ValueError
        For bytes that `encode` does not write.
    """
    reader = Reader(row)
    started, last, length = reader.numbers(_HEAD)
    texts = [reader.text() for _ in range(_count(reader))]
    session = Session(started, last, length)
    session.positions = _read_pairs(reader, texts)
    session.seen = dict.fromkeys(_read_items(reader, texts))
    session.cart = dict(_read_pairs(reader, texts))
    session.bought = dict.fromkeys(_read_items(reader, texts))
    session.judged = dict(_read_pairs(reader, texts))
    session.event_ids = dict.fromkeys(_read_ids(reader))
    session.order_ids = dict.fromkeys(_read_ids(reader))
    for _ in range(_count(reader)):
        time, origin, offset = reader.numbers(_OFFER)
        moment = reader.text()
        items = tuple(_read_items(reader, texts))
        session.offers.append(Offer(f"{time:012x}{origin:06x}{offset:014x}", time, moment, items))
    reader.finish()
    return session


def _items(numbers: dict[str, int], items: Iterable[str]) -> bytes:
    packed = [_U16.pack(numbers[item]) for item in items]
    return _U16.pack(len(packed)) + b"".join(packed)


def _pairs(numbers: dict[str, int], pairs: Iterable[tuple[str, int]]) -> bytes:
    packed = [_PAIR.pack(numbers[item], value) for item, value in pairs]
    return _U16.pack(len(packed)) + b"".join(packed)


def _count(reader: Reader) -> int:
    return int(reader.numbers(_U16)[0])


def _read_items(reader: Reader, texts: Sequence[str]) -> list[str]:
    return [_text(texts, reader.numbers(_U16)[0]) for _ in range(_count(reader))]


def _read_pairs(reader: Reader, texts: Sequence[str]) -> list[tuple[str, int]]:
    pairs = [reader.numbers(_PAIR) for _ in range(_count(reader))]
    return [(_text(texts, number), value) for number, value in pairs]


def _read_ids(reader: Reader) -> list[int]:
    return [reader.numbers(_I64)[0] for _ in range(_count(reader))]


def _text(texts: Sequence[str], number: int) -> str:
    if number >= len(texts):
        raise ValueError(f"it names text {number} of {len(texts)}")
    return texts[number]
