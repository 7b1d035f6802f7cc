"""What front-ends and data people read, on real Kafka: suggestions, outcomes, metrics, dead letters, /metrics."""

import base64
import json
import re

import pytest
from deployment import Deployment
from recount import differences

pytestmark = pytest.mark.kafka

_START_MS = 1_760_000_000_000
_Event = tuple[str, dict[str, object]]


def _event(kind: str, session: str, number: int, at_s: int, **fields: object) -> _Event:
    time = _START_MS + at_s * 1000
    return kind, {"event_id": f"{session}-{number}", "session_id": session, "time": time, **fields}


def _teach(deployment: Deployment) -> int:
    """Let ten shoppers look at tea and at a cup, and ten others at a mat; return the events sent."""
    sent = 0
    for number in range(10):
        session = f"teacher-{number}"
        sent += deployment.send(
            [
                _event("browse", session, 1, 0, item_id="tea"),
                _event("browse", session, 2, 5, item_id="cup"),
                _event("browse", f"other-{number}", 1, 0, item_id="mat"),
            ]
        )
    deployment.wait_for("suggestions", sent)
    deployment.logs.settle()
    return sent


def test_a_suggestion_carries_its_evidence_and_its_acceptance_is_followed_to_the_order(deployment: Deployment) -> None:
    deployment.start("one", "two")
    sent = _teach(deployment)
    sent += deployment.send([_event("browse", "shopper", 1, 100, item_id="tea")])
    suggestion = next(
        message for message in deployment.wait_for("suggestions", sent) if message["session_id"] == "shopper"
    )
    assert (suggestion["moment"], suggestion["anchor"], suggestion["reason"]) == ("browse", "tea", None)
    assert [item["item_id"] for item in suggestion["items"]] == ["cup"]
    evidence = suggestion["items"][0]["evidence"]
    assert (evidence["source"], evidence["anchor"], evidence["via"]) == ("pair", "tea", None)
    assert evidence["pair_count"] == pytest.approx(10, abs=0.01)
    # Ten of twenty sessions had both, and no other had one; the shopper's own is not counted yet.
    assert (evidence["confidence"], evidence["support"], evidence["lift"]) == pytest.approx((1, 0.5, 2), abs=0.01)
    for event in (
        _event("browse", "shopper", 2, 110, item_id="cup", suggestion_id=suggestion["suggestion_id"]),
        _event("add-to-cart", "shopper", 3, 120, item_id="cup", quantity=2, price=4.5, currency="EUR"),
        _event(
            "orders", "shopper", 4, 130, order_id="o1", currency="EUR",
            lines=[{"item_id": "cup", "quantity": 2, "price": 4.5}],
        ),
    ):  # fmt: skip
        sent += deployment.send([event])
        deployment.wait_for("suggestions", sent)
    deployment.logs.settle()
    accepted = [outcome for outcome in deployment.logs.values("acceptance") if outcome["session_id"] == "shopper"]
    outcomes = {outcome["stage"]: outcome for outcome in accepted}
    assert len(accepted) == 3
    assert {stage: outcome["seconds_since"] for stage, outcome in outcomes.items()} == {
        "viewed": 10,
        "added": 20,
        "ordered": 30,
    }
    assert (outcomes["ordered"]["value"], outcomes["ordered"]["currency"]) == (9.0, "EUR")
    assert {outcome["suggestion_id"] for outcome in accepted} == {suggestion["suggestion_id"]}
    windows = [message for message in deployment.logs.values("acceptance-metrics") if message["ordered"]]
    assert windows[-1]["revenue"] == {"EUR": 9.0}
    assert windows[-1]["acceptance_rate"] is not None
    assert differences(deployment.logs) == []


def test_a_repeated_event_and_a_repeated_order_have_no_second_effect(deployment: Deployment) -> None:
    deployment.start("one")
    order = _event("orders", "s", 1, 0, order_id="o1", lines=[{"item_id": "tea"}, {"item_id": "cup"}])
    again = _event("orders", "s", 2, 5, order_id="o1", lines=[{"item_id": "tea"}, {"item_id": "cup"}])
    browse = _event("browse", "s", 3, 9, item_id="pot")
    deployment.send([order, order, again, browse, browse])
    deployment.wait_for("suggestions", 2)
    deployment.logs.settle()
    assert [message["event_id"] for message in deployment.logs.values("suggestions")] in (
        ["s-1", "s-3"], ["s-3", "s-1"], ["s-2", "s-3"], ["s-3", "s-2"],
    )  # fmt: skip
    page = deployment.page("one", "/metrics").decode()
    assert re.search(r'sidecart_duplicates_total\{type="orders"\} 2.0', page)
    assert re.search(r'sidecart_duplicates_total\{type="browse"\} 1.0', page)
    assert differences(deployment.logs) == []


def test_bad_input_goes_to_the_dead_letters_whole_and_nothing_stops(deployment: Deployment) -> None:
    deployment.start("one")
    good = json.dumps(_event("browse", "s", 1, 0, item_id="tea")[1]).encode()
    bad: list[tuple[str, bytes | None, bytes | None, str]] = [
        ("browse", b"k", b"\xff\x00 not json", "invalid-json"),
        ("browse", None, b"", "empty-message"),
        ("browse", b"k", None, "empty-message"),
        ("browse", b"k", b"[1, 2]", "invalid-field"),
        ("browse", b"k", good.replace(b'"item_id": "tea"', b'"item_id": ""'), "invalid-field"),
        ("add-to-cart", b"k", good.replace(b"item_id", b"item"), "missing-field"),
        ("add-to-cart", b"k", good[:-1] + b', "action": "steal"}', "invalid-field"),
        ("orders", b"k", good, "missing-field"),
        ("browse", b"k", good.replace(b"1760000000000", b"1760000000"), "invalid-time"),
        ("browse", b"k", good.replace(b"1760000000000", b"4000000000000"), "future-time"),
        ("browse", b"k", good[:-1] + b', "x": "' + b"y" * 300_000 + b'"}', "too-large"),
    ]
    deployment.send_raw((kind, key, value, 1) for kind, key, value, _ in bad)
    deployment.send_raw([("browse", b"k", good, 1)])
    deployment.wait_for("suggestions", 1)
    letters = deployment.wait_for("dead-letters", len(bad))
    table = {letter["offset"]: letter for letter in letters if letter["topic"].endswith("browse")}
    browse = [(key, value, reason) for kind, key, value, reason in bad if kind == "browse"]
    for offset, (key, value, reason) in enumerate(browse):
        letter = table[offset]
        assert (letter["reason"], letter["partition"]) == (reason, 1)
        assert (letter["key"] and base64.b64decode(letter["key"])) == key
        assert (base64.b64decode(letter["value"]) if letter["value"] is not None else None) == value
        assert letter["detail"]
    page = deployment.page("one", "/metrics").decode()
    assert re.search(r'sidecart_rejected_total\{reason="empty-message"\} 2.0', page)
    deployment.logs.settle()
    assert differences(deployment.logs) == []


def test_an_orders_effect_is_in_the_next_sessions_suggestion_and_its_freshness_is_exported(
    deployment: Deployment,
) -> None:
    deployment.start("one", "two")
    # One order proves that its items go together where few of all sessions have them.
    others = deployment.send(_event("browse", f"other-{number}", 1, 0, item_id="mat") for number in range(10))
    deployment.wait_for("suggestions", others)
    deployment.logs.settle()
    for number in range(5):
        lines = [{"item_id": f"tea-{number}"}, {"item_id": f"cup-{number}"}]
        deployment.send([_event("orders", f"buyer-{number}", 1, number, order_id=f"o{number}", lines=lines)])
        deployment.wait_for("suggestions", others + 2 * number + 1)
        # The mat, all sessions, and of each order two: every worker's replica has this one.
        deployment.wait_for_metric("sidecart_replica_rows", at_least=2 + 2 * (number + 1))
        deployment.send([_event("browse", f"next-{number}", 1, number + 1, item_id=f"tea-{number}")])
        suggestions = deployment.wait_for("suggestions", others + 2 * number + 2)
        mine = next(message for message in suggestions if message["session_id"] == f"next-{number}")
        assert [item["item_id"] for item in mine["items"]] == [f"cup-{number}"]
    deployment.wait_for_metric("sidecart_freshness_seconds_count", at_least=5)


def test_metrics_live_and_ready_are_served(deployment: Deployment) -> None:
    deployment.start("one")
    deployment.send([_event("browse", "s", 1, 0, item_id="tea")])
    deployment.wait_for("suggestions", 1)
    assert json.loads(deployment.page("one", "/live")) == {"live": True}
    ready = json.loads(deployment.page("one", "/ready"))
    assert (ready["ready"], ready["missing"], ready["recovery"]) == (True, [], None)
    assert ready["partitions"] == list(range(deployment.logs.info.partitions))
    page = deployment.page("one", "/metrics").decode()
    for name in (
        'events_total{type="browse"} 1.0',
        'suggestions_total{moment="browse"} 1.0',
        'suggestions_empty_total{reason="unknown-item"} 1.0',
        "suggestion_seconds_count",
        "consumer_lag_records",
        "table_rows",
        "replica_rows",
        "replica_lag_records",
        "recovering 0.0",
        "build_info",
    ):
        assert f"sidecart_{name}" in page
