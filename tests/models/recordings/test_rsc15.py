import pytest

from models.recordings.formats import FORMATS, read_events
from models.recordings.record import BadLine, BadLines, Recorded
from models.recordings.rsc15 import read

FILE = """\
SessionId\tItemId\tTime
3\t214716935\t1396437466.94
3\t214832672\t1396438212.318
1\t214716935\t1396437470
"""


def test_each_row_becomes_a_view_of_its_session() -> None:
    assert list(read(FILE.splitlines())) == [
        Recorded(
            "browse",
            {"event_id": "2", "session_id": "3", "item_id": "214716935", "time": 1396437466940},
            1396437466940,
        ),
        Recorded(
            "browse",
            {"event_id": "3", "session_id": "3", "item_id": "214832672", "time": 1396438212318},
            1396438212318,
        ),
        Recorded(
            "browse",
            {"event_id": "4", "session_id": "1", "item_id": "214716935", "time": 1396437470000},
            1396437470000,
        ),
    ]


def test_sessions_one_after_the_other_are_brought_into_time_order() -> None:
    assert not FORMATS["rsc15"].is_ordered
    events = read_events(FILE.splitlines(), "rsc15", BadLines())
    assert [each.event["event_id"] for each in events] == ["2", "4", "3"]


def test_without_a_header_only_the_first_line_is_bad() -> None:
    found = list(read(FILE.splitlines()[1:]))
    assert [each for each in found if isinstance(each, BadLine)] == [BadLine(1, "no-header")]
    assert len(found) == 3


def test_the_second_reading_repeats_the_first() -> None:
    assert list(read(FILE.splitlines())) == list(read(line + "\r\n" for line in FILE.splitlines()))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "empty-line"),
        ("  \n", "empty-line"),
        ("3\t20", "wrong-columns"),
        ("3,20,1396437466.94", "wrong-columns"),
        ("3\t20\t1396437466.94\t0", "wrong-columns"),
        ("3\t20\t", "bad-time"),
        ("3\t20\tnoon", "bad-time"),
        ("3\t20\t1396437466,94", "bad-time"),
        ("3\t20\t1396437466940", "bad-time"),
        ("\t20\t1396437466.94", "bad-id"),
        ("x\t20\t1396437466.94", "bad-id"),
        ("3\t\t1396437466.94", "bad-id"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str, reason: str) -> None:
    found = list(read(["SessionId\tItemId\tTime", line, "3\t20\t1396437466.94"]))
    assert found[0] == BadLine(2, reason)
    assert len(found) == 2
