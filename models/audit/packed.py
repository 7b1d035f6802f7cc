"""`session-events` against `pairs` and `tallies`: every entry once, with its exact content."""

from array import array
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from models.audit.admission import Admission, admitted
from models.audit.findings import Findings
from models.audit.fingerprint import fingerprint
from models.coverage import Packed
from models.learning import PairEntry
from models.measuring import TallyEntry

__all__ = ["Determined", "Origin", "PackedLog", "increment_content", "tally_content"]

EntryT = TypeVar("EntryT", PairEntry, TallyEntry)


def increment_content(entry: PairEntry) -> object:
    """Return what must be equal of an entry of `pairs`."""
    return entry.time, entry.timestamp, entry.increment


def tally_content(entry: TallyEntry) -> object:
    """Return what must be equal of an entry of `tallies`."""
    return entry.tally


class _Expected:
    """What one origin determines for one target: 20 bytes for each origin record that brings something."""

    __slots__ = ("counts", "offsets", "prints")

    def __init__(self) -> None:
        self.offsets = array("q")
        self.counts = array("I")
        self.prints = array("Q")


class Origin:
    """What one partition of `session-events` determines for the targets of one log.

    Attributes
    ----------
    begin : int
        The first offset that the partition still has.
    required : int
        Below this offset the stage has had all outputs acknowledged.
    """

    def __init__(self, begin: int, end: int) -> None:
        self.begin = begin
        self.required = 0
        self.targets: dict[int, _Expected] = {}
        self._unknown = bytearray(max(0, end - begin))

    def expect(self, offset: int, target: int, contents: Sequence[object]) -> None:
        """Take down what one record determines for one target; records come in order."""
        expected = self.targets.setdefault(target, _Expected())
        expected.offsets.append(offset)
        expected.counts.append(len(contents))
        expected.prints.append(fingerprint(contents))

    def forget(self, offset: int) -> None:
        """Take down that nobody can say what a record determines."""
        self._unknown[offset - self.begin] = 1

    def is_unknown(self, offset: int) -> bool:
        """Tell whether `forget` was called for a record."""
        return offset - self.begin < len(self._unknown) and bool(self._unknown[offset - self.begin])


#: By the names of the origins: partition numbers of `session-events`.
Determined = dict[str, Origin]


class PackedLog:
    """One partition of `pairs` or `tallies`, compared with what its origins determine for it.

    Parameters
    ----------
    kind : {"increments", "tallies"}
        What its entries are.
    row : str
        The log, by its row in the table of topics.
    is_cut : bool
        Whether retention has deleted its beginning.
    """

    def __init__(
        self,
        kind: Literal["increments", "tallies"],
        row: str,
        partition: int,
        is_cut: bool,
        determined: Determined,
        findings: Findings,
    ) -> None:
        self._kind = kind
        self._row = row
        self._partition = partition
        self._admission = Admission(is_cut)
        self._determined = determined
        self._findings = findings
        self._last: dict[str, int] = {}
        self._cursors: dict[str, int] = {}

    def compare(self, offset: int, packed: Packed[EntryT], content: Callable[[EntryT], object]) -> None:
        """Compare one record; records come in order."""
        place = self._findings.place(self._row, self._partition, offset)

        def on_stray(entry: EntryT) -> None:
            self._differ(place, f"an entry of origin offset {entry.offset} is outside of what its record covers")

        groups: dict[tuple[str, int], list[object]] = {}
        for origin, entry in admitted(packed, self._admission, on_stray):
            groups.setdefault((origin, entry.offset), []).append(content(entry))
        for (origin, origin_offset), contents in groups.items():
            self._compare(place, origin, origin_offset, contents)

    def _compare(self, place: str, name: str, offset: int, contents: list[object]) -> None:
        source = self._findings.place("session-events", name, offset)
        origin = self._determined.get(name)
        if origin is None:
            self._differ(place, f"{len(contents)} {self._kind} come from {source}, which is no partition of it")
            return
        if offset < origin.begin or origin.is_unknown(offset):
            where = self._findings.place("session-events", name)
            why = f"retention has deleted their events, or earlier ones of their sessions, from {where}"
            self._findings.leave_out(self._kind, self._findings.place(self._row, self._partition), why, len(contents))
            return
        self._findings.compare(self._kind, len(contents))
        last = self._last.get(name, -1)
        if offset <= last:
            self._differ(place, f"{len(contents)} {self._kind} of {source} come after those of offset {last}")
            return
        self._last[name] = offset
        expected = origin.targets.get(self._partition, _Expected())
        cursor = self._cursors.get(name, 0)
        while cursor < len(expected.offsets) and expected.offsets[cursor] < offset:
            self._miss(name, expected.offsets[cursor], expected.counts[cursor])
            cursor += 1
        if cursor < len(expected.offsets) and expected.offsets[cursor] == offset:
            count, print_ = expected.counts[cursor], expected.prints[cursor]
            cursor += 1
            if count != len(contents):
                self._differ(place, f"{source} determines {count} {self._kind} for here, found {len(contents)}")
            elif print_ != fingerprint(contents):
                shown = _shown(contents)
                self._differ(place, f"{source} determines {count} other {self._kind} than are found here: {shown}")
        else:
            self._differ(place, f"{source} determines no {self._kind} for here, found {_shown(contents)}")
        self._cursors[name] = cursor

    def finish(self) -> None:
        """Look, when the log is read, at what was expected and did not come."""
        for name, origin in self._determined.items():
            expected = origin.targets.get(self._partition, _Expected())
            for cursor in range(self._cursors.get(name, 0), len(expected.offsets)):
                offset, count = expected.offsets[cursor], expected.counts[cursor]
                if offset <= self._admission.end(name) or offset < origin.required:
                    self._miss(name, offset, count)
                else:
                    self._findings.wait(self._kind, count)

    def _miss(self, name: str, offset: int, count: int) -> None:
        place = self._findings.place(self._row, self._partition)
        if self._admission.is_lost(name, offset):
            self._findings.leave_out(self._kind, place, "retention has deleted the beginning of the log", count)
            return
        self._findings.compare(self._kind, count)
        source = self._findings.place("session-events", name, offset)
        self._differ(place, f"{source} determines {count} {self._kind} for here, found none")

    def _differ(self, place: str, difference: str) -> None:
        self._findings.differ(self._kind, place, difference)


def _shown(contents: list[object]) -> str:
    text = repr(contents[0])
    return f"{text[:200]}{'…' if len(text) > 200 else ''}" + (f" and {len(contents) - 1} more" if contents[1:] else "")
