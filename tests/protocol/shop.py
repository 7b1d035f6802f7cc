"""A small shop's random events: few items and sessions, retries, orders sent twice, times out of order, bad input."""

import json
from random import Random
from typing import Any

from memory_log import T0_MS, MemoryLog

from models.records import Kind

__all__ = ["Shop"]

_HOUR_MS = 3_600_000
_BAD = (b"\xff\x00", None, b"{}", b"[1]", b'{"event_id": 5}', b'{"event_id": "x", "session_id": "s", "time": 1}')


class Shop:
    """Writes to the input topics; `inputs` are their names with their partition counts."""

    def __init__(self, random: Random, log: MemoryLog, inputs: dict[Kind, int]) -> None:
        self._random = random
        self._log = log
        self._inputs = inputs
        self._items = [f"item-{number}" for number in range(random.randint(3, 12))]
        self._sessions = [f"session-{number}" for number in range(random.randint(3, 8))]
        self._now_ms = T0_MS
        self._sent: list[tuple[Kind, dict[str, Any]]] = []
        self._has_retries = random.random() < 0.7
        #: After a jump sessions are forgotten, and a retry of what was before is a new event.
        self._jumps = Random(repr((self._items, self._sessions, self._has_retries)))

    def send(self) -> None:
        """Write one record."""
        random = self._random
        self._now_ms += random.randint(0, 40_000)
        if self._jumps.random() < 0.03:
            self._now_ms += self._jumps.choice((1, 3, 8 * 24)) * _HOUR_MS
        if random.random() < 0.05:
            self._write(random.choice(list(self._inputs)), random.choice(_BAD))
            return
        if self._sent and self._has_retries and random.random() < 0.15:
            kind, message = random.choice(self._sent[-20:])
            if kind == "orders" and random.random() < 0.5:
                message = {**message, "event_id": f"{message['event_id']}-again"}
        else:
            kind, message = self._event()
            self._sent.append((kind, message))
        self._write(kind, json.dumps(message).encode())

    def _event(self) -> tuple[Kind, dict[str, Any]]:
        random = self._random
        kind: Kind = random.choice(("browse", "browse", "add-to-cart", "orders"))
        time = self._now_ms - (random.randint(0, 120_000) if random.random() < 0.3 else 0)
        if random.random() < 0.02:
            time -= _HOUR_MS
        message: dict[str, Any] = {
            "event_id": f"e{len(self._sent)}",
            "session_id": random.choice(self._sessions),
            "time": time,
            "currency": "EUR",
        }
        if kind == "orders":
            items = random.sample(self._items, random.randint(1, 2))
            lines = [{"item_id": item, "quantity": 1, "price": random.randint(1, 9)} for item in items]
            return kind, message | {"order_id": f"o{len(self._sent)}", "lines": lines}
        return kind, message | {"item_id": random.choice(self._items)}

    def _write(self, kind: Kind, value: bytes | None) -> None:
        partition = self._random.randrange(self._inputs[kind])
        self._log.append(kind, partition, [(None, value)], self._now_ms)
