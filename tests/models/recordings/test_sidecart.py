import json

import pytest

from models.recordings.record import BadLine, Recorded
from models.recordings.sidecart import read

VIEW = {"event_id": "e1", "session_id": "s1", "item_id": "tent", "time": 1511544070000}
ORDER = {"event_id": "e2", "session_id": "s1", "order_id": "o1", "time": 1511544080000, "lines": [{"item_id": "tent"}]}


def line(topic: object, event: object) -> str:
    return json.dumps({"topic": topic, "event": event})


def without(field: str) -> dict[str, object]:
    return {key: value for key, value in VIEW.items() if key != field}


def test_messages_pass_unchanged() -> None:
    clear = {"event_id": "e3", "session_id": "s1", "action": "clear", "time": "2017-11-24T17:21:10.250+00:00"}
    more = VIEW | {"currency": "EUR", "page": {"of": "the shop's own"}}
    assert list(read([line("browse", more), line("orders", ORDER), line("add-to-cart", clear)])) == [
        Recorded("browse", more, 1511544070000),  # type: ignore[arg-type]
        Recorded("orders", ORDER, 1511544080000),  # type: ignore[arg-type]
        Recorded("add-to-cart", clear, 1511544070250),  # type: ignore[arg-type]
    ]


def test_a_category_is_passed_on() -> None:
    view = VIEW | {"category": "shelter"}
    order = ORDER | {"lines": [{"item_id": "tent", "category": "shelter"}]}
    found = [each for each in read([line("browse", view), line("orders", order)]) if isinstance(each, Recorded)]
    assert found[0].event["category"] == found[1].event["lines"][0]["category"] == "shelter"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty-line"),
        ("browse", "not-json"),
        ('{"topic": "browse", "event": {', "not-json"),
        ('{"topic": "browse", "event": ' + "[" * 100_000, "not-json"),
        ("[]", "wrong-shape"),
        (json.dumps({"topic": "browse"}), "wrong-shape"),
        (line("suggestions", VIEW), "wrong-shape"),
        (line("browse", None), "invalid-field"),
        (line("browse", without("time")), "missing-field"),
        (line("browse", without("session_id")), "missing-field"),
        (line("browse", without("event_id")), "missing-field"),
        (line("browse", VIEW | {"time": "2017-11-24T17:21:10"}), "invalid-time"),
        (line("browse", VIEW | {"time": 1511544070}), "invalid-time"),
        (line("orders", VIEW), "missing-field"),
    ],
)
def test_what_sidecart_would_not_accept_is_a_bad_line(text: str, reason: str) -> None:
    assert list(read([text, line("browse", VIEW)])) == [
        BadLine(1, reason),
        Recorded("browse", VIEW, 1511544070000),  # type: ignore[arg-type]
    ]
