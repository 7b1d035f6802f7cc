"""The readers against the publishers' own files, counted a second time with csv and Counter.

`recorded_file` says where the files are looked for.
"""

import csv
import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest
from recorded_file import recorded_lines

from models.parameters import DEFAULTS
from models.recordings.formats import read_events
from models.recordings.record import BadLines, Recorded
from models.records import TIME_MAX_MS, accept

FILES = {
    "taobao": "taobao/user_behavior.csv.gz",
    "rees46": "rees46/2019-Oct.head.csv.gz",
    "retailrocket": "retailrocket/events.csv.gz",
    "otto": "otto/train.jsonl.gz",
    "rsc15": "rsc15/train_full.tsv.gz",
}


def text_of(name: str) -> list[str]:
    return recorded_lines(FILES[name])


def events_of(name: str) -> list[Recorded]:
    bad_lines = BadLines()
    events = list(read_events(text_of(name), name, bad_lines))
    assert bad_lines.total == 0
    return events


def kinds(events: list[Recorded]) -> dict[str, int]:
    return dict(Counter(each.kind for each in events))


def items(events: list[Recorded], kind: str) -> Counter[str]:
    """Count the items of a kind's events, order lines each by itself."""
    if kind == "orders":
        return Counter(line["item_id"] for each in events if each.kind == kind for line in each.event["lines"])
    return Counter(each.event["item_id"] for each in events if each.kind == kind)


@pytest.mark.parametrize("name", FILES)
def test_events_are_in_time_order_unique_and_acceptable(name: str) -> None:
    events = events_of(name)
    assert all(one.time_ms <= next_.time_ms for one, next_ in pairwise(events))
    assert len({(each.event["session_id"], each.event["event_id"]) for each in events}) == len(events)
    orders = [each.event["order_id"] for each in events if each.kind == "orders"]
    assert len(set(orders)) == len(orders)
    for kind, event, time_ms in events:
        assert accept(kind, json.dumps(event).encode(), TIME_MAX_MS, DEFAULTS).time == time_ms


@pytest.mark.parametrize("name", FILES)
def test_a_second_reading_repeats_the_first(name: str) -> None:
    assert events_of(name) == events_of(name)


def test_no_row_of_taobao_is_lost() -> None:
    rows = list(csv.reader(text_of("taobao")))
    orders = Counter((user, second) for user, _, _, behaviour, second in rows if behaviour == "buy")
    rows_in_orders = orders.total()
    events = events_of("taobao")
    assert kinds(events) == {"browse": 92_454, "add-to-cart": 5_446, "orders": len(orders)}
    assert len(rows) == len(events) + rows_in_orders - len(orders) == 100_001
    assert items(events, "browse") == Counter(row[1] for row in rows if row[3] in ("pv", "fav"))
    assert items(events, "add-to-cart") == Counter(row[1] for row in rows if row[3] == "cart")
    assert items(events, "orders") == Counter(row[1] for row in rows if row[3] == "buy")


def test_categories_of_taobao_are_those_of_the_rows() -> None:
    rows = csv.reader(text_of("taobao"))
    expected = Counter((item, category) for _, item, category, behaviour, _ in rows if behaviour == "buy")
    bought = [line for each in events_of("taobao") if each.kind == "orders" for line in each.event["lines"]]
    assert Counter((line["item_id"], line["category"]) for line in bought) == expected


def test_sessions_of_taobao_are_as_many_as_gaps() -> None:
    times: dict[str, list[int]] = {}
    for user, _, _, _, second in csv.reader(text_of("taobao")):
        times.setdefault(user, []).append(int(second))
    expected = sum(
        1 + sum(later - earlier > 1800 for earlier, later in pairwise(sorted(seconds))) for seconds in times.values()
    )
    assert len({each.event["session_id"] for each in events_of("taobao")}) == expected


def test_no_row_of_rees46_is_lost() -> None:
    rows = list(csv.DictReader(text_of("rees46")))
    events = events_of("rees46")
    orders = {(row["user_session"], row["event_time"]) for row in rows if row["event_type"] == "purchase"}
    assert kinds(events) == {"browse": 17_055, "add-to-cart": 165, "orders": len(orders)}
    for event_type, kind in (("view", "browse"), ("cart", "add-to-cart"), ("purchase", "orders")):
        assert items(events, kind) == Counter(row["product_id"] for row in rows if row["event_type"] == event_type)
    paid = sum(line.get("price", 0) for each in events if each.kind == "orders" for line in each.event["lines"])
    assert paid == pytest.approx(sum(float(row["price"]) for row in rows if row["event_type"] == "purchase"))
    assert {each.event["session_id"] for each in events} == {row["user_session"] for row in rows}


def test_every_category_of_rees46_is_the_product_s() -> None:
    categories = {row["product_id"]: row["category_id"] for row in csv.DictReader(text_of("rees46"))}
    for kind, event, _ in events_of("rees46"):
        for each in event["lines"] if kind == "orders" else [event]:
            assert each["category"] == categories[each["item_id"]]


def test_no_row_of_retailrocket_is_lost() -> None:
    rows = list(csv.DictReader(text_of("retailrocket")))
    events = events_of("retailrocket")
    orders = {(row["visitorid"], row["transactionid"]) for row in rows if row["event"] == "transaction"}
    assert kinds(events) == {"browse": 9_076, "add-to-cart": 263, "orders": len(orders)}
    for event, kind in (("view", "browse"), ("addtocart", "add-to-cart"), ("transaction", "orders")):
        assert items(events, kind) == Counter(row["itemid"] for row in rows if row["event"] == event)


def test_no_event_of_otto_is_lost() -> None:
    sessions = [json.loads(line) for line in text_of("otto")]
    rows = [(session["session"], each) for session in sessions for each in session["events"]]
    events = events_of("otto")
    orders = {(session, each["ts"]) for session, each in rows if each["type"] == "orders"}
    assert kinds(events) == {"browse": 800, "add-to-cart": 52, "orders": len(orders)}
    for type_, kind in (("clicks", "browse"), ("carts", "add-to-cart"), ("orders", "orders")):
        assert items(events, kind) == Counter(str(each["aid"]) for _, each in rows if each["type"] == type_)


def test_no_row_of_rsc15_is_lost() -> None:
    rows = list(csv.DictReader(text_of("rsc15"), delimiter="\t"))
    events = events_of("rsc15")
    assert kinds(events) == {"browse": 70_278}
    assert Counter((each.event["session_id"], each.event["item_id"]) for each in events) == Counter(
        (row["SessionId"], row["ItemId"]) for row in rows
    )
    assert sum(each.time_ms for each in events) == round(sum(Decimal(row["Time"]) for row in rows) * 1000)
