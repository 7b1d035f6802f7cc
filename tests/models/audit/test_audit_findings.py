"""The book of a recount."""

from models.audit.findings import FOUND_MAX, KINDS, Finding, Findings


def test_an_empty_book_reports_zeros_in_order() -> None:
    report = Findings().report()
    assert list(report.counts) == list(KINDS)
    assert (report.differences, report.uncountable, report.pending, report.repeated) == (0, 0, 0, 0)
    assert (report.found, report.not_counted) == ((), ())


def test_places_have_the_topics_names() -> None:
    findings = Findings({"pairs": "shop-pairs"})
    assert findings.place("pairs", 3) == "shop-pairs/3"
    assert findings.place("pairs", "3", 14) == "shop-pairs/3@14"
    assert findings.place("cooccurrence", 0) == "cooccurrence/0"


def test_what_is_left_out_is_summed_by_place_and_reason() -> None:
    findings = Findings()
    findings.leave_out("rows", "cooccurrence/1", "it is cut", 1_200)
    findings.leave_out("rows", "cooccurrence/1", "it is cut", 34)
    findings.leave_out("rows", "cooccurrence/2", "it is cut", 0)
    findings.note("a worker is silent")
    report = findings.report()
    assert report.not_counted == (
        "cooccurrence/1: 1,234 rows not compared, because it is cut",
        "a worker is silent",
    )
    assert report.uncountable == 1_234


def test_all_differences_are_counted_and_the_first_thousand_kept() -> None:
    findings = Findings()
    for number in range(FOUND_MAX + 5):
        findings.differ("events", "browse/0", str(number))
    report = findings.report()
    assert report.differences == FOUND_MAX + 5
    assert len(report.found) == FOUND_MAX
    assert report.found[0] == Finding("browse/0", "0")


def test_pending_counts_events_on_their_way_to_their_suggestion() -> None:
    findings = Findings()
    for kind, number in (("events", 2), ("suggestions", 3), ("increments", 50)):
        findings.wait(kind, number)  # type: ignore[arg-type]
    assert findings.report().pending == 5
