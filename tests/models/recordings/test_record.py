import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.recordings.record import (
    BadLine,
    BadLines,
    InputEvent,
    Recorded,
    decimal_epoch_ms,
    epoch_ms,
    in_time_order,
    is_whole_number,
)
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


@pytest.mark.parametrize(
    ("text", "unit_ms", "expected"),
    [
        ("1396437466", 1000, 1_396_437_466_000),
        ("1396437466.0", 1000, 1_396_437_466_000),
        ("1396437466.94", 1000, 1_396_437_466_940),
        ("1396437466.001", 1000, 1_396_437_466_001),
        ("1396437466.0019", 1000, 1_396_437_466_001),
        ("1396437466." + "9" * 5000, 1000, 1_396_437_466_999),
        ("1396437466940.7", 1, 1_396_437_466_940),
        ("946684799.999", 1000, None),
        ("4102444799.999", 1000, TIME_MAX_MS - 1),
        ("4102444800.0", 1000, None),
        ("1396437466.", 1000, None),
        (".5", 1000, None),
        ("1396437466.-5", 1000, None),
        ("1396437466.5.5", 1000, None),
        ("1396437466,5", 1000, None),
        ("1.396437466e9", 1000, None),
    ],
)
def test_a_fraction_counts_to_the_millisecond_and_the_rest_is_cut_off(
    text: str, unit_ms: int, expected: int | None
) -> None:
    assert decimal_epoch_ms(text, unit_ms) == expected


@given(st.integers(TIME_MIN_MS, TIME_MAX_MS - 1))
def test_seconds_with_three_decimals_are_exact(time_ms: int) -> None:
    assert decimal_epoch_ms(f"{time_ms // 1000}.{time_ms % 1000:03}", 1000) == time_ms


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
