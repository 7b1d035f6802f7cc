"""The simulated shop repeats, keeps a shop's rules, plants its complements and reacts to offers."""

import json
from collections import Counter
from itertools import combinations
from random import Random

import pytest

from models.errors import ConfigurationError
from models.parameters import DEFAULTS
from models.records import Kind, accept
from models.simulated_catalogue import KITS, POPULAR, PRICES, complements_of
from models.simulated_visit import Act, feasible, plan_visit
from models.simulation import RATE_MAX, InputEvent, Offer, Shop

START_MS = 1_767_607_200_000
MINUTE_MS = 60_000

Happened = list[tuple[Kind, InputEvent]]


def run(shop: Shop, duration_ms: int, step_ms: int = 1000, offering: bool = False) -> Happened:
    """Run a shop; when offering, show every session a complement of each item it touches."""
    happened: Happened = []
    for now_ms in range(START_MS, START_MS + duration_ms + 1, step_ms):
        for kind, event in shop.step(now_ms):
            happened.append((kind, event))
            item = event.get("item_id")
            if offering and isinstance(item, str) and shop.complements[item]:
                shop.offer(offer_of(event, sorted(shop.complements[item])))
    return happened


def offer_of(event: InputEvent, items: list[str]) -> Offer:
    return {
        "suggestion_id": f"for-{event['event_id']}",
        "session_id": str(event["session_id"]),
        "items": [{"item_id": item} for item in items],
    }


def acts_on_offers(happened: Happened) -> Happened:
    return [(kind, event) for kind, event in happened if "suggestion_id" in event]


def test_same_seed_and_same_offers_repeat_exactly() -> None:
    first = run(Shop(seed=3), MINUTE_MS, offering=True)
    assert first == run(Shop(seed=3), MINUTE_MS, offering=True)
    assert acts_on_offers(first)


def test_another_seed_gives_another_run() -> None:
    assert run(Shop(seed=3), MINUTE_MS) != run(Shop(seed=4), MINUTE_MS)


def test_without_offers_the_cut_into_steps_does_not_matter() -> None:
    assert run(Shop(seed=3), MINUTE_MS, step_ms=10) == run(Shop(seed=3), MINUTE_MS, step_ms=20_000)


def test_first_step_only_sets_the_clock() -> None:
    assert Shop().step(START_MS) == []


def test_every_event_is_accepted_at_the_door() -> None:
    happened = run(Shop(), 2 * MINUTE_MS, offering=True)
    for kind, event in happened:
        accepted = accept(kind, json.dumps(event).encode(), START_MS + 2 * MINUTE_MS, DEFAULTS)
        assert accepted.time == event["time"]
        assert all(line.price == PRICES[line.item_id] for line in accepted.lines)
    assert {event.get("action") for kind, event in happened if kind == "add-to-cart"} == {"add", "remove", "clear"}
    assert {kind for kind, _ in happened} == {"browse", "add-to-cart", "orders"}


def test_events_have_unique_ids_and_times_in_order_within_the_run() -> None:
    happened = run(Shop(), 5 * MINUTE_MS, offering=True)
    ids = [event["event_id"] for _, event in happened]
    assert len(set(ids)) == len(ids)
    orders = [event["order_id"] for kind, event in happened if kind == "orders"]
    assert len(set(orders)) == len(orders)
    times = [int(str(event["time"])) for _, event in happened]
    assert times == sorted(times)
    assert times[0] >= START_MS and times[-1] <= START_MS + 5 * MINUTE_MS


@pytest.mark.parametrize("rate", [5, 40, 200])
def test_rate_is_respected(rate: float) -> None:
    # A Poisson count: five standard deviations, once and for a fixed seed.
    expected = rate * 60
    assert abs(len(run(Shop(rate=rate), MINUTE_MS)) - expected) < 5 * expected**0.5


@pytest.mark.parametrize("rate", [0, -1, RATE_MAX + 1])
def test_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="out of range"):
        Shop(rate=rate)


@pytest.mark.parametrize("offering", [False, True])
def test_carts_hold_what_is_removed_cleared_and_ordered(offering: bool) -> None:
    carts: dict[object, Counter[str]] = {}
    for kind, event in run(Shop(seed=5), 10 * MINUTE_MS, offering=offering):
        cart = carts.setdefault(event["session_id"], Counter())
        if kind == "orders":
            lines = event["lines"]
            assert isinstance(lines, list) and lines
            assert {line["item_id"]: line["quantity"] for line in lines} == dict(cart)
            cart.clear()
        elif event.get("action") == "clear":
            assert cart
            cart.clear()
        elif kind == "add-to-cart":
            item, pieces = str(event["item_id"]), int(str(event["quantity"]))
            if event["action"] == "add":
                cart[item] += pieces
            else:
                assert cart.pop(item) == pieces


def test_sessions_run_side_by_side() -> None:
    sessions = [event["session_id"] for _, event in run(Shop(), MINUTE_MS)]
    assert len(set(sessions[:80])) > 40


def test_planted_complements_are_seen_together_more_than_other_pairs() -> None:
    shop = Shop(seed=2)
    seen: dict[object, set[str]] = {}
    for kind, event in run(shop, 10 * MINUTE_MS):
        if kind == "browse":
            seen.setdefault(event["session_id"], set()).add(str(event["item_id"]))
    together = Counter(pair for items in seen.values() for pair in combinations(sorted(items), 2))
    planted = {pair for pair in combinations(sorted(PRICES), 2) if pair[1] in shop.complements[pair[0]]}
    others = len(PRICES) * (len(PRICES) - 1) // 2 - len(planted)
    inside = sum(together[pair] for pair in planted) / len(planted)
    outside = sum(count for pair, count in together.items() if pair not in planted) / others
    assert inside > 20 * outside
    assert min(together[pair] for pair in planted) > 0


def test_offers_of_complements_raise_acts() -> None:
    assert acts_on_offers(run(Shop(), 2 * MINUTE_MS)) == []
    kinds = Counter(kind for kind, _ in acts_on_offers(run(Shop(), 2 * MINUTE_MS, offering=True)))
    assert kinds["browse"] > 100
    assert kinds["add-to-cart"] > 100


def test_only_what_was_offered_to_the_session_is_acted_on() -> None:
    shop = Shop()
    offered: dict[object, tuple[object, object]] = {}
    for now_ms in range(START_MS, START_MS + MINUTE_MS, 100):
        for _, event in shop.step(now_ms):
            if "suggestion_id" in event:
                assert offered[event["suggestion_id"]] == (event["session_id"], event["item_id"])
            offered[f"for-{event['event_id']}"] = (event["session_id"], "coffee-grinder")
            shop.offer(offer_of(event, ["coffee-grinder"]))
    assert offered


def test_irrelevant_offers_are_mostly_passed_over() -> None:
    def acted(item: str) -> int:
        shop, count = Shop(seed=9), 0
        for now_ms in range(START_MS, START_MS + 2 * MINUTE_MS, 100):
            for _, event in shop.step(now_ms):
                count += "suggestion_id" in event
                shown = shop.complements.get(str(event.get("item_id")), frozenset())
                shop.offer(offer_of(event, sorted(shown) if item == "complement" else [item]))
        return count

    assert acted("complement") > 5 * acted("gift-card")


def test_empty_offers_offers_to_strangers_and_unknown_items_change_nothing() -> None:
    plain, offered = Shop(), Shop()
    happened: Happened = []
    for now_ms in range(START_MS, START_MS + MINUTE_MS, 1000):
        events = offered.step(now_ms)
        happened += events
        for _, event in events:
            offered.offer(offer_of(event, []))
            offered.offer(offer_of(event | {"session_id": "nobody"}, ["coffee-grinder"]))
            offered.offer(offer_of(event, ["no-such-item"]))
    assert happened == run(plain, MINUTE_MS - 1000)


def test_infeasible_acts_are_left_out() -> None:
    plan = [Act("order"), Act("remove", "tea"), Act("add", "tea"), Act("remove", "tea"), Act("clear"), Act("order")]
    assert feasible(plan, cart=()) == [Act("add", "tea"), Act("remove", "tea")]
    assert feasible(plan, cart=("wok",)) == [Act("order"), *plan[2:5]]
    assert feasible(plan, cart=("tea",)) == [Act("order"), *plan[1:4]]


def test_visits_start_with_a_browse() -> None:
    random = Random(1)
    assert {plan_visit(random)[0].kind for _ in range(500)} == {"browse"}


def test_catalogue_plants_two_to_four_known_complements_for_each_anchor() -> None:
    assert 100 <= len(PRICES) <= 150
    assert 20 <= len(KITS) <= 30
    for anchor, complements in KITS.items():
        assert 2 <= len(set(complements)) == len(complements) <= 4
        assert anchor not in complements
        assert {anchor, *complements} <= PRICES.keys()
        assert not {anchor, *complements} & set(POPULAR)


def test_complements_are_mutual() -> None:
    complements = complements_of()
    assert all(item in complements[other] for item, others in complements.items() for other in others)


def test_chance_share_is_the_share_of_planted_among_all_ordered_pairs() -> None:
    # By hand: a kit of k items plants k (k - 1) ordered pairs; coffee-beans-1kg with descaler is planted twice.
    pairs = sum((len(kit) + 1) * len(kit) for kit in KITS.values()) - 2
    assert Shop().chance_share == pytest.approx(pairs / (len(PRICES) * (len(PRICES) - 1)))
