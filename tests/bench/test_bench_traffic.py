"""The traffic of the bench: the same each time, shaped like a shop's, and wholly acceptable."""

import json
from collections import Counter

import numpy as np
import pytest
from traffic import Traffic, complements, item_name, shop_traffic

from models.parameters import DEFAULTS
from models.records import MESSAGE_BYTES_MAX, accept

START_MS = 1_767_607_200_000
EVENTS = 20_000


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return shop_traffic(EVENTS, 10_000, start_ms=START_MS)


def test_the_same_arguments_give_the_same_bytes(traffic: Traffic) -> None:
    again = shop_traffic(EVENTS, 10_000, start_ms=START_MS)
    assert again.messages == traffic.messages
    assert shop_traffic(EVENTS, 10_000, start_ms=START_MS, seed=2).messages != traffic.messages


def test_it_is_as_long_as_asked_for_and_in_order_of_time(traffic: Traffic) -> None:
    assert len(traffic) == len(traffic.messages) == EVENTS
    assert (np.diff(traffic.times) >= 0).all()
    assert traffic.times[0] >= START_MS
    assert 1500 < (traffic.newest_ms - START_MS) / 1000 < 2200


def test_most_are_views_some_go_into_the_cart_and_few_are_orders(traffic: Traffic) -> None:
    browse, add, order = np.bincount(traffic.kinds) / EVENTS
    assert browse == pytest.approx(0.94, abs=0.01)
    assert add == pytest.approx(0.045, abs=0.01)
    assert order == pytest.approx(0.015, abs=0.005)


def test_messages_are_of_a_shops_size(traffic: Traffic) -> None:
    sizes = [len(message.value) for message in traffic.messages]
    assert 140 <= np.median(sizes) <= 200
    assert max(sizes) < MESSAGE_BYTES_MAX


def test_the_door_accepts_every_message(traffic: Traffic) -> None:
    events = [accept(message.kind, message.value, traffic.newest_ms, DEFAULTS) for message in traffic.messages]
    assert [event.event_id for event in events] == [traffic.event_id(number) for number in range(EVENTS)]
    assert all(
        event.session_id.encode() == message.key for event, message in zip(events, traffic.messages, strict=True)
    )


def test_sessions_are_short_with_a_long_tail(traffic: Traffic) -> None:
    lengths = list(Counter(traffic.sessions.tolist()).values())
    # The recording begins and ends within sessions.
    assert 3 < np.mean(lengths) < 6
    assert max(lengths) > 20


def test_a_few_items_are_met_most_and_complements_follow_each_other(traffic: Traffic) -> None:
    counts = np.sort(np.bincount(traffic.items))[::-1]
    assert counts[:100].sum() > 0.3 * EVENTS
    planted, last, followed, views = complements(10_000), {}, 0, 0
    for session, item in zip(traffic.sessions.tolist(), traffic.items.tolist(), strict=True):
        if session in last:
            views += 1
            followed += item in planted[last[session]]
        last[session] = item
    assert followed / views > 0.25


def test_another_label_makes_other_events_of_other_sessions(traffic: Traffic) -> None:
    other = shop_traffic(EVENTS, 10_000, start_ms=START_MS, label="other")
    assert {message.key for message in other.messages}.isdisjoint(message.key for message in traffic.messages)
    assert other.event_id(7) == "other-000000007"


def test_items_are_counted_as_the_messages_name_them(traffic: Traffic) -> None:
    expected: Counter[str] = Counter()
    for message in traffic.messages:
        event = json.loads(message.value)
        expected.update(line["item_id"] for line in event.get("lines", [event]))
    assert traffic.item_events(traffic.newest_ms) == dict(expected)
    assert {item_name(item) for item in traffic.distinct_items.tolist()} == expected.keys()


def test_counts_decay_to_the_time_asked_for() -> None:
    traffic = shop_traffic(100, 10, start_ms=START_MS)
    plain, half_life_ms = traffic.item_events(0), 1_000_000_000_000_000
    assert traffic.item_events(START_MS, half_life_ms) == pytest.approx(plain)
    halved = traffic.item_events(START_MS + half_life_ms, half_life_ms)
    assert halved == pytest.approx({item: count / 2 for item, count in plain.items()})
