"""Which entries of an internal log count, also where retention has deleted the log's beginning."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from models.coverage import NOTHING_SENT, Packed, Span, Verdict, Watermarks

__all__ = ["Admission", "admitted"]


class _Entry(Protocol):
    @property
    def span(self) -> int: ...

    @property
    def offset(self) -> int: ...


EntryT = TypeVar("EntryT", bound=_Entry)


class Admission(Watermarks):
    """Watermarks of a log that may be cut: then what a gap left out is lost, and the log goes on behind it.

    In a cut log nobody can tell a gap of what was deleted from one that a late worker has left.

    Examples
    --------
    >>> cut = Admission(is_cut=True)
    >>> cut.admit([Span("browse-0", 6, 9)])
    ([6], ['new'])
    >>> cut.is_lost("browse-0", 6), cut.is_lost("browse-0", 7)
    (True, False)
    """

    __slots__ = ("_lost", "is_cut")

    def __init__(self, is_cut: bool = False) -> None:
        super().__init__()
        self.is_cut = is_cut
        self._lost: dict[str, list[tuple[int, int]]] = {}

    def admit(self, spans: list[Span]) -> tuple[list[int | None], list[Verdict]]:
        """Judge the spans of one packed record as `Watermarks` does."""
        if self.is_cut:
            for span in spans:
                end = self.end(span.origin)
                if span.start > end:
                    self._lost.setdefault(span.origin, []).append((end, span.start))
                    self._ends[span.origin] = span.start
        return super().admit(spans)

    def end(self, origin: str) -> int:
        """Return the last offset of an origin of which all is here."""
        return self._ends.get(origin, NOTHING_SENT)

    def is_lost(self, origin: str, offset: int) -> bool:
        """Tell whether what an origin offset brought may have stood in the part that was deleted."""
        if not self.is_cut:
            return False
        if origin not in self._ends:
            return True
        return any(start < offset <= end for start, end in self._lost.get(origin, ()))


def admitted(
    packed: Packed[EntryT], admission: Watermarks, on_stray: Callable[[EntryT], None]
) -> Iterator[tuple[str, EntryT]]:
    """Yield the origin and the entry of all that is new in a packed record, in order.

    Parameters
    ----------
    on_stray : callable
        Called with an entry that is outside of what its record covers.
    """
    after, _ = admission.admit(packed.spans)
    for entry in packed.entries:
        if not 0 <= entry.span < len(packed.spans) or entry.offset > packed.spans[entry.span].end:
            on_stray(entry)
            continue
        start = after[entry.span]
        if start is not None and entry.offset > start:
            yield packed.spans[entry.span].origin, entry
