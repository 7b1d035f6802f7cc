import pytest

from models.errors import RecordingError
from models.recordings.formats import FORMATS, read_events
from models.recordings.record import BadLines

GOOD = "1,20,300,pv,1511544070"


def test_sessions_one_after_the_other_are_brought_into_time_order() -> None:
    lines = [
        '{"session":0,"events":[{"aid":1,"ts":1659304800025,"type":"clicks"},{"aid":2,"ts":1659304800040,"type":"clicks"}]}',
        '{"session":1,"events":[{"aid":3,"ts":1659304800030,"type":"clicks"},{"aid":4,"ts":1659304800040,"type":"clicks"}]}',
    ]
    assert not FORMATS["otto"].is_ordered
    assert [each.event["item_id"] for each in read_events(lines, "otto", BadLines())] == ["1", "3", "2", "4"]


def test_bad_lines_are_counted_and_left_out() -> None:
    bad_lines = BadLines()
    events = list(read_events([GOOD, "", "1,2", GOOD], "taobao", bad_lines))
    assert [each.event["event_id"] for each in events] == ["1", "4"]
    assert bad_lines.by_reason == {"empty-line": 1, "wrong-columns": 1}


def test_a_hundred_bad_lines_in_front_are_another_format() -> None:
    with pytest.raises(RecordingError, match=r"does not look like taobao: its first 100 lines are all bad \(line 1: "):
        list(read_events(["nonsense"] * 100 + [GOOD], "taobao", BadLines()))


def test_ninety_nine_bad_lines_in_front_are_an_accident() -> None:
    bad_lines = BadLines()
    assert len(list(read_events(["nonsense"] * 99 + [GOOD] + ["nonsense"] * 99, "taobao", bad_lines))) == 1
    assert bad_lines.total == 198


def test_a_file_without_any_good_line_is_another_format() -> None:
    with pytest.raises(RecordingError, match=r"does not look like rees46: it has no good line \(line 1: no-header\)"):
        list(read_events([GOOD], "rees46", BadLines()))


@pytest.mark.parametrize("name", FORMATS)
def test_no_lines_are_no_events(name: str) -> None:
    assert list(read_events([], name, BadLines())) == []
