"""What a recount finds: differences, each with its place, and what was compared, left out and still under way."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

__all__ = ["FOUND_MAX", "KINDS", "Count", "Finding", "Findings", "Kind", "Report"]

Kind = Literal[
    "events", "increments", "rows", "replicas", "suggestions", "outcomes", "tallies", "windows", "sessions"
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = (
    "events", "increments", "rows", "replicas", "suggestions", "outcomes", "tallies", "windows", "sessions"
)  # fmt: skip

#: Differences that are kept with their sentence; all are counted.
FOUND_MAX: Final = 1000


class Finding(msgspec.Struct, frozen=True):
    """One difference: where it arose, and what was expected and found."""

    place: str
    difference: str


class Count(msgspec.Struct):
    """Items of one kind: compared, different, not countable because of retention, not yet processed.

    `repeated` counts second and further messages of suggestions and outcomes whose first one counts.
    """

    compared: int = 0
    differences: int = 0
    uncountable: int = 0
    pending: int = 0
    repeated: int = 0


class Report(msgspec.Struct, frozen=True):
    """The result of a recount.

    Attributes
    ----------
    counts : dict of kind to Count
        In the order of `KINDS`.
    found : tuple of Finding
        The first `FOUND_MAX` differences.
    not_counted : tuple of str
        One sentence for each place where something was not compared.
    """

    counts: dict[str, Count]
    found: tuple[Finding, ...]
    not_counted: tuple[str, ...]

    @property
    def differences(self) -> int:
        """How many differences there are."""
        return sum(count.differences for count in self.counts.values())

    @property
    def uncountable(self) -> int:
        """How many items could not be compared, because retention has deleted what they follow from."""
        return sum(count.uncountable for count in self.counts.values())

    @property
    def repeated(self) -> int:
        """How many messages repeat another one."""
        return sum(count.repeated for count in self.counts.values())

    @property
    def pending(self) -> int:
        """How many events are not processed to their suggestion yet."""
        return self.counts["events"].pending + self.counts["suggestions"].pending


class Findings:
    """Collects what the comparisons find.

    Parameters
    ----------
    names : mapping of str to str
        The name of each topic by its row in the table of topics; a row without one is called as it is.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})
        self._counts: dict[str, Count] = {kind: Count() for kind in KINDS}
        self._found: list[Finding] = []
        self._left_out: Counter[tuple[str, Kind, str]] = Counter()
        self._notes: list[str] = []

    def place(self, row: str, partition: int | str, offset: int | None = None) -> str:
        """Return the name of a partition, or of a record in it."""
        name = f"{self._names.get(row, row)}/{partition}"
        return name if offset is None else f"{name}@{offset}"

    def compare(self, kind: Kind, number: int = 1) -> None:
        """Count items that were compared."""
        self._counts[kind].compared += number

    def differ(self, kind: Kind, place: str, difference: str) -> None:
        """Take down a difference."""
        self._counts[kind].differences += 1
        if len(self._found) < FOUND_MAX:
            self._found.append(Finding(place, difference))

    def repeat(self, kind: Kind) -> None:
        """Count a message that repeats another one."""
        self._counts[kind].repeated += 1

    def wait(self, kind: Kind, number: int = 1) -> None:
        """Count items that are not processed yet."""
        self._counts[kind].pending += number

    def leave_out(self, kind: Kind, place: str, why: str, number: int = 1) -> None:
        """Count items at a place that cannot be compared, and say why: ``because …``."""
        if number:
            self._counts[kind].uncountable += number
            self._left_out[place, kind, why] += number

    def note(self, sentence: str) -> None:
        """Say what was not compared though no record was deleted."""
        self._notes.append(sentence)

    def report(self) -> Report:
        """Return what was found so far."""
        sentences = [
            f"{place}: {number:,} {kind} not compared, because {why}"
            for (place, kind, why), number in self._left_out.items()
        ]
        return Report(dict(self._counts), tuple(self._found), (*sentences, *self._notes))
