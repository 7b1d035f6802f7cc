import pytest

from models.recordings.record import BadLine, BadLines, InputEvent, Recorded, epoch_ms, in_time_order, is_whole_number
from models.records import TIME_MAX_MS, TIME_MIN_MS


def browse(event_id: str, time_ms: int) -> Recorded:
    event: InputEvent = {"event_id": event_id, "session_id": "s", "item_id": "i", "time": time_ms}
    return Recorded("browse", event, time_ms)


def test_events_are_sorted_by_time_and_stay_in_their_order_within_a_millisecond() -> None:
    events = [browse("a", 20), browse("b", 10), browse("c", 20), browse("d", 10)]
    assert [each.event["event_id"] for each in in_time_order(events)] == ["b", "d", "a", "c"]


def test_no_events_are_in_time_order() -> None:
    assert in_time_order([]) == []


@pytest.mark.parametrize(
    ("text", "unit_ms", "expected"),
    [
        ("1511544070", 1000, 1_511_544_070_000),
        (str(TIME_MIN_MS), 1, TIME_MIN_MS),
        (str(TIME_MIN_MS - 1), 1, None),
        (str(TIME_MAX_MS - 1), 1, TIME_MAX_MS - 1),
        (str(TIME_MAX_MS), 1, None),
        ("", 1, None),
        ("-1511544070", 1000, None),
        ("1511544070.5", 1000, None),
        ("1_511_544_070", 1000, None),
        (" 1511544070", 1000, None),
        ("١٥١١٥٤٤٠٧٠", 1000, None),
        ("9" * 5000, 1, None),
    ],
)
def test_epoch_times_are_whole_numbers_of_this_century(text: str, unit_ms: int, expected: int | None) -> None:
    assert epoch_ms(text, unit_ms) == expected


def test_only_the_ten_digits_make_a_whole_number() -> None:
    assert is_whole_number("007")
    assert not any(is_whole_number(text) for text in ("", "+7", "7.0", "²", "٧", "7 "))


def test_all_bad_lines_are_counted_and_the_first_five_kept() -> None:
    bad_lines = BadLines()
    for number in range(1, 8):
        bad_lines.add(BadLine(number, "bad-time" if number % 2 else "bad-id"))
    assert bad_lines.total == 7
    assert bad_lines.by_reason == {"bad-time": 4, "bad-id": 3}
    assert [line.number for line in bad_lines.first] == [1, 2, 3, 4, 5]
