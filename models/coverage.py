"""Which entries of a packed record are new, and how a sender's ranges join.

A packed record says, for each origin log partition in it, the range (start, end] of origin offsets that it covers:
all that this range holds for this target is in it. The receiver keeps one watermark an origin, the sender the last
end that it sent to each target. With both, repeated and late records have no second effect, and a missing one shows.
"""

from collections.abc import Mapping
from typing import Generic, Literal, TypeVar

import msgspec

__all__ = ["NOTHING_SENT", "Chain", "Packed", "Span", "Watermarks", "admit"]

#: The end before the first: offsets start at 0.
NOTHING_SENT = -1

Verdict = Literal["new", "repeat", "gap"]


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A range (start, end] of offsets of one origin log partition."""

    origin: str
    start: int
    end: int


EntryT = TypeVar("EntryT")


class Packed(msgspec.Struct, Generic[EntryT], array_like=True):
    """The entries of one input batch for one target; each names its span by index and its origin offset."""

    spans: list[Span]
    entries: list[EntryT]


def admit(watermark: int, span: Span) -> Verdict:
    """Judge a span against the watermark of its origin.

    Examples
    --------
    >>> admit(7, Span("browse-0", 5, 7)), admit(7, Span("browse-0", 5, 9)), admit(7, Span("browse-0", 8, 9))
    ('repeat', 'new', 'gap')
    """
    if span.end <= watermark:
        return "repeat"
    if span.start > watermark:
        return "gap"
    return "new"


class Watermarks:
    """The end of what a receiver has applied, by origin."""

    __slots__ = ("_ends",)

    def __init__(self, ends: Mapping[str, int] | None = None) -> None:
        self._ends = dict(ends or {})

    def admit(self, spans: list[Span]) -> tuple[list[int | None], list[Verdict]]:
        """Judge the spans of one packed record and move on over the new ones.

        Returns
        -------
        after : list of (int or None)
            For each span the offset above which its entries are to be applied, None for a repeat or a gap.
        verdicts : list
            For each span ``new``, ``repeat`` or ``gap``.
        """
        after: list[int | None] = []
        verdicts: list[Verdict] = []
        for span in spans:
            watermark = self._ends.get(span.origin, NOTHING_SENT)
            verdict = admit(watermark, span)
            after.append(watermark if verdict == "new" else None)
            verdicts.append(verdict)
            if verdict == "new":
                self._ends[span.origin] = span.end
        return after, verdicts

    def as_dict(self) -> dict[str, int]:
        """Return a copy of the ends, by origin."""
        return dict(self._ends)


class Chain:
    """The last end that a sender sent of one origin to each target; the next span starts there."""

    __slots__ = ("_ends", "origin")

    def __init__(self, origin: str, ends: Mapping[int, int] | None = None) -> None:
        self.origin = origin
        self._ends = dict(ends or {})

    def extend(self, target: int, end: int) -> Span:
        """Return the span that joins the last one to this target and ends at `end`."""
        span = Span(self.origin, self._ends.get(target, NOTHING_SENT), end)
        self._ends[target] = end
        return span

    def as_dict(self) -> dict[int, int]:
        """Return a copy of the ends, by target partition."""
        return dict(self._ends)
