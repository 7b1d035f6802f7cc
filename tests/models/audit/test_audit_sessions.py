"""A partition of `session-events` whose beginning is gone: what is compared again, and from when on."""

import msgspec
import pytest

from models.audit.admission import Admission
from models.audit.door import Door, InputLog
from models.audit.findings import Findings, Report
from models.audit.packed import Origin
from models.audit.published import PublishedOutcomes, PublishedSuggestions
from models.audit.sessions import SessionsRecount
from models.coverage import Packed, Span
from models.parameters import DEFAULTS
from models.records import Event, Line
from models.rows import PlainRows
from models.session import Session
from models.shard import Shard
from models.suggesting import EventEntry, Suggestion, suggest, suggestion_id

START_MS = 1_767_607_200_000
HOUR_MS = 3_600_000
#: An hour and ten minutes that times may be ahead, and two hours that a session is remembered.
SETTLED_MS = START_MS + HOUR_MS + 600_000 + 2 * HOUR_MS


def event(session: str, number: int, time_ms: int) -> Event:
    return Event("browse", f"e{number}", session, time_ms, "browse", (Line("tea"),))


def answer(of: Event, offset: int) -> Suggestion:
    key = suggestion_id(of, "browse-0", offset)
    return Suggestion(key, of.event_id, of.session_id, of.time, of.moment, "tea", (), "unknown-item")


class Recounted:
    """One partition that begins at offset 10, one event a record."""

    def __init__(self, events: list[Event], are_answered: bool = True, since_ms: int | None = None) -> None:
        findings = self.findings = Findings()
        admission = Admission(is_cut=True)
        self.increments, tallies = Origin(10, 10 + len(events)), Origin(10, 10 + len(events))
        self.increments.required = tallies.required = 10 + len(events)
        suggestions = PublishedSuggestions(0, since_ms is not None, findings)
        suggestions.since_ms = since_ms
        for at, each in enumerate(events):
            if are_answered:
                suggestions.read(at, START_MS, 10 + at, answer(each, 100 + at))
        outcomes = PublishedOutcomes(0, False, findings)
        door = Door([InputLog("browse", 0, 0, 1000, 0)], {0: admission}, 1, set(), DEFAULTS, findings)
        self.recount = SessionsRecount(
            0, 1, admission, suggestions, outcomes, door, self.increments, tallies, DEFAULTS, findings
        )
        for at, each in enumerate(events):
            packed = Packed([Span("browse-0", 99 + at, 100 + at)], [EventEntry(0, 100 + at, START_MS, each)])
            self.recount.fold(10 + at, START_MS, packed)

    @property
    def report(self) -> Report:
        return self.findings.report()

    def unknown(self) -> list[int]:
        return [offset for offset in range(10, 20) if self.increments.is_unknown(offset)]


def test_nothing_is_known_until_every_session_of_before_is_forgotten() -> None:
    recounted = Recounted([event("a", 1, START_MS), event("b", 2, SETTLED_MS), event("c", 3, SETTLED_MS + 1)])
    assert recounted.unknown() == [10, 11]
    assert recounted.report.counts["suggestions"].uncountable == 2
    assert recounted.report.counts["suggestions"].compared == 1


def test_a_session_that_may_be_older_is_known_again_when_it_was_silent() -> None:
    first = SETTLED_MS - 1
    again = first + DEFAULTS.session_retention_ms
    recounted = Recounted([event("a", 1, first), event("b", 2, again), event("a", 3, again), event("a", 4, again)])
    assert recounted.unknown() == [10, 12, 13]
    recounted = Recounted([event("a", 1, first), event("a", 3, again + 1), event("a", 4, again + 2)])
    assert recounted.unknown() == [10]


def test_a_row_of_a_doubtful_session_is_not_compared_and_others_are() -> None:
    recounted = Recounted([event("a", 1, SETTLED_MS), event("b", 2, SETTLED_MS + 1)])
    right: Shard[Session] = Shard(0)
    packed = Packed([Span("browse-0", -1, 0)], [EventEntry(0, 0, 0, event("b", 2, SETTLED_MS + 1))])
    suggest(right, 0, packed, PlainRows(DEFAULTS), {}, DEFAULTS)
    rows = [("a", Session(0, SETTLED_MS)), ("b", right.rows["b"]), ("gone", Session(0, SETTLED_MS))]
    recounted.recount.compare_table(rows, {}, SETTLED_MS + 1)
    assert recounted.report.found == ()
    count = recounted.report.counts["sessions"]
    assert (count.compared, count.uncountable) == (1, 2)
    recounted.recount.compare_table([("b", msgspec.structs.replace(right.rows["b"], length=5))], {}, SETTLED_MS + 1)
    assert [finding.difference for finding in recounted.report.found] == ["expected length 1, found 5"]


@pytest.mark.parametrize(("since_ms", "uncountable"), [(START_MS - 60_000, 1), (START_MS - 60_001, 0)])
def test_a_suggestion_may_be_deleted_when_its_event_is_not_younger_than_what_is_left(
    since_ms: int, uncountable: int
) -> None:
    recounted = Recounted([event("a", 1, SETTLED_MS + 1)], are_answered=False, since_ms=since_ms)
    count = recounted.report.counts["suggestions"]
    assert (count.uncountable, count.differences) == (uncountable, 1 - uncountable)
