import pytest

from models.recordings.record import BadLine, Recorded
from models.recordings.retailrocket import read

HEADER = "timestamp,visitorid,event,itemid,transactionid"
FILE = f"""\
{HEADER}
1433193140484,7,transaction,102,55
1433193132535,7,view,100,
1433193133000,7,addtocart,101,
1433193140000,7,transaction,101,55
1433193140000,7,transaction,103,56
1433193140000,8,transaction,101,55
"""


def events(lines: list[str]) -> list[Recorded]:
    return [each for each in read(lines) if isinstance(each, Recorded)]


def test_each_event_becomes_its_kind_and_rows_of_a_transaction_one_order() -> None:
    assert list(read(FILE.splitlines())) == [
        Recorded(
            "browse",
            {"event_id": "3", "session_id": "7-1", "user_id": "7", "item_id": "100", "time": 1433193132535},
            1433193132535,
        ),
        Recorded(
            "add-to-cart",
            {
                "event_id": "4",
                "session_id": "7-1",
                "user_id": "7",
                "item_id": "101",
                "time": 1433193133000,
                "action": "add",
            },
            1433193133000,
        ),
        Recorded(
            "orders",
            {
                "event_id": "2",
                "session_id": "7-1",
                "user_id": "7",
                "order_id": "7-55",
                "time": 1433193140000,
                "lines": [{"item_id": "102", "quantity": 1}, {"item_id": "101", "quantity": 1}],
            },
            1433193140000,
        ),
        Recorded(
            "orders",
            {
                "event_id": "6",
                "session_id": "7-1",
                "user_id": "7",
                "order_id": "7-56",
                "time": 1433193140000,
                "lines": [{"item_id": "103", "quantity": 1}],
            },
            1433193140000,
        ),
        Recorded(
            "orders",
            {
                "event_id": "7",
                "session_id": "8-1",
                "user_id": "8",
                "order_id": "8-55",
                "time": 1433193140000,
                "lines": [{"item_id": "101", "quantity": 1}],
            },
            1433193140000,
        ),
    ]


def test_a_gap_of_exactly_thirty_minutes_is_one_session_and_a_millisecond_more_are_two() -> None:
    lines = [HEADER, "1433193600000,7,view,1,", "1433195400000,7,view,1,", "1433197200001,7,view,1,"]
    assert [each.event["session_id"] for each in events(lines)] == ["7-1", "7-1", "7-2"]


def test_a_transaction_id_may_have_been_through_pandas() -> None:
    [order] = events([HEADER, "1433193140000,7,transaction,101,8693.0", "1433193140000,7,transaction,102,8693"])
    assert order.event["order_id"] == "7-8693"


def test_further_columns_are_left_alone() -> None:
    [view] = events([f"{HEADER},datetime", "1433193132535,7,view,100,,2015-06-01 21:12:12.535"])
    assert view.event["item_id"] == "100"


def test_without_a_header_only_the_first_line_is_bad() -> None:
    found = list(read(["1433193132535,7,view,100,", "1433193132536,7,view,100,"]))
    assert [each for each in found if isinstance(each, BadLine)] == [BadLine(1, "no-header")]
    assert len(found) == 2


def test_the_second_reading_repeats_the_first() -> None:
    assert list(read(FILE.splitlines())) == list(read(FILE.splitlines(keepends=True)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "empty-line"),
        ("1433193132535,7,view,100", "wrong-columns"),
        ("yesterday,7,view,100,", "bad-time"),
        ("1433193132,7,view,100,", "bad-time"),
        ("1433193132535,,view,100,", "bad-id"),
        ("1433193132535,7,view,abc,", "bad-id"),
        ("1433193132535,7,transaction,100,", "bad-id"),
        ("1433193132535,7,transaction,100,8693.5", "bad-id"),
        ("1433193132535,7,click,100,", "unknown-event"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str, reason: str) -> None:
    found = list(read([HEADER, line, "1433193132535,7,view,100,"]))
    assert found[0] == BadLine(2, reason)
    assert len(found) == 2
