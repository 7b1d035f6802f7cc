"""Windows and their messages, as of a mark that is older than the logs' ends."""

import json
from typing import Any

from models.audit.findings import Findings, Report
from models.audit.windows import WindowsRecount
from models.coverage import Packed, Span
from models.kpi import Tally, Window, metrics_message
from models.measuring import TallyEntry
from models.parameters import DEFAULTS

MINUTE_MS = 60_000
KEY = f"{MINUTE_MS}|browse"


def message(suggestions: int, revision: int, start: int = MINUTE_MS) -> dict[str, Any]:
    window = Window(suggestions=suggestions)
    read: dict[str, Any] = json.loads(json.dumps(metrics_message((start, "browse"), window, revision, DEFAULTS)))
    return read


def recounted(
    messages: list[dict[str, Any]], pending: list[str], is_cut: bool = False, are_messages_cut: bool = False
) -> Report:
    """Tally five suggestions, one a record; the mark stands before the fourth."""
    findings = Findings()
    windows = WindowsRecount(0, is_cut, DEFAULTS, findings)
    for offset, each in enumerate(messages):
        windows.read(offset, each, position=3)
    for offset in range(5):
        if offset == 3:
            windows.compare_table([(KEY, Window(suggestions=3))], {"0": 2}, MINUTE_MS)
            windows.compare_messages(pending, are_messages_cut)
        tally = TallyEntry(0, offset, Tally(MINUTE_MS, "browse", suggestions=1))
        windows.fold(offset, Packed([Span("0", offset - 1, offset)], [tally]))
    windows.finish()
    return findings.report()


def test_the_message_of_the_mark_is_taken_and_not_a_later_or_a_late_one() -> None:
    assert recounted([message(2, 2), message(3, 3), message(5, 5)], []).found == ()
    assert recounted([message(3, 3), message(5, 5), message(2, 2)], []).found == ()
    report = recounted([message(2, 2), message(5, 5)], [])
    assert [finding.difference for finding in report.found] == [f"window {KEY}: expected suggestions 3, found 2"]


def test_a_window_that_is_pending_at_the_mark_waits_for_its_message() -> None:
    for messages in ([], [message(2, 2)]):
        report = recounted(messages, [KEY])
        assert (report.found, report.counts["windows"].pending) == ((), 1)
    assert recounted([], []).differences == 1
    assert recounted([], [], are_messages_cut=True).counts["windows"].uncountable == 1


def test_a_message_of_a_window_without_tallies_is_a_difference_but_in_a_cut_log() -> None:
    messages = [message(3, 3), message(1, 2, start=9 * MINUTE_MS)]
    report = recounted(messages, [])
    assert [finding.place for finding in report.found] == ["acceptance-metrics/0@1"]
    report = recounted(messages, [], is_cut=True)
    assert (report.found, report.counts["windows"].uncountable) == ((), 1)


def test_a_closed_windows_last_message_is_compared_too() -> None:
    for suggestions, differences in ((1, 0), (2, 1)):
        findings = Findings()
        windows = WindowsRecount(0, False, DEFAULTS, findings)
        far = MINUTE_MS * 2 + DEFAULTS.kpi_retention_ms
        windows.read(0, message(suggestions, 2), position=2)
        windows.read(1, message(1, 2, start=far), position=2)
        for offset, start in enumerate((MINUTE_MS, far)):
            tally = TallyEntry(0, offset, Tally(start, "browse", suggestions=1))
            windows.fold(offset, Packed([Span("0", offset - 1, offset)], [tally]))
        windows.compare_table([(f"{far}|browse", Window(suggestions=1))], {"0": 1}, far)
        windows.compare_messages([], False)
        windows.finish()
        assert findings.report().differences == differences
