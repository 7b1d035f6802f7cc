import pytest

from models.recordings.record import BadLine, Recorded
from models.recordings.rees46 import read

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
START_MS = 1_569_888_000_000  # 2019-10-01 00:00:00 UTC


def row(
    second: int,
    event: str,
    item: int = 20,
    price: str = "35.79",
    user: int = 5,
    session: str = "s-5",
    category: str = "2103",
) -> str:
    return f"2019-10-01 00:00:{second:02} UTC,{event},{item},{category},a.b,acme,{price},{user},{session}"


def test_each_event_type_becomes_its_kind_and_purchases_of_a_second_one_order() -> None:
    lines = [
        HEADER,
        row(0, "view"),
        row(1, "cart"),
        row(2, "purchase", item=20),
        row(2, "purchase", item=30, user=6, session="s-6"),
        row(2, "view", item=22),
        row(2, "purchase", item=21, price="4", category="2104"),
        row(3, "purchase", item=21),
    ]
    at_2 = START_MS + 2000
    assert list(read(lines)) == [
        Recorded(
            "browse",
            {
                "event_id": "2",
                "session_id": "s-5",
                "user_id": "5",
                "item_id": "20",
                "category": "2103",
                "time": START_MS,
                "price": 35.79,
            },
            START_MS,
        ),
        Recorded(
            "add-to-cart",
            {
                "event_id": "3",
                "session_id": "s-5",
                "user_id": "5",
                "item_id": "20",
                "category": "2103",
                "time": START_MS + 1000,
                "price": 35.79,
                "action": "add",
            },
            START_MS + 1000,
        ),
        Recorded(
            "orders",
            {
                "event_id": "4",
                "session_id": "s-5",
                "user_id": "5",
                "order_id": "s-5-4",
                "time": at_2,
                "lines": [
                    {"item_id": "20", "category": "2103", "quantity": 1, "price": 35.79},
                    {"item_id": "21", "category": "2104", "quantity": 1, "price": 4.0},
                ],
            },
            at_2,
        ),
        Recorded(
            "orders",
            {
                "event_id": "5",
                "session_id": "s-6",
                "user_id": "6",
                "order_id": "s-6-5",
                "time": at_2,
                "lines": [{"item_id": "30", "category": "2103", "quantity": 1, "price": 35.79}],
            },
            at_2,
        ),
        Recorded(
            "browse",
            {
                "event_id": "6",
                "session_id": "s-5",
                "user_id": "5",
                "item_id": "22",
                "category": "2103",
                "time": at_2,
                "price": 35.79,
            },
            at_2,
        ),
        Recorded(
            "orders",
            {
                "event_id": "8",
                "session_id": "s-5",
                "user_id": "5",
                "order_id": "s-5-8",
                "time": START_MS + 3000,
                "lines": [{"item_id": "21", "category": "2103", "quantity": 1, "price": 35.79}],
            },
            START_MS + 3000,
        ),
    ]


def test_events_come_as_soon_as_their_second_is_over() -> None:
    taken = []

    def lines() -> object:
        for line in (HEADER, row(0, "view"), row(1, "view"), row(2, "view")):
            taken.append(line)
            yield line

    next(iter(read(lines())))  # type: ignore[arg-type]
    assert len(taken) == 3


def test_a_price_that_was_not_recorded_is_absent() -> None:
    view, order = read([HEADER, row(0, "view", price=""), row(0, "purchase", price="")])
    assert isinstance(view, Recorded)
    assert isinstance(order, Recorded)
    assert "price" not in view.event
    assert order.event["lines"] == [{"item_id": "20", "category": "2103", "quantity": 1}]


def test_a_category_that_was_not_recorded_is_absent() -> None:
    view, order = read([HEADER, row(0, "view", category=""), row(0, "purchase", category="")])
    assert isinstance(view, Recorded)
    assert isinstance(order, Recorded)
    assert "category" not in view.event
    assert order.event["lines"] == [{"item_id": "20", "quantity": 1, "price": 35.79}]


def test_without_a_header_only_the_first_line_is_bad() -> None:
    found = list(read([row(0, "view"), row(1, "view")]))
    assert found[0] == BadLine(1, "no-header")
    assert [each.event["event_id"] for each in found if isinstance(each, Recorded)] == ["2"]


def test_the_second_reading_repeats_the_first() -> None:
    lines = [HEADER, row(0, "view"), row(0, "purchase"), row(0, "purchase", item=21)]
    assert list(read(lines)) == list(read(line + "\n" for line in lines))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "empty-line"),
        (row(0, "view") + ",more", "wrong-columns"),
        ("2019-10-01,view,20", "wrong-columns"),
        (row(0, "view").replace(" UTC", ""), "bad-time"),
        (row(0, "view").replace("10-01", "13-01"), "bad-time"),
        (row(0, "view").replace("00:00:00 UTC", "00:00:00 CET"), "bad-time"),
        (row(0, "view", session=""), "bad-id"),
        (row(0, "view").replace(",20,", ",twenty,"), "bad-id"),
        (row(0, "view").replace(",5,", ",,"), "bad-id"),
        (row(0, "view", price="free"), "bad-price"),
        (row(0, "view", price="-1"), "bad-price"),
        (row(0, "view", price="nan"), "bad-price"),
        (row(0, "view", price="inf"), "bad-price"),
        (row(0, "remove_from_cart"), "unknown-event"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(line: str, reason: str) -> None:
    found = list(read([HEADER, line, row(1, "view")]))
    assert [each for each in found if isinstance(each, BadLine)] == [BadLine(2, reason)]
    assert [each.event["event_id"] for each in found if isinstance(each, Recorded)] == ["3"]
