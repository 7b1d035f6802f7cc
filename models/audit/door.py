"""Inputs against `session-events`: each accepted event once, as it was sent; each refused one in the dead letters."""

from array import array
from collections.abc import Mapping, Sequence

from models.audit.admission import Admission
from models.audit.findings import Findings
from models.audit.fingerprint import fingerprint
from models.errors import BadEventError
from models.parameters import Parameters
from models.partitioning import partition_of
from models.records import Kind, accept
from models.suggesting import EventEntry

__all__ = ["Door", "InputLog"]

_RETENTION = "retention has deleted"


class InputLog:
    """What is known of one input partition: its bounds, how far it is committed, and what came of its records.

    It takes eight bytes an offset, and about a hundred for each dead letter.
    """

    def __init__(self, kind: Kind, partition: int, begin: int, end: int, committed: int) -> None:
        self.kind = kind
        self.partition = partition
        self.begin = begin
        self.end = end
        self.committed = committed
        #: Fingerprints of what stands in `session-events`, by offset from `begin`; zero for nothing.
        self.admitted = array("Q", bytes(8 * (end - begin)))
        #: Reason of the dead letter, by offset.
        self.letters: dict[int, str] = {}
        #: Offsets of refused records that were sent again.
        self.redriven: set[int] = set()

    @property
    def origin(self) -> str:
        """How the spans of `session-events` call it."""
        return f"{self.kind}-{self.partition}"


class Door:
    """Compares inputs, `session-events` and dead letters; these are read first, the inputs last.

    Parameters
    ----------
    inputs : sequence of InputLog
        All input partitions. Their ends are at least as new as what is read of the other two.
    admissions : mapping of int to Admission
        What each partition of `session-events` has admitted, filled as it is read.
    cut_letters : set of int
        The partitions of `dead-letters` whose beginning was deleted.
    """

    def __init__(
        self,
        inputs: Sequence[InputLog],
        admissions: Mapping[int, Admission],
        partitions: int,
        cut_letters: set[int],
        parameters: Parameters,
        findings: Findings,
    ) -> None:
        self._inputs = {log.origin: log for log in inputs}
        self._admissions = admissions
        self._partitions = partitions
        self._cut_letters = cut_letters
        self._parameters = parameters
        self._findings = findings
        self._last: dict[tuple[int, str], int] = {}

    def enter(self, partition: int, offset: int, entries: Sequence[tuple[str, EventEntry]]) -> None:
        """Take down what one record of `session-events` admits, by origin."""
        for origin, entry in entries:
            fault = self._fault(partition, origin, entry)
            if fault is not None:
                self._differ(self._findings.place("session-events", partition, offset), fault)

    def _fault(self, partition: int, origin: str, entry: EventEntry) -> str | None:
        log = self._inputs.get(origin)
        if log is None:
            return f"an event comes from {origin}, but there is no such input"
        source = self._findings.place(log.kind, log.partition, entry.offset)
        if entry.offset >= log.end:
            return f"an event comes from {source}, but that input ends at {log.end}"
        last = self._last.get((partition, origin), -1)
        if entry.offset <= last:
            return f"the event of {source} comes after that of offset {last}: expected in the input's order, and once"
        self._last[partition, origin] = entry.offset
        session = entry.event.session_id
        target = partition_of(session, self._partitions)
        if entry.offset < log.begin:
            self._findings.leave_out("events", self._findings.place(log.kind, log.partition), f"{_RETENTION} them")
        elif log.admitted[entry.offset - log.begin]:
            return f"the event of {source} stands here a second time: expected once"
        else:
            log.admitted[entry.offset - log.begin] = fingerprint((entry.timestamp, entry.event))
        if target != partition:
            return f"the event of {source} is of session {session!r}: expected in partition {target}"
        return None

    def refuse(self, partition: int, offset: int, letter: tuple[Kind, int, int, str] | None) -> None:
        """Take down a dead letter: kind, partition and offset of the refused record, and the reason.

        None is a letter that cannot be read, or is about no input.
        """
        log = self._inputs.get(f"{letter[0]}-{letter[1]}") if letter else None
        if letter is None or log is None or letter[2] >= log.end:
            self._differ(
                self._findings.place("dead-letters", partition, offset), "a dead letter names no record of any input"
            )
        else:
            log.letters.setdefault(letter[2], letter[3])

    def close(self, kind: Kind, partition: int, offset: int) -> None:
        """Take down that a refused record was sent again, as a record of its own."""
        log = self._inputs.get(f"{kind}-{partition}")
        if log is not None:
            log.redriven.add(offset)

    def compare(self, log: InputLog, offset: int, timestamp: int, value: bytes | None) -> None:
        """Compare one input record with what came of it."""
        place = self._findings.place(log.kind, log.partition, offset)
        found = log.admitted[offset - log.begin]
        log.admitted[offset - log.begin] = 0
        letter = log.letters.pop(offset, None)
        try:
            event = accept(log.kind, value, timestamp, self._parameters)
        except BadEventError as error:
            self._compare_refused(log, offset, place, error.reason, found, letter)
            return
        target = partition_of(event.session_id, self._partitions)
        where = self._findings.place("session-events", target)
        if letter is not None and offset in log.redriven and not found:
            # What may be accepted has changed since: it counts where it was sent again.
            self._findings.compare("events")
        elif letter is not None:
            self._findings.compare("events")
            beside = "and in session-events too" if found else "and not in session-events"
            self._differ(place, f"the event can be accepted, but is in the dead letters ({letter}) {beside}")
        elif found:
            self._findings.compare("events")
            if found != fingerprint((timestamp, event)):
                self._differ(place, f"the event stands in {where} with another content than was sent")
        elif offset > self._admissions[target].end(log.origin) and offset >= log.committed:
            self._findings.wait("events")
        elif self._admissions[target].is_lost(log.origin, offset):
            self._findings.leave_out("events", where, f"{_RETENTION} their record")
        else:
            self._findings.compare("events")
            self._differ(place, f"the event is missing: expected once in {where}, found nowhere")

    def _compare_refused(
        self, log: InputLog, offset: int, place: str, reason: str, found: int, letter: str | None
    ) -> None:
        if found:
            self._findings.compare("events")
            beside = " and is in the dead letters too" if letter else ""
            self._differ(place, f"the record must be refused ({reason}), but stands in session-events{beside}")
        elif letter is not None:
            self._findings.compare("events")
            if letter != reason:
                self._differ(place, f"the dead letter gives the reason {letter}, expected {reason}")
        elif offset >= log.committed:
            self._findings.wait("events")
        elif log.partition % self._partitions in self._cut_letters:
            where = self._findings.place("dead-letters", log.partition % self._partitions)
            self._findings.leave_out("events", where, f"{_RETENTION} dead letters")
        else:
            self._findings.compare("events")
            self._differ(place, f"the record must be refused ({reason}), but no dead letter names it")

    def finish(self, log: InputLog) -> None:
        """Look, when an input is read, at what came of records that it does not hold."""
        unread = sum(1 for print_ in log.admitted if print_) + len(log.letters)
        place = self._findings.place(log.kind, log.partition)
        self._findings.leave_out("events", place, "their records are not there any more", unread)

    def _differ(self, place: str, difference: str) -> None:
        self._findings.differ("events", place, difference)
