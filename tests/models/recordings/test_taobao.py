import pytest

from models.recordings.record import BadLine, Recorded
from models.recordings.taobao import read

FILE = """\
1,20,300,pv,1511544070
1,21,300,fav,1511544080
1,21,300,cart,1511544080
1,21,300,buy,1511544090
1,22,301,buy,1511544090
2,20,300,buy,1511544090
1,23,301,buy,1511544091
"""


def test_each_behaviour_becomes_its_kind_and_buys_of_a_second_one_order() -> None:
    assert list(read(FILE.splitlines())) == [
        Recorded(
            "browse",
            {
                "event_id": "1",
                "session_id": "1-1",
                "user_id": "1",
                "item_id": "20",
                "category": "300",
                "time": 1511544070000,
            },
            1511544070000,
        ),
        Recorded(
            "browse",
            {
                "event_id": "2",
                "session_id": "1-1",
                "user_id": "1",
                "item_id": "21",
                "category": "300",
                "time": 1511544080000,
            },
            1511544080000,
        ),
        Recorded(
            "add-to-cart",
            {
                "event_id": "3",
                "session_id": "1-1",
                "user_id": "1",
                "item_id": "21",
                "category": "300",
                "time": 1511544080000,
                "action": "add",
            },
            1511544080000,
        ),
        Recorded(
            "orders",
            {
                "event_id": "4",
                "session_id": "1-1",
                "user_id": "1",
                "order_id": "1-1511544090",
                "time": 1511544090000,
                "lines": [
                    {"item_id": "21", "category": "300", "quantity": 1},
                    {"item_id": "22", "category": "301", "quantity": 1},
                ],
            },
            1511544090000,
        ),
        Recorded(
            "orders",
            {
                "event_id": "6",
                "session_id": "2-1",
                "user_id": "2",
                "order_id": "2-1511544090",
                "time": 1511544090000,
                "lines": [{"item_id": "20", "category": "300", "quantity": 1}],
            },
            1511544090000,
        ),
        Recorded(
            "orders",
            {
                "event_id": "7",
                "session_id": "1-1",
                "user_id": "1",
                "order_id": "1-1511544091",
                "time": 1511544091000,
                "lines": [{"item_id": "23", "category": "301", "quantity": 1}],
            },
            1511544091000,
        ),
    ]


def test_an_empty_category_is_none() -> None:
    view, order = read(["1,20,,pv,1511544070", "1,21,,buy,1511544071"])
    assert isinstance(view, Recorded)
    assert isinstance(order, Recorded)
    assert "category" not in view.event
    assert order.event["lines"] == [{"item_id": "21", "quantity": 1}]


def test_a_session_ends_after_more_than_thirty_minutes() -> None:
    lines = ["1,20,3,pv,1511544070", "1,20,3,pv,1511545870", "1,20,3,pv,1511547671"]
    assert [each.event["session_id"] for each in read(lines) if isinstance(each, Recorded)] == ["1-1", "1-1", "1-2"]


def test_users_one_after_the_other_come_out_in_time_order() -> None:
    lines = ["1,20,3,pv,1511544090", "2,20,3,pv,1511544070"]
    assert [each.event["user_id"] for each in read(lines) if isinstance(each, Recorded)] == ["2", "1"]


def test_the_second_reading_repeats_the_first() -> None:
    assert list(read(FILE.splitlines())) == list(read(FILE.splitlines(keepends=True)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "empty-line"),
        ("   \n", "empty-line"),
        ("1,20,300,pv", "wrong-columns"),
        ("1,20,300,pv,1511544070,x", "wrong-columns"),
        ("user,item,category,behaviour,time", "bad-time"),
        ("1,20,300,pv,noon", "bad-time"),
        ("1,20,300,pv,-1511544070", "bad-time"),
        ("1,20,300,pv,1511544070000", "bad-time"),
        (",20,300,pv,1511544070", "bad-id"),
        ("1,item,300,pv,1511544070", "bad-id"),
        ("1,20,300,wish,1511544070", "unknown-event"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str, reason: str) -> None:
    found = list(read(["1,20,300,pv,1511544070", line, "1,20,300,pv,1511544071"]))
    assert [each for each in found if isinstance(each, BadLine)] == [BadLine(2, reason)]
    assert [each.event["event_id"] for each in found if isinstance(each, Recorded)] == ["1", "3"]
