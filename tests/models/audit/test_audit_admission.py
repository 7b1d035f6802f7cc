"""Which entries count, in a whole log and in one whose beginning is gone."""

from models.audit.admission import Admission, admitted
from models.coverage import Packed, Span
from models.kpi import Tally
from models.measuring import TallyEntry


def entry(offset: int, span: int = 0) -> TallyEntry:
    return TallyEntry(span, offset, Tally(0, "browse"))


def offsets(admission: Admission, span: Span, *entries: TallyEntry) -> tuple[list[int], list[int]]:
    stray: list[TallyEntry] = []
    new = [each.offset for _, each in admitted(Packed([span], list(entries)), admission, stray.append)]
    return new, [each.offset for each in stray]


def test_repeats_and_gaps_of_a_whole_log_bring_nothing() -> None:
    admission = Admission()
    assert offsets(admission, Span("o", -1, 3), entry(1), entry(3)) == ([1, 3], [])
    assert offsets(admission, Span("o", -1, 3), entry(1)) == ([], [])
    assert offsets(admission, Span("o", 4, 6), entry(5)) == ([], [])
    assert offsets(admission, Span("o", 2, 5), entry(3), entry(4)) == ([4], [])
    assert (admission.end("o"), admission.end("p")) == (5, -1)
    assert not admission.is_lost("o", 0)


def test_an_entry_outside_of_its_span_is_stray() -> None:
    assert offsets(Admission(), Span("o", -1, 3), entry(4), entry(2), entry(1, span=1)) == ([2], [4, 1])


def test_a_cut_log_goes_on_behind_what_is_gone() -> None:
    admission = Admission(is_cut=True)
    assert admission.is_lost("o", 0)
    assert offsets(admission, Span("o", 9, 12), entry(10)) == ([10], [])
    assert offsets(admission, Span("o", 15, 16), entry(16)) == ([16], [])
    lost = [offset for offset in range(18) if admission.is_lost("o", offset)]
    assert lost == [*range(10), 13, 14, 15]
