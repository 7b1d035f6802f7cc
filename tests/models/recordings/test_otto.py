import pytest

from models.recordings.otto import read
from models.recordings.record import BadLine, Recorded

LINE = (
    '{"session":7,"events":['
    '{"aid":100,"ts":1659304800025,"type":"clicks"},'
    '{"aid":101,"ts":1659304800026,"type":"carts"},'
    '{"aid":101,"ts":1659304800030,"type":"orders"},'
    '{"aid":102,"ts":1659304800030,"type":"orders"},'
    '{"aid":103,"ts":1659304800031,"type":"orders"}]}'
)


def test_each_type_becomes_its_kind_and_orders_of_a_millisecond_one_order() -> None:
    assert list(read([LINE])) == [
        Recorded(
            "browse",
            {"event_id": "1-1", "session_id": "7", "item_id": "100", "time": 1659304800025},
            1659304800025,
        ),
        Recorded(
            "add-to-cart",
            {"event_id": "1-2", "session_id": "7", "item_id": "101", "time": 1659304800026, "action": "add"},
            1659304800026,
        ),
        Recorded(
            "orders",
            {
                "event_id": "1-3",
                "session_id": "7",
                "order_id": "7-1659304800030",
                "time": 1659304800030,
                "lines": [{"item_id": "101", "quantity": 1}, {"item_id": "102", "quantity": 1}],
            },
            1659304800030,
        ),
        Recorded(
            "orders",
            {
                "event_id": "1-5",
                "session_id": "7",
                "order_id": "7-1659304800031",
                "time": 1659304800031,
                "lines": [{"item_id": "103", "quantity": 1}],
            },
            1659304800031,
        ),
    ]


def test_a_session_without_events_is_no_event() -> None:
    assert list(read(['{"session":7,"events":[]}'])) == []


def test_the_second_reading_repeats_the_first() -> None:
    assert list(read([LINE])) == list(read([LINE + "\n"]))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("\n", "empty-line"),
        ("session,events", "not-json"),
        ('{"session":7,"events":[', "not-json"),
        ('{"session":7}', "wrong-shape"),
        ("[]", "wrong-shape"),
        (LINE.replace('"clicks"', '"views"'), "wrong-shape"),
        (LINE.replace("1659304800025", "1659304800"), "wrong-shape"),
        (LINE.replace('"aid":100', '"aid":"x"'), "wrong-shape"),
        (LINE.replace('"session":7', '"session":-7'), "wrong-shape"),
    ],
)
def test_one_wrong_event_makes_the_line_a_bad_one(line: str, reason: str) -> None:
    found = list(read([line, LINE]))
    assert found[0] == BadLine(1, reason)
    assert len(found) == 5
