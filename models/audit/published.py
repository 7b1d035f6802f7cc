"""`suggestions` and `acceptance` of one partition: the first message of an id counts."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from models.attribution import Outcome
from models.audit.findings import Findings
from models.audit.fingerprint import fingerprint
from models.evidence import Evidence
from models.ladder import SuggestedItem
from models.records import Event
from models.suggesting import Suggestion

__all__ = ["PublishedOutcomes", "PublishedSuggestions"]

#: The fold of sessions reads no evidence.
_NO_EVIDENCE: Final = Evidence("popular", None, None, 0.0, 0.0, 0.0, None)

#: Offset of the message, fingerprint of the event that it answers, items.
_Kept = tuple[int, int, tuple[str, ...]]

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(_Kept)


def _identity(event_id: str, session_id: str, time_ms: int, moment: str) -> int:
    return fingerprint((event_id, session_id, time_ms, moment))


class PublishedSuggestions(Mapping[str, Suggestion]):
    """The first suggestion for each event of one partition, as the fold of its sessions asks for them.

    An event is named by its suggestion's id and the offset of its record in `session-events`. A suggestion takes
    about 250 bytes until it is asked for; then it is forgotten.
    """

    def __init__(self, partition: int, is_cut: bool, findings: Findings) -> None:
        self.is_cut = is_cut
        #: Arrival of the first message that is there, in ms; nothing that was made later has been deleted.
        self.since_ms: int | None = None
        self._partition = partition
        self._findings = findings
        self._kept: dict[int, bytes] = {}
        self._log_offset = -1
        self._asked: dict[str, _Kept] = {}

    def read(self, offset: int, timestamp: int, log_offset: int, suggestion: Suggestion | None) -> None:
        """Take up one message; `log_offset` is that of its event's record, None a message that cannot be read."""
        if self.since_ms is None:
            self.since_ms = timestamp
        if suggestion is None:
            place = self._findings.place("suggestions", self._partition, offset)
            self._findings.differ("suggestions", place, "the message cannot be read as a suggestion")
            return
        key = fingerprint((suggestion.suggestion_id, log_offset))
        if key in self._kept:
            self._findings.repeat("suggestions")
            return
        identity = _identity(suggestion.event_id, suggestion.session_id, suggestion.time, suggestion.moment)
        self._kept[key] = _encode((offset, identity, tuple(item.item_id for item in suggestion.items)))

    def at(self, log_offset: int) -> "PublishedSuggestions":
        """Look from now on for the suggestions of one record of `session-events`."""
        self._log_offset = log_offset
        self._asked = {}
        return self

    def __getitem__(self, suggestion_id: str) -> Suggestion:
        kept = self._asked.get(suggestion_id)
        if kept is None:
            kept = _decoder.decode(self._kept.pop(fingerprint((suggestion_id, self._log_offset))))
            self._asked[suggestion_id] = kept
        items = tuple(SuggestedItem(item, rank, 0.0, _NO_EVIDENCE) for rank, item in enumerate(kept[2], start=1))
        return Suggestion(suggestion_id, "", "", 0, "", None, items, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._asked)

    def __len__(self) -> int:
        return len(self._kept)

    def compare(self, suggestion_id: str, event: Event) -> None:
        """Compare a suggestion that was asked for with the event that it must answer."""
        self._findings.compare("suggestions")
        offset, identity, _ = self._asked[suggestion_id]
        if identity != _identity(event.event_id, event.session_id, event.time, event.moment):
            place = self._findings.place("suggestions", self._partition, offset)
            self._findings.differ(
                "suggestions", place, f"{suggestion_id} has another session, event, time or moment than its event"
            )

    def finish(self, are_some_events_lost: bool) -> None:
        """Look at what no event has asked for.

        Parameters
        ----------
        are_some_events_lost : bool
            Whether retention has deleted events of this partition.
        """
        where = self._findings.place("suggestions", self._partition)
        if are_some_events_lost:
            self._findings.leave_out("suggestions", where, "retention has deleted their events", len(self._kept))
            return
        for kept in self._kept.values():
            place = self._findings.place("suggestions", self._partition, _decoder.decode(kept)[0])
            self._findings.differ("suggestions", place, "no event determines this suggestion's id")


class PublishedOutcomes:
    """The outcomes of one partition: about 200 bytes for each id."""

    def __init__(self, partition: int, is_cut: bool, findings: Findings) -> None:
        self.is_cut = is_cut
        #: Arrival of the first message that is there, in ms.
        self.since_ms: int | None = None
        self._partition = partition
        self._findings = findings
        #: By fingerprint of the id: offset, and fingerprints of content and session.
        self._found: dict[int, tuple[int, int, int]] = {}
        self._expected: set[int] = set()
        self._doubtful: set[int] = set()

    def read(self, offset: int, timestamp: int, outcome: Outcome | None) -> None:
        """Take up one message; None is one that cannot be read."""
        if self.since_ms is None:
            self.since_ms = timestamp
        if outcome is None:
            place = self._findings.place("acceptance", self._partition, offset)
            self._findings.differ("outcomes", place, "the message cannot be read as an outcome")
            return
        key = fingerprint(outcome.outcome_id)
        if key in self._found:
            self._findings.repeat("outcomes")
            return
        self._found[key] = (offset, fingerprint(outcome), fingerprint(outcome.session_id))

    def doubt(self, session_id: str) -> None:
        """Take down that nobody can say which outcomes a session has."""
        self._doubtful.add(fingerprint(session_id))

    def expect(self, outcome: Outcome, source: str, is_required: bool, may_be_deleted: bool) -> None:
        """Compare with an outcome that the log and the first suggestions determine.

        Parameters
        ----------
        source : str
            The place of its event's record in `session-events`.
        is_required : bool
            Whether it must have been published by now.
        may_be_deleted : bool
            Whether retention may have deleted it.
        """
        key = fingerprint(outcome.outcome_id)
        if key in self._expected:
            return
        found = self._found.get(key)
        where = self._findings.place("acceptance", self._partition)
        if found is None and not is_required:
            self._findings.wait("outcomes")
        elif found is None and may_be_deleted:
            self._findings.leave_out("outcomes", where, "retention has deleted the beginning of the log")
        elif found is None:
            self._findings.compare("outcomes")
            self._findings.differ(
                "outcomes", where, f"{outcome.outcome_id}, which {source} determines, is missing: expected {outcome}"
            )
        else:
            self._expected.add(key)
            self._findings.compare("outcomes")
            if found[1] != fingerprint(outcome):
                place = self._findings.place("acceptance", self._partition, found[0])
                self._findings.differ("outcomes", place, f"{outcome.outcome_id} says something else than {outcome}")

    def finish(self, are_some_events_lost: bool) -> None:
        """Look at what was not expected; events may be lost by retention."""
        where = self._findings.place("acceptance", self._partition)
        for key, (offset, _, session) in self._found.items():
            if key in self._expected:
                continue
            if are_some_events_lost or session in self._doubtful:
                why = "earlier events or suggestions of their sessions are lost"
                self._findings.leave_out("outcomes", where, why)
                continue
            self._findings.compare("outcomes")
            place = self._findings.place("acceptance", self._partition, offset)
            self._findings.differ("outcomes", place, "the events and the first suggestions determine no such outcome")
