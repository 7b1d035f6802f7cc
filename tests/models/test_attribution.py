"""An event accepts the latest suggestion of its items within the window, one outcome a stage."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.attribution import STAGES, Outcome, judge
from models.parameters import DEFAULTS
from models.records import CLEAR, REMOVE, Event, Kind, Line
from models.session import Offer, Session

WINDOW = 1_000
PARAMETERS = replace(DEFAULTS, attribution_window_ms=WINDOW)
OFFERED_AT = 10_000


def session(*offers: Offer) -> Session:
    return Session(OFFERED_AT, OFFERED_AT, offers=list(offers))


def offer(suggestion_id: str, *items: str, time: int = OFFERED_AT, moment: str = "browse") -> Offer:
    return Offer(suggestion_id, time, moment, items)


def event(*items: str, kind: Kind = "browse", time: int = OFFERED_AT + 500, suggestion_id: str | None = None) -> Event:
    return Event(kind, "e", "s", time, "cart", tuple(Line(item) for item in items), suggestion_id=suggestion_id)


def judged(outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    return [(outcome.suggestion_id, outcome.item_id, outcome.stage) for outcome in outcomes]


# -- what an outcome says


def test_an_outcome_says_what_was_accepted_where_and_how_long_after() -> None:
    shown = session(offer("x", "cup", "pot", moment="cart"))
    bought = Event(
        "orders", "e", "s", 10_750, "order", (Line("pot", 3, 2.5),), order_id="o", currency="EUR"
    )  # fmt: skip
    (outcome,) = judge(shown, bought, PARAMETERS)
    assert outcome == Outcome(
        outcome_id=outcome.outcome_id,
        suggestion_id="x",
        session_id="s",
        item_id="pot",
        rank=2,
        stage="ordered",
        moment="cart",
        time=10_750,
        seconds_since=0.75,
        value=7.5,
        currency="EUR",
        is_first=True,
    )


def test_the_value_is_a_round_amount_and_null_without_a_price() -> None:
    bought = Event("orders", "e", "s", OFFERED_AT, "order", (Line("cup", 3, 0.1), Line("pot")), order_id="o")
    # 3 · 0.1 is 0.30000000000000004 in floats
    assert [o.value for o in judge(session(offer("x", "cup", "pot")), bought, PARAMETERS)] == [0.3, None]


def test_the_outcome_id_depends_on_suggestion_item_and_stage_alone() -> None:
    def ids(suggestion_id: str, item: str, kind: Kind, time: int) -> str:
        return judge(session(offer(suggestion_id, item)), event(item, kind=kind, time=time), PARAMETERS)[0].outcome_id

    first = ids("x", "cup", "browse", OFFERED_AT)
    assert first == ids("x", "cup", "browse", OFFERED_AT + 5)
    assert len(first) == 32
    others = [
        ids("y", "cup", "browse", OFFERED_AT),
        ids("x", "pot", "browse", OFFERED_AT),
        ids("x", "cup", "orders", OFFERED_AT),
    ]
    assert len({first, *others}) == 4


@pytest.mark.parametrize(("kind", "stage"), [("browse", "viewed"), ("add-to-cart", "added"), ("orders", "ordered")])
def test_the_kind_of_the_event_is_the_stage(kind: Kind, stage: str) -> None:
    assert judged(judge(session(offer("x", "cup")), event("cup", kind=kind), PARAMETERS)) == [("x", "cup", stage)]


# -- the window


@pytest.mark.parametrize(
    ("delay", "expected"),
    [(-1, []), (0, [0.0]), (1, [0.001]), (WINDOW - 1, [0.999]), (WINDOW, [1.0]), (WINDOW + 1, [])],
)
def test_a_suggestion_can_be_accepted_from_its_own_millisecond_to_the_end_of_the_window(
    delay: int, expected: list[float]
) -> None:
    outcomes = judge(session(offer("x", "cup")), event("cup", time=OFFERED_AT + delay), PARAMETERS)
    assert [outcome.seconds_since for outcome in outcomes] == expected


def test_the_default_window_is_thirty_minutes() -> None:
    for delay_ms, count in ((1_800_000, 1), (1_800_001, 0)):
        outcomes = judge(session(offer("x", "cup")), event("cup", time=OFFERED_AT + delay_ms), DEFAULTS)
        assert len(outcomes) == count


def test_what_is_out_of_the_window_is_not_marked_as_judged() -> None:
    shown = session(offer("x", "cup"))
    judge(shown, event("cup", time=OFFERED_AT + WINDOW + 1), PARAMETERS)
    assert shown.judged == {}
    assert len(judge(shown, event("cup"), PARAMETERS)) == 1


# -- which suggestion


def test_an_item_that_was_not_offered_has_no_outcome() -> None:
    assert judge(session(offer("x", "cup")), event("pot"), PARAMETERS) == []
    assert judge(session(), event("pot"), PARAMETERS) == []


def test_the_latest_offer_of_the_item_is_accepted() -> None:
    shown = session(offer("x", "cup"), offer("y", "cup"), offer("z", "pot"))
    assert judged(judge(shown, event("cup"), PARAMETERS)) == [("y", "cup", "viewed")]


def test_the_latest_offer_is_the_last_made_whose_time_is_not_after_the_event() -> None:
    shown = session(offer("x", "cup"), offer("y", "cup", time=OFFERED_AT + 501))
    assert judged(judge(shown, event("cup"), PARAMETERS)) == [("x", "cup", "viewed")]


def test_the_suggestion_that_the_event_names_wins_over_the_latest() -> None:
    shown = session(offer("x", "cup"), offer("y", "cup"))
    assert judged(judge(shown, event("cup", suggestion_id="x"), PARAMETERS)) == [("x", "cup", "viewed")]


@pytest.mark.parametrize("named", ["unknown", "without", "expired"])
def test_a_named_suggestion_that_cannot_have_been_accepted_gives_way_to_the_latest(named: str) -> None:
    shown = session(
        offer("expired", "cup", time=OFFERED_AT - WINDOW),
        offer("x", "cup"),
        offer("y", "cup"),
        offer("without", "pot"),
    )
    assert judged(judge(shown, event("cup", suggestion_id=named), PARAMETERS)) == [("y", "cup", "viewed")]


def test_each_line_of_an_order_is_judged_by_itself() -> None:
    shown = session(offer("x", "cup"), offer("y", "pot"))
    outcomes = judge(shown, event("pot", "kettle", "cup", kind="orders"), PARAMETERS)
    assert judged(outcomes) == [("y", "pot", "ordered"), ("x", "cup", "ordered")]


# -- once a stage


def test_an_item_gives_one_outcome_a_stage() -> None:
    shown = session(offer("x", "cup"))
    stages = [
        [outcome.stage for outcome in judge(shown, event("cup", kind=kind), PARAMETERS)]
        for kind in ("browse", "browse", "add-to-cart", "add-to-cart", "orders", "orders", "browse")
    ]
    assert stages == [["viewed"], [], ["added"], [], ["ordered"], [], []]
    assert shown.judged == {"cup": 7}


def test_only_the_first_stage_of_an_item_is_first_whichever_it_is() -> None:
    shown = session(offer("x", "cup", "pot"))
    kinds: list[Kind] = ["orders", "browse", "add-to-cart"]
    assert [judge(shown, event("cup", kind=kind), PARAMETERS)[0].is_first for kind in kinds] == [True, False, False]
    assert judge(shown, event("pot"), PARAMETERS)[0].is_first


def test_a_later_offer_of_a_judged_item_gives_no_second_outcome() -> None:
    shown = session(offer("x", "cup"))
    judge(shown, event("cup"), PARAMETERS)
    shown.offers.append(offer("y", "cup"))
    assert judge(shown, event("cup"), PARAMETERS) == []


def test_an_item_that_stands_in_two_lines_gives_one_outcome() -> None:
    assert len(judge(session(offer("x", "cup")), event("cup", "cup", kind="orders"), PARAMETERS)) == 1


@pytest.mark.parametrize("action", [REMOVE, CLEAR])
def test_taking_out_of_the_cart_is_no_outcome(action: str) -> None:
    shown = session(offer("x", "cup"))
    lines = (Line("cup"),) if action == REMOVE else ()
    taken_out = Event("add-to-cart", "e", "s", OFFERED_AT, "cart", lines, action=action)
    assert judge(shown, taken_out, PARAMETERS) == []
    assert shown.judged == {}


def test_an_event_without_lines_has_no_outcome() -> None:
    assert judge(session(offer("x", "cup")), event(), PARAMETERS) == []


def test_the_stages_are_distinct_bits() -> None:
    assert sorted(STAGES.values()) == [1, 2, 4]


# -- laws

_kinds: list[Kind] = ["browse", "add-to-cart", "orders"]


@given(
    offers=st.lists(
        st.tuples(st.integers(0, 3_000), st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)),
        max_size=6,
    ),
    events=st.lists(
        st.tuples(
            st.sampled_from(_kinds),
            st.integers(0, 4_000),
            st.lists(st.sampled_from("abcd"), max_size=3),
            st.none() | st.integers(0, 6),
        ),
        max_size=12,
    ),
)
def test_outcomes_are_what_a_plain_search_finds(
    offers: list[tuple[int, list[str]]], events: list[tuple[Kind, int, list[str], int | None]]
) -> None:
    shown = session(*(offer(str(n), *items, time=time) for n, (time, items) in enumerate(offers)))
    done: set[tuple[str, str]] = set()
    for kind, time, items, named in events:
        suggestion_id = None if named is None else str(named)
        outcomes = judge(shown, event(*items, kind=kind, time=time, suggestion_id=suggestion_id), PARAMETERS)
        expected = []
        stage = {"browse": "viewed", "add-to-cart": "added", "orders": "ordered"}[kind]
        for item in items:
            valid = [n for n, (at, offered) in enumerate(offers) if item in offered and at <= time <= at + WINDOW]
            if valid and (item, stage) not in done:
                done.add((item, stage))
                number = named if named in valid else valid[-1]
                expected.append((str(number), item, stage, offers[number][1].index(item) + 1))
        assert [(o.suggestion_id, o.item_id, o.stage, o.rank) for o in outcomes] == expected


def test_judged_items_are_bounded() -> None:
    few = replace(DEFAULTS, seen_max=5)
    shown = Session(0, 0)
    for number in range(50):
        shown.offers = [Offer("x", 0, "browse", (f"i{number}",))]
        judge(shown, Event("browse", f"e{number}", "s", 0, "browse", (Line(f"i{number}"),)), few)
    assert list(shown.judged) == ["i45", "i46", "i47", "i48", "i49"]


def test_the_value_of_an_item_in_two_lines_is_that_of_both() -> None:
    lines = (Line("cup", 1, 2.0), Line("cup", 2, 2.0))
    bought = Event("orders", "e", "s", OFFERED_AT, "order", lines, order_id="o")
    (outcome,) = judge(session(offer("x", "cup")), bought, DEFAULTS)
    assert outcome.value == 6.0
