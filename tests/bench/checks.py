"""What a run must have come to: one suggestion an event, and every item counted as often as the traffic says."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from bench_topics import BenchTopics
from traffic import Traffic

from models.cooccurrence import TOTALS
from models.decay import growth
from models.parameters import DEFAULTS
from streams.admin import committed_offsets
from streams.topics import INPUTS
from streams.wire import ROWS, row_id

__all__ = [
    "Answered",
    "answered",
    "count_differences",
    "is_settled",
    "left_counts",
    "suggestion_values",
    "table_counts",
]

#: Sums of floats in another order differ in their last bits; one event more or less is far beyond it.
_TOLERANCE = 1e-9
_SHOWN = 3


class _Suggestion(msgspec.Struct):
    suggestion_id: str | None = None
    event_id: str | None = None


class Answered(NamedTuple):
    """What stands in `suggestions`, beside what the traffic asks for.

    Attributes
    ----------
    messages : int
        All messages.
    lost : int
        Events without a suggestion of an id of its own.
    repeated : int
        Messages about an event that had one before.
    strange : int
        Messages that are no suggestion, or about no event of the traffic.
    """

    messages: int
    lost: int
    repeated: int
    strange: int

    @property
    def problems(self) -> list[str]:
        """Sentences on what is wrong, none when all is right."""
        found = {
            "events have no suggestion": self.lost,
            "suggestions are of an event that had one": self.repeated,
            "messages in suggestions are about no event": self.strange,
        }
        return [f"{count:,} {what}" for what, count in found.items() if count]


def suggestion_values(topics: BenchTopics) -> Iterator[bytes]:
    """Yield the values of all messages of `suggestions`."""
    for batch in topics.read("suggestions"):
        for message in batch:
            yield message.value()


def answered(traffic: Traffic, values: Iterable[bytes]) -> Answered:
    """Count who was answered; of several messages about an event the first one counts."""
    decoder = msgspec.json.Decoder(_Suggestion)
    head, size = f"{traffic.label}-", len(traffic)
    is_answered = np.zeros(size, np.bool_)
    ids: set[str] = set()
    messages = repeated = strange = 0
    for value in values:
        messages += 1
        try:
            suggestion = decoder.decode(value)
        except msgspec.DecodeError:
            strange += 1
            continue
        number = (suggestion.event_id or "").removeprefix(head)
        if suggestion.suggestion_id is None or not number.isdecimal() or int(number) >= size:
            strange += 1
        elif is_answered[int(number)]:
            repeated += 1
        elif suggestion.suggestion_id not in ids:
            is_answered[int(number)] = True
            ids.add(suggestion.suggestion_id)
    return Answered(messages, size - int(is_answered.sum()), repeated, strange)


def count_differences(expected: Mapping[str, float], found: Mapping[str, float]) -> list[str]:
    """Return a sentence on the items that are not counted as they should be, none when all are."""
    wrong = [
        f"{item} {found.get(item, 0.0):.12g} times instead of {expected.get(item, 0.0):.12g}"
        for item in sorted(expected.keys() | found.keys())
        if abs(found.get(item, 0.0) - expected.get(item, 0.0)) > _TOLERANCE * expected.get(item, 0.0)
    ]
    if not wrong:
        return []
    more = f" and {len(wrong) - _SHOWN:,} more" if len(wrong) > _SHOWN else ""
    return [f"of {len(expected):,} items these are counted wrongly: {', '.join(wrong[:_SHOWN])}{more}"]


def table_counts(topics: BenchTopics, now_ms: int, items: Iterable[str] | None = None) -> dict[str, float]:
    """Return how often each item arrived, decayed to a time, as the changelog of the table `cooccurrence` has it.

    Parameters
    ----------
    items : iterable of str, optional
        Only of these.
    """
    wanted = None if items is None else set(items)
    latest: dict[str, bytes | None] = {}
    for batch in topics.read("cooccurrence-changelog"):
        for message in batch:
            item = row_id(message.key())
            if item is not None and item != TOTALS and (wanted is None or item in wanted):
                latest[item] = message.value()
    decode = ROWS["cooccurrence"].decode
    rows = {item: decode(value) for item, value in latest.items() if value is not None}
    half_life_ms = DEFAULTS.half_life_ms
    return {item: row.events / growth(now_ms, row.epoch, half_life_ms) for item, row in rows.items()}


def left_counts(folder: Path) -> dict[str, float]:
    """Return what a peer has left behind."""
    counts: dict[str, float] = json.loads((folder / "item-events.json").read_text(encoding="utf-8"))
    return counts


def is_settled(topics: BenchTopics, logs: Sequence[str] = (*INPUTS, "session-events", "pairs", "tallies")) -> bool:
    """Tell whether Sidecart has folded every log to its end and committed it, which it does when it is durable."""
    committed: Mapping[tuple[str, int], tuple[int, Any]] = committed_offsets(topics.settings)
    return all(
        not end or committed.get((topics.name(log), partition), (0, ""))[0] == end
        for log in logs
        for partition, end in enumerate(topics.ends(log))
    )
