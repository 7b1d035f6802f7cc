"""`session-events` folded again, one partition: what it determines, compared with what the stage has published.

Where retention has deleted the beginning of the log, nobody knows how the sessions stood. The newest event time of
what was deleted is at most an hour and ten minutes after the arrival of what is left: Kafka refuses records stamped
further ahead, the door events timed further ahead. Until event time is a session's retention beyond that, and for each
session id until it was silent for a retention, its increments, suggestions, outcomes, tallies and row are not compared.
"""

from collections.abc import Iterable, Mapping

from models.audit.admission import Admission, admitted
from models.audit.door import Door
from models.audit.findings import Findings
from models.audit.packed import Origin
from models.audit.published import PublishedOutcomes, PublishedSuggestions
from models.audit.rows import compare_rows, compare_state
from models.coverage import Packed
from models.errors import InvariantError
from models.parameters import Parameters
from models.partitioning import partition_of
from models.rows import PlainRows
from models.session import Session, is_forgotten
from models.shard import Shard
from models.suggesting import Effects, EventEntry, origin_partition, suggest, suggestion_id

__all__ = ["SessionsRecount"]

#: A record may be stamped this far ahead of the broker's clock.
_AHEAD_MS = 3_600_000
#: Clocks of workers differ by less.
_CLOCKS_MS = 60_000


class _Doubts:
    """Session ids of which something is unknown, each with the newest of its event times."""

    def __init__(self, retention_ms: int) -> None:
        self._retention_ms = retention_ms
        self._last: dict[str, int] = {}

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._last

    def raise_(self, session_id: str, time_ms: int) -> None:
        """Doubt a session."""
        self._last[session_id] = max(time_ms, self._last.get(session_id, time_ms))

    def meet(self, session_id: str, time_ms: int, newest_ms: int) -> bool:
        """Tell whether a session is in doubt when an event of it comes; a forgotten one begins anew."""
        last = self._last.get(session_id)
        if last is None:
            return False
        if newest_ms - last > self._retention_ms:
            del self._last[session_id]
            return False
        self.raise_(session_id, time_ms)
        return True


class SessionsRecount:
    """The fold of one partition of `session-events`; it holds the sessions that are not forgotten yet.

    Parameters
    ----------
    partitions : int
        Of the internal topics.
    suggestions, outcomes : PublishedSuggestions, PublishedOutcomes
        What was published of this partition, read before.
    door : Door
        Is told of every entry.
    increments, tallies : Origin
        Take down what is determined for `pairs` and `tallies`; their `required` is set.
    """

    def __init__(
        self,
        partition: int,
        partitions: int,
        admission: Admission,
        suggestions: PublishedSuggestions,
        outcomes: PublishedOutcomes,
        door: Door,
        increments: Origin,
        tallies: Origin,
        parameters: Parameters,
        findings: Findings,
    ) -> None:
        self._shard: Shard[Session] = Shard(partition)
        self._shard.watermarks = Admission(admission.is_cut)
        self._no_rows = PlainRows(parameters)
        self._partitions = partitions
        self._admission = admission
        self._suggestions = suggestions
        self._outcomes = outcomes
        self._door = door
        self._increments = increments
        self._tallies = tallies
        self._parameters = parameters
        self._findings = findings
        self._newest = 0
        #: Until event time is beyond this, every session may have a past that was deleted.
        self._settled_ms: int | None = None
        self._past = _Doubts(parameters.session_retention_ms)
        self._offers = _Doubts(parameters.session_retention_ms)

    def fold(self, offset: int, timestamp: int, packed: Packed[EventEntry]) -> None:
        """Fold one record, and compare what was published of it."""
        place = self._findings.place("session-events", self._shard.partition, offset)
        try:
            for span in packed.spans:
                origin_partition(span.origin)
        except InvariantError as error:
            self._findings.differ("events", place, str(error))
            return

        def on_stray(entry: EventEntry) -> None:
            self._findings.differ(
                "events", place, f"an event of input offset {entry.offset} is outside of what its record covers"
            )

        entries = list(admitted(packed, self._admission, on_stray))
        self._door.enter(self._shard.partition, offset, entries)
        is_past_known = not self._doubt([entry for _, entry in entries], timestamp)
        effects = suggest(self._shard, offset, packed, self._no_rows, self._suggestions.at(offset), self._parameters)
        is_known = self._compare_suggestions(offset, timestamp, entries, effects)
        self._expect_outcomes(offset, timestamp, effects)
        self._expect_entries(offset, effects, is_past_known, is_past_known and is_known)

    def _doubt(self, entries: list[EventEntry], timestamp: int) -> bool:
        """Note which sessions have an unknown past; return whether one of these entries is of such a session."""
        parameters = self._parameters
        if self._settled_ms is None:
            self._settled_ms = 0
            if self._admission.is_cut:
                self._settled_ms = timestamp + _AHEAD_MS + parameters.future_skew_ms + parameters.session_retention_ms
        is_in_doubt = False
        for entry in entries:
            session, time = entry.event.session_id, entry.event.time
            self._newest = max(self._newest, time)
            if self._newest <= self._settled_ms:
                self._past.raise_(session, time)
            elif not self._past.meet(session, time, self._newest):
                continue
            self._outcomes.doubt(session)
            is_in_doubt = True
        return is_in_doubt

    def _compare_suggestions(
        self, offset: int, timestamp: int, entries: list[tuple[str, EventEntry]], effects: Effects
    ) -> bool:
        """Compare the record's suggestions; return whether it is known what was offered to all its sessions."""
        events = {suggestion_id(entry.event, origin, entry.offset): entry.event for origin, entry in entries}
        is_known = True
        where = self._findings.place("suggestions", self._shard.partition)
        for suggestion, _, is_published in effects.suggestions:
            event = events[suggestion.suggestion_id]
            session = event.session_id
            if session in self._past:
                self._findings.leave_out("suggestions", where, "retention has deleted earlier events of their sessions")
            elif is_published:
                self._suggestions.compare(suggestion.suggestion_id, event)
            else:
                self._miss_suggestion(offset, timestamp, suggestion.suggestion_id, event.event_id, session)
            if not is_published:
                self._offers.raise_(session, event.time)
            elif not self._offers.meet(session, event.time, self._newest):
                continue
            self._outcomes.doubt(session)
            is_known = False
        return is_known

    def _miss_suggestion(self, offset: int, timestamp: int, key: str, event_id: str, session_id: str) -> None:
        published = self._suggestions
        where = self._findings.place("suggestions", self._shard.partition)
        if offset >= self._increments.required:
            self._findings.wait("suggestions")
        elif published.is_cut and (published.since_ms is None or timestamp <= published.since_ms + _CLOCKS_MS):
            self._findings.leave_out("suggestions", where, "retention has deleted the beginning of the log")
        else:
            self._findings.compare("suggestions")
            source = self._findings.place("session-events", self._shard.partition, offset)
            self._findings.differ(
                "suggestions",
                where,
                f"{key} is missing: expected one for event {event_id!r} of session {session_id!r} in {source}",
            )

    def _expect_outcomes(self, offset: int, timestamp: int, effects: Effects) -> None:
        published = self._outcomes
        source = self._findings.place("session-events", self._shard.partition, offset)
        is_required = offset < self._increments.required
        may_be_deleted = published.is_cut and (
            published.since_ms is None or timestamp <= published.since_ms + _CLOCKS_MS
        )
        for outcome in effects.outcomes:
            if outcome.session_id not in self._past and outcome.session_id not in self._offers:
                published.expect(outcome, source, is_required, may_be_deleted)

    def _expect_entries(
        self, offset: int, effects: Effects, are_increments_known: bool, are_tallies_known: bool
    ) -> None:
        increments: dict[int, list[object]] = {}
        for time_ms, arrival, increment in effects.increments:
            target = partition_of(increment.anchor, self._partitions)
            increments.setdefault(target, []).append((time_ms, arrival, increment))
        tallies: dict[int, list[object]] = {}
        for tally in effects.tallies:
            tallies.setdefault(partition_of(str(tally.start), self._partitions), []).append(tally)
        for origin, is_known, contents in (
            (self._increments, are_increments_known, increments),
            (self._tallies, are_tallies_known, tallies),
        ):
            if not is_known:
                origin.forget(offset)
                continue
            for target, of_target in contents.items():
                origin.expect(offset, target, of_target)

    def compare_table(self, rows: Iterable[tuple[str, Session]], watermarks: Mapping[str, int], newest: int) -> None:
        """Compare with the table as it was when everything folded so far, and nothing more, was in it."""
        place = self._findings.place("sessions", self._shard.partition)
        if not self._admission.is_cut:
            compare_state("sessions", place, self._shard, watermarks, newest, self._findings)
        expected = {
            key: row
            for key, row in self._shard.rows.items()
            if not is_forgotten(row, newest, self._parameters) and not self._is_doubtful(key)
        }
        compare_rows("sessions", place, expected, self._comparable(rows, place, newest), self._findings)

    def _comparable(
        self, rows: Iterable[tuple[str, Session]], place: str, newest: int
    ) -> Iterable[tuple[str, Session]]:
        for key, row in rows:
            if is_forgotten(row, newest, self._parameters):
                continue
            is_untouched = self._admission.is_cut and key not in self._shard.rows
            if is_untouched or self._is_doubtful(key):
                self._findings.leave_out("sessions", place, "earlier events or suggestions of them are lost")
            else:
                yield key, row

    def _is_doubtful(self, session_id: str) -> bool:
        return session_id in self._past or session_id in self._offers

    def finish(self) -> None:
        """Look, when the log is read, at what was published and not determined."""
        self._suggestions.finish(self._admission.is_cut)
        self._outcomes.finish(self._admission.is_cut)
