"""Events gone wrong: valid ones of all three kinds with fields, structure or bytes changed, from one seed."""

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any, Final, NamedTuple

from models.records import Kind

__all__ = ["KINDS", "T0_MS", "Input", "Mutator"]

KINDS: Final[tuple[Kind, ...]] = ("browse", "add-to-cart", "orders")
T0_MS: Final = 1_767_607_200_000  # 2026-01-05T10:00:00Z

_NAMES: Final = (
    "event_id", "session_id", "item_id", "time", "quantity", "price", "category", "currency", "moment",
    "suggestion_id", "action", "order_id", "lines", "user_id",
)  # fmt: skip

#: Values for any field: of wrong types, at and beyond limits, and texts that are hard to carry.
_ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 5e-324, 1e-308, 1e9, 1e9 + 1, 1e308, 999_999, 1_000_000, 1_000_001,
    2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, -(10**30), float("nan"), float("inf"), float("-inf"),
    "", " ", "\0", "a\0b", "\x1b[31mred", "\u202egnp", "\ufeff", "\ud800", "\udc00\ud800", "\U0010ffff", "a|b", "\\",
    "🫖" * 64, "é" * 128, "é" * 128 + "x", "x" * 32, "x" * 33, "x" * 64, "x" * 65, "x" * 256, "x" * 257, "\x01" * 256,
    "x" * 5_000, "null", "EUR", "eur", "€", "add", "remove", "clear", "ADD", [], {}, [[]], [{}],
    {"item_id": "a"}, [None] * 3, '"', "2026-01-05T10:00:00Z",
)  # fmt: skip

#: What stands for a value in JSON text that no encoder writes.
_RAW: Final[tuple[bytes, ...]] = (
    b"1e400", b"-1e400", b"9" * 400, b"9" * 5_000, b"-", b"01", b"+1", b".5", b"1.", b"0x10", b"NaN", b"-Infinity",
    b"tru", b"", b"'a'", b'"\\ud800"', b'"\\u12"', b'"\\x41"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"a\nb"',
    b'"', b"{", b"]", b"1,1", b"1:1", b"/* */1", b"null,",
)  # fmt: skip

_TIMES: Final[tuple[Any, ...]] = (
    0, -1, T0_MS // 1000, T0_MS * 1000, T0_MS * 10**6, 946_684_799_999, 946_684_800_000, 4_102_444_799_999,
    4_102_444_800_000, -(2**63), 2**63, 1e300, T0_MS + 0.5, "2026-01-05T10:00:00", "2026-01-05t11:30:00.123+01:30",
    "2026-01-05 10:00:00Z", "2026-01-05T10:00:60Z", "2026-02-30T10:00:00Z", "2026-01-05T24:00:00Z",
    "2026-01-05T10:00:00." + "1" * 9 + "Z", "2026-01-05T10:00:00." + "1" * 999 + "Z", "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-W02-1T10:00:00Z", "20260105T100000Z", "yesterday",
    "2026-01-05T10:00:00+99:99", "２０２６-01-05T10:00:00Z", str(T0_MS), "2000-01-01T00:00:00Z", "1999-12-31T23:59:59Z",
)  # fmt: skip

_ENCODINGS: Final = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7", "cp500")

_DEPTHS: Final = (1, 2, 60, 124, 125, 126, 127, 128, 129, 130, 500, 990, 1_500, 30_000)
_LINES: Final = (0, 1, 2, 3, 20, 99, 100, 101, 1_000, 5_000)


class Input(NamedTuple):
    """One record of an input topic."""

    kind: Kind
    key: bytes | None
    value: bytes | None
    timestamp: int


class Mutator:
    """Makes inputs without end, each changed at least once; the same seed makes the same ones.

    Time goes on by about a second an input, as shoppers come and go; what is changed in harmless ways keeps the stages
    busy, with few sessions and items, so that they meet again.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._count = 0
        self._now = T0_MS
        self._changes: tuple[tuple[int, Callable[[dict[str, Any]], None]], ...] = (
            (30, self._harmless),
            (12, self._odd_value),
            (5, self._drop),
            (6, self._time),
            (8, self._many_lines),
            (6, self._odd_line),
            (4, self._strange_id),
            (3, self._rename),
            (3, self._free_text),
            (2, self._repeat),
        )
        self._weights = [weight for weight, _ in self._changes]

    def next(self) -> Input:
        """Return the next input."""
        random = self._random
        self._count += 1
        self._now += random.randrange(2_000)
        kind: Kind = random.choices(KINDS, (5, 3, 2))[0]
        message = self._valid(kind)
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            random.choices(self._changes, self._weights)[0][1](message)
        value: bytes | None = self._encode(message)
        if random.random() < 0.15:
            value = self._damage(value or b"")
        if random.random() < 0.02:
            kind = random.choice(KINDS)
        timestamp = (
            self._now if random.random() < 0.98 else random.choice((-1, 0, self._now - 10**9, self._now + 10**6))
        )
        return Input(kind, self._key(message), value, timestamp)

    # -- a valid event

    def _valid(self, kind: Kind) -> dict[str, Any]:
        random = self._random
        message: dict[str, Any] = {
            "event_id": f"e{self._count}",
            "session_id": f"s{self._count // 400 + random.randrange(40)}",
            "time": self._now,
        }
        if kind == "orders":
            message["order_id"] = f"o{self._count}"
            message["currency"] = "EUR"
            message["lines"] = [self._line() for _ in range(random.choice((1, 1, 2, 3)))]
        else:
            message |= self._line()
        return message

    def _line(self) -> dict[str, Any]:
        random = self._random
        item = int(random.expovariate(1 / 30))
        line: dict[str, Any] = {"item_id": f"i{item}"}
        if random.random() < 0.5:
            line |= {"quantity": random.randrange(1, 4), "price": random.randrange(1, 5_000) / 100}
        if random.random() < 0.5:
            line["category"] = f"c{item % 7}"
        return line

    # -- changes of a message, in place

    def _harmless(self, message: dict[str, Any]) -> None:
        random = self._random
        name = random.choice(("unknown", "time", "moment", "action", "quantity", "price", "category", "suggestion_id"))
        message[name] = {
            "unknown": [{"page": random.random()}],
            "time": self._now - random.choice((0, 1, 60_000, 1_799_999, 1_800_001, 7_200_001, 10**8, 10**11)),
            "moment": random.choice(("home", "cart", "check-out", "a.b_c", "x" * 32)),
            "action": random.choice(("add", "remove", "clear")),
            "quantity": random.choice((1, 2, 1_000_000)),
            "price": random.choice((0, 0.01, 1e3, 5e-324)),
            "category": random.choice(("", "é" * 128, "\0")),
            "suggestion_id": random.choice(("0" * 32, "x" * 64)),
        }[name]

    def _odd_value(self, message: dict[str, Any]) -> None:
        # A copy: further changes of the message are none of the list.
        message[self._random.choice(_NAMES)] = deepcopy(self._random.choice(_ODD))

    def _drop(self, message: dict[str, Any]) -> None:
        message.pop(self._random.choice(list(message)), None)

    def _time(self, message: dict[str, Any]) -> None:
        ahead = self._now + self._random.choice((599_999, 600_000, 600_001, 10**7))
        message["time"] = self._random.choice((*_TIMES, ahead, ahead, ahead))

    def _many_lines(self, message: dict[str, Any]) -> None:
        count = self._random.choices(_LINES, (4, 4, 4, 4, 8, 2, 4, 2, 1, 1))[0]
        message["lines"] = [{"item_id": f"i{self._random.randrange(200)}"} for _ in range(count)]

    def _odd_line(self, message: dict[str, Any]) -> None:
        random = self._random
        lines = message.setdefault("lines", [])
        if isinstance(lines, list):
            line = self._line()
            line[random.choice(("item_id", "quantity", "price", "category"))] = random.choice(_ODD)
            lines.insert(random.randrange(len(lines) + 1), random.choice((line, line, random.choice(_ODD))))

    def _strange_id(self, message: dict[str, Any]) -> None:
        strange = self._random.choice(
            ("\0", "é" * 128, "\x01" * 256, "🫖" * 64, " ", "r", "m", "\\u0000", '"', "a\nb", "x" * 256)
        )
        message[self._random.choice(("event_id", "session_id", "item_id", "order_id"))] = strange

    def _rename(self, message: dict[str, Any]) -> None:
        name = self._random.choice(list(message) or ["time"])
        other = self._random.choice(
            (name.upper(), name + " ", "\ufeff" + name, name + "\0", name.replace("_", "-"), "")
        )
        message[other] = message.pop(name, None)

    def _free_text(self, message: dict[str, Any]) -> None:
        random = self._random
        text = f"{random.getrandbits(32):x}"
        name = random.choice(("moment", "currency", "category", "item_id", "session_id"))
        message[name] = text if name != "currency" else "".join(random.choices("abcXYZ", k=3))

    def _repeat(self, message: dict[str, Any]) -> None:
        message[self._random.choice(("event_id", "order_id"))] = self._random.choice(("e1", "o1"))

    # -- to bytes

    def _encode(self, message: dict[str, Any]) -> bytes:
        random = self._random
        is_ascii = random.random() < 0.5
        text = json.dumps(message, ensure_ascii=is_ascii, separators=random.choice(((",", ":"), (", ", ": "))))
        value = text.encode("utf-8", "surrogatepass")
        if random.random() < 0.08:
            raw = self._raw()
            name = random.choice(("x", *_NAMES)).encode()
            separator = b"," if len(value) > 2 else b""
            at_front = random.random() < 0.5
            own = b'"%s":%s' % (name, raw)
            value = b"{" + own + separator + value[1:] if at_front else value[:-1] + separator + own + b"}"
        return value

    def _raw(self) -> bytes:
        random = self._random
        if random.random() < 0.6:
            return random.choice(_RAW)
        depth = random.choice(_DEPTHS)
        opening, closing = random.choice(
            ((b"[", b"]"), (b'{"x":', b"}"), (b"[", b""), (b"[]", b""), (b'{"[":[', b"]}"))
        )
        return opening * depth + b"1" + closing * depth

    def _damage(self, value: bytes) -> bytes | None:
        random = self._random
        way = random.randrange(12)
        at = random.randrange(len(value) + 1)
        if way == 0:
            return random.choice((None, b"", b" ", b"\0", b"null", b"[]", b'"', b"\xef\xbb\xbf" + value))
        if way == 1:
            return value.decode("utf-8", "replace").encode(random.choice(_ENCODINGS), "replace")
        if way == 2:
            return random.randbytes(random.choice((1, 8, 64, 300)))
        if way == 3:
            return value + random.choice((value, b" ", b"}", b"\0", b"x" * 1_000))
        if way == 4 and random.random() < 0.1:
            return value + b" " * (random.choice((262_143, 262_144, 262_145, 300_000, 1_000_000)) - len(value))
        if way in (5, 6):
            return value[:at]
        if way in (7, 8):
            return value[:at] + value[at + random.randrange(1, 9) :]
        if way == 9:
            return value[:at] + random.randbytes(random.randrange(1, 5)) + value[at:]
        changed = bytearray(value or b"{")
        for _ in range(random.choice((1, 1, 2, 8))):
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        return bytes(changed)

    def _key(self, message: dict[str, Any]) -> bytes | None:
        random = self._random
        if random.random() < 0.95:
            return str(message.get("session_id")).encode("utf-8", "replace")
        return random.choice((None, b"", b"\xff\xfe", b"k" * 1_000))
