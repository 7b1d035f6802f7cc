"""The fold of session events: the same effects on every replay, each once, and no item a session has already."""

import re
from collections.abc import Mapping, Set
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.attribution import Outcome
from models.cooccurrence import TOTALS, Increment, Row
from models.coverage import Chain, Packed, Span
from models.decay import epoch_of, growth
from models.errors import InvariantError
from models.evidence import Evidence
from models.hashing import hash64
from models.kpi import Tally, summed
from models.ladder import Query, SuggestedItem
from models.parameters import DEFAULTS, Parameters
from models.records import ADD, CLEAR, KINDS, REMOVE, TIME_MAX_MS, TIME_MIN_MS, Event, Kind, Line
from models.rows import PlainRows, Rows
from models.session import Offer, Session, is_forgotten
from models.shard import Shard
from models.suggesting import (
    Effects,
    EventEntry,
    SessionShard,
    Suggestion,
    advance,
    origin_partition,
    query,
    suggest,
    suggestion_id,
)

MINUTE = 60_000
GAP = DEFAULTS.session_gap_ms
RETENTION = DEFAULTS.session_retention_ms
START = 1_767_607_200_000
ITEMS = ["cup", "jug", "mat", "pan", "pot", "tea"]


def plain(rows: Mapping[str, Row]) -> PlainRows:
    result = PlainRows(DEFAULTS)
    result.update(rows)
    return result


def shop(strength: float = 1.0, items: list[str] = ITEMS) -> PlainRows:
    """A replica in which every item leads to every other, the stronger the earlier in the alphabet."""
    epoch = epoch_of(START, DEFAULTS.half_life_ms)
    rows = plain({TOTALS: Row(epoch, sessions=9e10)})
    for item in items:
        weights = {other: strength / (n + 1) for n, other in enumerate(items) if other != item}
        rows[item] = Row(epoch, sum(weights.values()), 9e9, 9e9, weights, dict.fromkeys(weights, 9e9))
    return rows


SHOP = shop()
EMPTY = plain({})


def event(
    event_id: str,
    at: int = 0,
    *items: str,
    kind: Kind = "browse",
    session: str = "s",
    action: str = ADD,
    order_id: str | None = None,
    suggestion: str | None = None,
    price: float | None = None,
    category: str | None = None,
) -> Event:
    lines = tuple(Line(item, 1, price, category) for item in items)
    moment = {"browse": "browse", "add-to-cart": "cart", "orders": "order"}[kind]
    return Event(kind, event_id, session, START + at, moment, lines, action, order_id, "EUR", suggestion)


def order(event_id: str, at: int, order_id: str, *items: str, price: float | None = None) -> Event:
    return event(event_id, at, *items, kind="orders", order_id=order_id, price=price)


class Fold:
    """Folds events one record each, and keeps all effects."""

    def __init__(self, rows: Rows = SHOP, parameters: Parameters = DEFAULTS) -> None:
        self.shard: SessionShard = Shard(0)
        self.rows = rows
        self.parameters = parameters
        self.published: dict[str, Suggestion] = {}

    def __call__(self, *events: Event) -> Effects:
        """Fold one record of these events."""
        start = self.shard.watermarks.as_dict().get("browse-0", -1)
        entries = [EventEntry(0, start + n, one.time + 5, one) for n, one in enumerate(events, start=1)]
        packed = Packed([Span("browse-0", start, start + len(events))], entries)
        return suggest(self.shard, self.shard.position, packed, self.rows, self.published, self.parameters)

    def session(self) -> Session:
        return self.shard.rows["s"]


def id_of(of: Event) -> str:
    """Return the id of the suggestion for an event ``e1``, ``e2``, …, where each was folded in its turn."""
    return suggestion_id(of, "browse-0", int(of.event_id[1:]) - 1)


def only(effects: Effects) -> Suggestion:
    ((suggestion, _, _),) = effects.suggestions
    return suggestion


def offered(effects: Effects) -> list[str]:
    return [item.item_id for item in only(effects).items]


def anchors(effects: Effects) -> list[str]:
    return [increment.anchor for _, _, increment in effects.increments]


# -- one event


def test_the_first_event_opens_a_session_counts_its_item_and_is_answered() -> None:
    effects = Fold()(event("e1", 0, "tea"))
    assert effects.verdicts == ["new"]
    assert effects.increments == [
        (START, START + 5, Increment(TOTALS, sessions=1)),
        (START, START + 5, Increment("tea", 1, 1, ())),
    ]
    ((suggestion, arrival, is_published),) = effects.suggestions
    assert (arrival, is_published) == (START + 5, False)
    assert (suggestion.event_id, suggestion.session_id, suggestion.time) == ("e1", "s", START)
    assert (suggestion.moment, suggestion.anchor, suggestion.reason) == ("browse", "tea", None)
    assert offered(effects) == ["cup", "jug", "mat", "pan"]
    assert [item.rank for item in suggestion.items] == [1, 2, 3, 4]
    assert effects.tallies == [Tally(START, "browse", suggestions=1)]
    assert (effects.outcomes, effects.duplicates) == ([], [])


def test_without_a_row_the_answer_is_empty_and_says_why() -> None:
    effects = Fold(rows=EMPTY)(event("e1", 0, "tea"))
    assert (only(effects).items, only(effects).reason, only(effects).anchor) == ((), "unknown-item", "tea")
    assert effects.tallies == [Tally(START, "browse", suggestions=1, empty=1)]


def test_a_session_that_starts_with_a_cleared_cart_has_no_item_to_start_from() -> None:
    effects = Fold()(event("e1", kind="add-to-cart", action=CLEAR))
    assert (only(effects).anchor, only(effects).reason) == (None, "no-item")
    assert anchors(effects) == [TOTALS]


def test_a_second_item_pairs_with_the_first() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    effects = fold(event("e2", MINUTE, "pot"))
    # 1 · e^-0.1 · 2^-0.25 = 0.904837 · 0.840896
    weight = pytest.approx(0.760_874, rel=1e-5)
    half = pytest.approx(0.380_437, rel=1e-5)
    assert [increment for _, _, increment in effects.increments] == [
        Increment("tea", 0, 0, (("pot", weight, 1, 0),)),
        Increment("pot", 1, 1, (("tea", half, 1, 0),)),
    ]
    assert only(effects).anchor == "pot"
    assert offered(effects) == ["cup", "jug", "mat", "pan"]


def test_an_item_that_returns_is_an_arrival_and_a_comparison_and_neither_a_session_nor_a_meeting() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    fold(event("e2", MINUTE, "pot"))
    returned = [increment for _, _, increment in fold(event("e3", 2 * MINUTE, "tea")).increments]
    # 3^-0.25 · e^-0.1 = 0.759836 · 0.904837
    assert returned == [
        Increment("pot", 0, 0, (("tea", pytest.approx(0.687_528, rel=1e-5), 0, 1),)),
        Increment("tea", 1, 0, (("pot", pytest.approx(0.343_764, rel=1e-5), 0, 1),)),
    ]


def test_the_lines_of_an_order_arrive_one_after_the_other() -> None:
    effects = Fold()(order("e1", 0, "o1", "tea", "pot"))
    assert anchors(effects) == [TOTALS, "tea", "tea", "pot"]
    assert only(effects).anchor == "pot"


@pytest.mark.parametrize("action", [REMOVE, CLEAR])
def test_taking_out_of_the_cart_counts_nothing_and_is_answered(action: str) -> None:
    fold = Fold()
    fold(event("e1", 0, "tea", kind="add-to-cart"))
    items = ["tea"] if action == REMOVE else []
    effects = fold(event("e2", 0, *items, kind="add-to-cart", action=action))
    assert effects.increments == []
    assert only(effects).anchor == "tea"
    assert (fold.session().cart, fold.session().length) == ({}, 1)


def test_the_event_itself_is_part_of_the_session_that_is_ranked() -> None:
    assert "cup" not in offered(Fold()(event("e1", 0, "cup")))


def test_the_number_of_items_is_a_parameter() -> None:
    assert offered(Fold(parameters=replace(DEFAULTS, suggestions_max=2))(event("e1", 0, "tea"))) == ["cup", "jug"]


def test_an_empty_record_moves_the_position_alone() -> None:
    shard: SessionShard = Shard(0)
    assert suggest(shard, 0, Packed([], []), SHOP, {}, DEFAULTS) == Effects()
    assert (shard.position, shard.rows) == (1, {})


# -- ids


@pytest.mark.parametrize(("kind", "digit"), [("browse", "0"), ("add-to-cart", "1"), ("orders", "2")])
def test_the_suggestion_id_names_the_input_record(kind: Kind, digit: str) -> None:
    # 1 767 607 200 000 ms are 19b8d996900 hexadecimal; 4 095 is fff.
    found = suggestion_id(event("e1", 0, "tea", kind=kind), f"{kind}-17", 4_095)
    assert found == "019b8d996900" + digit + "00011" + "00000000000fff"
    assert len(found) == 32


def test_the_suggestion_id_is_a_function_of_the_input_record_alone() -> None:
    first = suggestion_id(event("e1", 0, "tea", session="s1"), "browse-0", 7)
    assert first == suggestion_id(event("e2", 0, "pot", session="s2"), "browse-0", 7)
    assert first != suggestion_id(event("e1", 1, "tea", session="s1"), "browse-0", 7)
    assert first != suggestion_id(event("e1", 0, "tea", session="s1", kind="orders"), "orders-0", 7)
    assert first != suggestion_id(event("e1", 0, "tea", session="s1"), "browse-1", 7)
    assert first != suggestion_id(event("e1", 0, "tea", session="s1"), "browse-0", 8)


#: Any input record: kind, partition, offset, and the time of its event, as far as the door lets it in.
_records = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from([0, 1, 9, 10, 16, 99_999, 2**20 - 1]) | st.integers(0, 2**20 - 1),
    st.sampled_from([0, 1, 16, 2**56 - 1]) | st.integers(0, 2**56 - 1),
    st.sampled_from([TIME_MIN_MS, TIME_MAX_MS - 1]) | st.integers(TIME_MIN_MS, TIME_MAX_MS - 1),
)


def id_of_record(kind: Kind, partition: int, offset: int, time_ms: int) -> str:
    return suggestion_id(event("e1", time_ms - START, "tea", kind=kind), f"{kind}-{partition}", offset)


@given(_records)
def test_a_suggestion_id_is_32_digits_that_its_record_can_be_read_from(record: tuple[Kind, int, int, int]) -> None:
    kind, partition, offset, time_ms = record
    found = id_of_record(*record)
    assert re.fullmatch(r"[0-9a-f]{32}", found)
    assert [int(part, 16) for part in (found[:12], found[12], found[13:18], found[18:])] == [
        time_ms,
        KINDS.index(kind),
        partition,
        offset,
    ]


@given(one=_records, other=_records)
def test_suggestion_ids_are_equal_for_the_same_record_alone_and_stand_in_the_order_of_time(
    one: tuple[Kind, int, int, int], other: tuple[Kind, int, int, int]
) -> None:
    ids, times = (id_of_record(*one), id_of_record(*other)), (one[-1], other[-1])
    assert (ids[0] == ids[1]) == (one == other)
    if times[0] != times[1]:
        assert (ids[0] < ids[1]) == (times[0] < times[1])


@given(one=_records, other=_records)
def test_events_of_one_time_have_ids_of_their_own(
    one: tuple[Kind, int, int, int], other: tuple[Kind, int, int, int]
) -> None:
    same_time = (*other[:3], one[3])
    assert (id_of_record(*one) == id_of_record(*same_time)) == (one == same_time)


@pytest.mark.parametrize(("origin", "partition"), [("browse-0", 0), ("add-to-cart-3", 3), ("orders-123", 123)])
def test_an_origin_is_named_after_its_partition(origin: str, partition: int) -> None:
    assert origin_partition(origin) == partition


@pytest.mark.parametrize("origin", ["", "browse", "browse-", "browse-x", "browse-03", "browse-٣", "browse-1048576"])
def test_an_origin_that_is_named_after_no_partition_is_said_in_one_sentence(origin: str) -> None:
    with pytest.raises(InvariantError, match=f"comes from {origin!r}, which is no partition of an input"):
        origin_partition(origin)


def test_a_retry_of_a_forgotten_session_has_a_suggestion_of_its_own() -> None:
    fold = Fold()
    first = fold(event("e1", 0, "tea"))
    fold(event("e2", RETENTION + 1, "pot", session="r"))
    again = fold(event("e1", 0, "tea"))
    assert only(first).suggestion_id != only(again).suggestion_id


# -- repeats


def test_an_event_that_a_client_sends_twice_has_no_second_effect() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    before = msgspec.msgpack.encode(fold.session())
    effects = fold(event("e1", MINUTE, "pot", kind="add-to-cart"))
    assert effects == Effects(verdicts=["new"], duplicates=["add-to-cart"])
    assert msgspec.msgpack.encode(fold.session()) == before


def test_an_order_that_a_client_sends_twice_has_no_second_effect() -> None:
    fold = Fold()
    fold(order("e1", 0, "o1", "tea"))
    before = msgspec.msgpack.encode(fold.session())
    assert fold(order("e2", MINUTE, "o1", "tea")) == Effects(verdicts=["new"], duplicates=["orders"])
    assert msgspec.msgpack.encode(fold.session()) == before


def test_a_duplicate_in_the_same_record_has_no_second_effect() -> None:
    effects = Fold()(event("e1", 0, "tea"), event("e1", 0, "tea"))
    assert (len(effects.suggestions), effects.duplicates) == (1, ["browse"])


def test_the_same_event_id_in_another_session_is_another_event() -> None:
    effects = Fold()(event("e1", 0, "tea", session="a"), event("e1", 0, "tea", session="b"))
    assert (len(effects.suggestions), effects.duplicates) == (2, [])


def test_a_record_before_the_position_has_no_effect() -> None:
    shard: SessionShard = Shard(0, position=5)
    packed = Packed([Span("browse-0", -1, 0)], [EventEntry(0, 0, 0, event("e1", 0, "tea"))])
    assert suggest(shard, 4, packed, SHOP, {}, DEFAULTS) == Effects(verdicts=["repeat"])
    assert (shard.rows, shard.position, shard.newest) == ({}, 5, 0)


def test_entries_up_to_the_watermark_have_no_effect() -> None:
    shard: SessionShard = Shard(0, watermarks={"browse-0": 1})
    entries = [EventEntry(0, offset, 0, event(f"e{offset}", 0, "tea")) for offset in (0, 1, 2)]
    effects = suggest(shard, 0, Packed([Span("browse-0", -1, 2)], entries), SHOP, {}, DEFAULTS)
    assert [suggestion.event_id for suggestion, _, _ in effects.suggestions] == ["e2"]


@pytest.mark.parametrize(("span", "verdict"), [(Span("browse-0", -1, 4), "repeat"), (Span("browse-0", 5, 9), "gap")])
def test_a_repeat_and_a_gap_do_not_even_move_the_newest_time(span: Span, verdict: str) -> None:
    shard: SessionShard = Shard(0, watermarks={"browse-0": 4})
    packed = Packed([span], [EventEntry(0, span.end, 0, event("e1", 0, "tea"))])
    assert suggest(shard, 0, packed, SHOP, {}, DEFAULTS).verdicts == [verdict]
    assert (shard.rows, shard.newest, shard.position) == ({}, 0, 1)


# -- what an event does to its session


def opened(*before: Event) -> Session:
    session = Session(START, START)
    for one in before:
        advance(session, one, DEFAULTS)
    return session


def test_advancing_returns_what_is_added_to_the_rows_and_changes_the_session() -> None:
    session = opened()
    assert advance(session, event("e1", 0, "tea", kind="add-to-cart"), DEFAULTS) == [Increment("tea", 1, 1)]
    assert (session.positions, session.length, session.cart) == ([("tea", START)], 1, {"tea": 1})


def test_the_stage_emits_what_advancing_returns() -> None:
    events = [event("e1", 0, "tea"), event("e2", 9, "cup", kind="add-to-cart"), order("e3", 99, "o1", "cup", "pot")]
    fold, session = Fold(), opened()
    for one in events:
        emitted = [increment for _, _, increment in fold(one).increments if increment.anchor != TOTALS]
        assert emitted == advance(session, one, DEFAULTS)


def test_an_event_that_is_not_counted_adds_arrivals_and_weights_and_no_session_or_meeting() -> None:
    added = advance(opened(event("e1", 0, "tea")), event("e2", 0, "cup"), DEFAULTS, is_counted=False)
    weight = pytest.approx(0.840_896, rel=1e-5)  # 2^-0.25
    assert added == [
        Increment("tea", 0, 0, (("cup", weight, 0, 0),)),
        Increment("cup", 1, 0, (("tea", pytest.approx(0.420_448, rel=1e-5), 0, 0),)),
    ]


@pytest.mark.parametrize(("kind", "weight"), [("browse", 1.0), ("add-to-cart", 2.0), ("orders", 2.0)])
def test_a_pair_weighs_by_the_kind_of_the_event(kind: Kind, weight: float) -> None:
    added = advance(opened(event("e1", 0, "tea")), event("e2", 0, "cup", kind=kind, order_id="o"), DEFAULTS)
    assert added[0].others[0][1] == pytest.approx(weight * 2**-0.25)


def test_the_items_of_one_order_weigh_six_and_beside_what_was_only_seen_two() -> None:
    added = advance(opened(event("e1", 0, "mat")), order("e2", 0, "o1", "tea", "cup"), DEFAULTS)
    weights = {(increment.anchor, other): weight for increment in added for other, weight, _, _ in increment.others}
    assert weights["mat", "tea"] == pytest.approx(2 * 2**-0.25)
    assert weights["tea", "cup"] == pytest.approx(6 * 3**-0.25)
    assert weights["mat", "cup"] == pytest.approx(2 / 4 * 3**-0.25)


def test_what_the_session_ordered_before_weighs_six_beside_what_it_orders_now() -> None:
    added = advance(opened(order("e1", 0, "o1", "tea")), order("e2", 0, "o2", "cup"), DEFAULTS)
    assert added[0].others[0][1] == pytest.approx(6 * 2**-0.25)


def test_what_the_session_ordered_before_weighs_as_usual_beside_a_view() -> None:
    added = advance(opened(order("e1", 0, "o1", "tea")), event("e2", 0, "cup"), DEFAULTS)
    assert added[0].others[0][1] == pytest.approx(2**-0.25)


def comparisons(*events: Event) -> int:
    """How often the last event's item is compared with others."""
    added = advance(opened(*events[:-1]), events[-1], DEFAULTS)
    return sum(compared for increment in added[:-1] for *_, compared in increment.others)


def test_what_is_viewed_right_after_another_view_is_compared_with_it() -> None:
    assert comparisons(event("e1", 0, "tea"), event("e2", 1, "cup")) == 1


def test_what_is_viewed_right_after_something_was_put_into_the_cart_is_not_compared_with_it() -> None:
    added, taken_out = (event(action, 0, "tea", kind="add-to-cart", action=action) for action in (ADD, REMOVE))
    assert comparisons(added, event("e2", 1, "cup")) == 0
    assert comparisons(added, taken_out, event("e2", 1, "cup")) == 1


def test_what_is_viewed_right_after_an_order_is_not_compared_with_it() -> None:
    assert comparisons(order("e1", 0, "o1", "tea"), event("e2", 1, "cup")) == 0


def test_what_was_put_into_the_cart_or_ordered_and_is_viewed_again_is_not_compared_with_the_next() -> None:
    again, following = event("e2", 1, "tea"), event("e3", 2, "cup")
    assert comparisons(event("e1", 0, "tea", kind="add-to-cart"), again, following) == 0
    assert comparisons(order("e1", 0, "o1", "tea"), again, following) == 0
    assert comparisons(event("e1", 0, "tea"), again, following) == 1


def test_what_the_cart_holds_since_an_earlier_session_is_not_compared_with_the_next_view() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea", kind="add-to-cart"))
    fold(event("e2", GAP + 1, "tea"))
    forward, own = (increment for _, _, increment in fold(event("e3", GAP + 2, "cup")).increments)
    assert (forward.others[0][3], own.others[0][3]) == (0, 0)


def test_each_line_s_category_goes_to_its_item_s_row() -> None:
    lines = (Line("tea", category="drinks"), Line("cup"))
    added = advance(opened(), Event("orders", "e1", "s", START, "order", lines, order_id="o1"), DEFAULTS)
    assert [(increment.anchor, increment.category) for increment in added] == [
        ("tea", "drinks"),
        ("tea", None),
        ("cup", None),
    ]


# -- what a session asks


def asked(*events: Event, rows: Rows = EMPTY) -> Query:
    """What a session asks after the last of its events."""
    return query(opened(*events), events[-1], rows, START + 7, DEFAULTS)


def test_a_query_starts_from_the_distinct_items_newest_first() -> None:
    found = asked(event("e1", 0, "tea"), event("e2", 1, "cup"), event("e3", 2, "tea"))
    assert found.positions == [("tea", START + 2), ("cup", START + 1)]
    assert (found.time_ms, found.now_ms) == (START + 2, START + 7)


@pytest.mark.parametrize(("count", "asked_for"), [(9, 9), (10, 10), (11, 10)])
def test_a_query_starts_from_ten_items_at_most(count: int, asked_for: int) -> None:
    found = asked(*(event(f"e{n}", n, f"item-{n}") for n in range(count)))
    assert [item for item, _ in found.positions] == [f"item-{n}" for n in reversed(range(count - asked_for, count))]


def test_a_query_excludes_all_that_is_the_session_s() -> None:
    found = asked(*(event(f"e{n}", n, f"item-{n}", kind="add-to-cart") for n in range(11)))
    assert found.excluded == {f"item-{n}" for n in range(11)}


DRINKS = plain({"tea": Row(0, category="drinks"), "cup": Row(0, category="dishes")})


def test_the_category_is_the_one_that_the_event_names() -> None:
    assert asked(event("e1", 0, "tea", category="teas"), rows=DRINKS).category == "teas"


def test_where_the_event_names_no_category_the_newest_item_s_row_does() -> None:
    assert asked(event("e1", 0, "tea"), rows=DRINKS).category == "drinks"


def test_the_category_of_an_earlier_event_is_known_from_the_row_alone() -> None:
    taken_out = event("e2", 0, "tea", kind="add-to-cart", action=REMOVE)
    cleared = event("e2", 0, kind="add-to-cart", action=CLEAR)
    for last in (taken_out, cleared):
        assert asked(event("e1", 0, "tea", category="teas"), last, rows=DRINKS).category == "drinks"
        assert asked(event("e1", 0, "tea", category="teas"), last).category is None


def test_of_an_order_the_category_is_that_of_the_newest_item_and_of_no_other_line() -> None:
    lines = (Line("tea", category="teas"), Line("cup"))
    of = Event("orders", "e1", "s", START, "order", lines, order_id="o1")
    assert asked(of, rows=DRINKS).category == "dishes"
    assert asked(of).category is None


@pytest.mark.parametrize(
    ("lines", "category"),
    [
        (["tea", "tea/teas"], "teas"),
        (["tea/teas", "tea"], "teas"),
        (["tea/teas", "tea/herbs"], "teas"),
        (["cup/mugs", "tea", "tea/teas"], "teas"),
        (["cup/mugs", "tea"], "drinks"),
    ],
)
def test_of_several_lines_of_the_newest_item_the_first_that_names_a_category_does(
    lines: list[str], category: str
) -> None:
    named = tuple(Line(item, category=name or None) for item, _, name in (line.partition("/") for line in lines))
    of = Event("orders", "e1", "s", START, "order", named, order_id="o1")
    assert asked(of, rows=DRINKS).category == category


def test_taking_an_older_item_out_of_the_cart_does_not_make_its_category_the_newest() -> None:
    taken_out = event("e3", 0, "tea", kind="add-to-cart", action=REMOVE, category="teas")
    assert asked(event("e1", 0, "tea"), event("e2", 0, "cup"), taken_out, rows=DRINKS).category == "dishes"


def test_without_an_item_there_is_no_category() -> None:
    found = asked(event("e1", 0, kind="add-to-cart", action=CLEAR), rows=DRINKS)
    assert (found.positions, found.category) == ([], None)


def test_in_the_cart_and_at_the_order_the_cart_and_all_purchases_are_held_and_while_browsing_nothing() -> None:
    bought, added = order("e1", 0, "o1", "tea"), event("e2", 0, "cup", kind="add-to-cart")
    assert set(asked(bought).held) == {"tea"}
    assert set(asked(bought, added).held) == {"tea", "cup"}
    assert set(asked(bought, added, event("e3", 0, "mat")).held) == set()
    assert set(asked(bought, added, order("e3", 0, "o2", "cup")).held) == {"tea", "cup"}


def test_what_was_only_viewed_or_was_taken_out_again_is_not_held() -> None:
    taken_out = event("e3", 0, "cup", kind="add-to-cart", action=REMOVE)
    assert set(asked(event("e1", 0, "tea"), event("e2", 0, "cup", kind="add-to-cart"), taken_out).held) == set()


def test_rivals_are_offered_while_browsing_and_not_once_the_item_is_in_the_cart() -> None:
    rows = plain(SHOP)
    for item in ("tea", "cup"):
        rows[item] = msgspec.structs.replace(SHOP[item], category="same")
    fold = Fold(rows)
    assert offered(fold(event("e1", 0, "tea"))) == ["cup", "jug", "mat", "pan"]
    assert offered(fold(event("e2", 0, "tea", kind="add-to-cart"))) == ["jug", "mat", "pan", "pot"]


def test_when_nothing_but_rivals_is_left_the_suggestion_says_so() -> None:
    rows = plain({item: msgspec.structs.replace(SHOP[item], category="same") for item in ITEMS})
    fold = Fold(rows)
    assert only(fold(event("e1", 0, "tea", kind="add-to-cart"))).reason == "only-rivals"


def test_what_the_event_names_as_its_category_fills_the_suggestion_at_once() -> None:
    epoch = epoch_of(START, DEFAULTS.half_life_ms)
    rows = plain({"juice": Row(epoch, sessions=1e6, category="drinks"), TOTALS: Row(epoch, sessions=1e9)})
    suggestion = only(Fold(rows)(event("e1", 0, "tea", category="drinks")))
    assert [(item.item_id, item.evidence.source) for item in suggestion.items] == [("juice", "category")]
    assert only(Fold(rows)(event("e1", 0, "tea"))).reason == "unknown-item"


# -- gap and late events


def test_one_gap_later_the_session_goes_on_and_one_millisecond_more_starts_the_next() -> None:
    for delay, is_new in ((GAP, False), (GAP + 1, True)):
        fold = Fold()
        fold(event("e1", 0, "tea"))
        effects = fold(event("e2", delay, "pot"))
        assert (TOTALS in anchors(effects)) == is_new
        assert ("tea" in anchors(effects)) == (not is_new)


def test_the_next_session_may_be_offered_what_the_last_one_saw() -> None:
    fold = Fold()
    fold(event("e1", 0, "cup"))
    assert offered(fold(event("e2", GAP + 1, "tea")))[0] == "cup"


def test_a_late_event_is_not_offered_what_is_in_the_live_sessions_cart() -> None:
    fold = Fold()
    fold(event("e1", 0, "cup", kind="add-to-cart"))
    assert "cup" not in offered(fold(event("late", -GAP - 1, "tea")))


def test_a_late_event_does_not_lift_a_pair_over_the_floor() -> None:
    half_life = DEFAULTS.half_life_ms
    epoch = epoch_of(START, half_life)
    one = growth(START, epoch, half_life)
    tea = Row(epoch, one, one, one, {"cup": one}, {"cup": one})
    rows = plain({"tea": tea, "cup": Row(epoch, sessions=4 * one), TOTALS: Row(epoch, sessions=10 * one)})
    # Of all sessions 0.4 have a cup. Now 1 of 1 with tea proves 0.27; two half-lives ago that was 4 of 4: 0.6.
    fold = Fold(rows)
    fold(event("now", 0, "mat", session="other"))
    assert offered(fold(event("a", 0, "tea", session="a"))) == []
    assert offered(fold(event("b", -2 * half_life, "tea", session="b"))) == []


def test_items_that_the_query_did_not_start_from_do_not_decide_the_reason() -> None:
    fold = Fold(rows=plain({"tea": SHOP["tea"]}))
    fold(event("e0", 0, "tea"))
    for number in range(DEFAULTS.query_items):
        effects = fold(event(f"u{number}", 0, f"unknown-{number}"))
    assert only(effects).reason == "unknown-item"


def test_a_late_event_is_counted_and_answered_by_itself() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    before = fold.session()
    times, positions = (before.started, before.last), list(before.positions)
    effects = fold(event("late", -GAP - 1, "pot"))
    # One event more; its session was counted when it was open.
    assert [increment for _, _, increment in effects.increments] == [Increment("pot", 1, 0, ())]
    assert only(effects).anchor == "pot"
    after = fold.session()
    assert ((after.started, after.last), after.positions, after.offers[1:]) == (times, positions, [])


def test_a_late_event_accepts_no_suggestion_and_its_own_cannot_be_accepted() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    late = fold(event("late", -GAP - 1, "cup"))
    assert late.outcomes == []
    named = event("e2", 0, "mat", suggestion=only(late).suggestion_id)
    assert [outcome.suggestion_id for outcome in fold(named).outcomes] == [id_of(event("e1"))]


def test_a_late_event_changes_no_cart() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea", kind="add-to-cart"))
    fold(event("late", -GAP - 1, kind="add-to-cart", action=CLEAR))
    assert fold.session().cart == {"tea": 1}


def test_a_late_event_is_a_duplicate_the_second_time() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    fold(event("late", -GAP - 1, "pot"))
    assert fold(event("late", -GAP - 1, "pot")).duplicates == ["browse"]


def test_an_event_that_is_out_of_order_within_the_gap_belongs_to_the_session() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    effects = fold(event("e2", -GAP, "pot"))
    assert anchors(effects) == ["tea", "pot"]
    assert fold.session().positions == [("tea", START), ("pot", START - GAP)]


# -- forgetting


def other(event_id: str, at: int) -> Event:
    return event(event_id, at, "mat", session="other")


def test_a_session_as_old_as_the_retention_is_kept_and_one_millisecond_more_drops_it() -> None:
    for age, kept in ((RETENTION, {"s", "other"}), (RETENTION + 1, {"other"})):
        fold = Fold()
        fold(event("e1", 0, "tea"))
        fold.shard.take_dirty()
        fold(other("o1", age))
        assert fold.shard.rows.keys() == fold.shard.keys == kept
        assert fold.shard.take_dirty().keys() == {"other"} | ({"s", "other"} - kept)


def test_the_age_of_a_session_counts_from_its_last_event() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    fold(event("e2", GAP, "tea"))
    fold(other("o1", GAP + RETENTION))
    assert "s" in fold.shard.rows


def test_a_forgotten_session_counts_as_absent_even_while_its_row_is_there() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    # Rows are dropped at the end of a record: within it the rule alone decides.
    effects = fold(other("o1", RETENTION + 1), event("e1", 0, "tea"))
    assert (len(effects.suggestions), effects.duplicates) == (2, [])
    assert anchors(effects).count(TOTALS) == 2


def test_a_forgotten_row_behind_one_that_is_kept_counts_as_absent() -> None:
    fold = Fold()
    fold.shard.load("kept", Session(START + RETENTION, START + RETENTION))
    fold.shard.load("s", Session(START, START, event_ids={hash64(b"e1"): None}))
    fold(other("o1", RETENTION + 1))
    assert "s" in fold.shard.rows
    assert len(fold(event("e1", 0, "tea")).suggestions) == 1


def test_a_session_that_is_touched_stands_behind_the_others_and_hides_none_of_them() -> None:
    fold = Fold()
    for at, name in ((0, "a"), (1, "b"), (MINUTE, "a")):
        fold(event(f"e{at}", at, "tea", session=name))
    assert list(fold.shard.rows) == ["b", "a"]
    fold(other("o1", RETENTION + 2))
    assert list(fold.shard.rows) == ["a", "other"]


# -- outcomes and tallies


def test_an_item_that_was_offered_and_is_bought_is_an_outcome_with_its_revenue() -> None:
    fold = Fold()
    shown = fold(event("e1", 0, "tea"))
    effects = fold(order("e2", MINUTE, "o1", "cup", price=2.5))
    (outcome,) = effects.outcomes
    assert (outcome.suggestion_id, outcome.item_id, outcome.rank) == (only(shown).suggestion_id, "cup", 1)
    assert (outcome.stage, outcome.moment, outcome.seconds_since) == ("ordered", "browse", 60.0)
    assert effects.tallies == [
        Tally(START + MINUTE, "browse", ordered=1, accepted=1, revenue=(("EUR", 25_000),)),
        Tally(START + MINUTE, "order", suggestions=1),
    ]


def test_the_tallies_of_a_record_are_summed_by_window_and_moment() -> None:
    assert START % MINUTE == 0 and DEFAULTS.kpi_window_ms == MINUTE
    effects = Fold()(
        event("e1", 0, "tea"),
        event("e2", MINUTE, "cup"),
        event("e3", 1, "cup", kind="add-to-cart"),
        event("e4", MINUTE - 1, kind="add-to-cart", action=CLEAR, session="r"),
        order("e5", MINUTE + 1, "o1", "cup", price=2.5),
        order("e6", MINUTE + 2, "o2", "tea", price=1.5),
    )
    # The cup was offered with e1: e2 views it, e3 adds it, e5 orders it. Nobody offered the tea.
    assert [(outcome.stage, outcome.item_id) for outcome in effects.outcomes] == [
        ("viewed", "cup"),
        ("added", "cup"),
        ("ordered", "cup"),
    ]
    assert effects.tallies == [
        Tally(START, "browse", suggestions=1, added=1),
        Tally(START, "cart", suggestions=2, empty=1),
        Tally(START + MINUTE, "browse", suggestions=1, viewed=1, ordered=1, accepted=1, revenue=(("EUR", 25_000),)),
        Tally(START + MINUTE, "order", suggestions=2),
    ]


def test_the_tallies_of_two_records_are_not_summed() -> None:
    fold = Fold()
    both = [fold(event("e1", 0, "tea")).tallies, fold(event("e2", 0, "tea")).tallies]
    assert both == [[Tally(START, "browse", suggestions=1)]] * 2


def test_an_event_never_accepts_its_own_suggestion() -> None:
    fold = Fold()
    fold.published[id_of(event("e1"))] = suggestion_of(event("e1"), "tea")
    assert fold(event("e1", 0, "tea")).outcomes == []


def test_viewing_adding_and_buying_an_item_are_three_outcomes_and_one_acceptance() -> None:
    fold = Fold()
    fold(event("e1", 0, "tea"))
    effects = [
        fold(event("e2", 1, "cup")),
        fold(event("e3", 2, "cup")),
        fold(event("e4", 3, "cup", kind="add-to-cart")),
        fold(event("e5", 4, "cup", kind="add-to-cart", action=REMOVE)),
        fold(order("e6", 5, "o1", "cup")),
    ]
    assert [[o.stage for o in e.outcomes] for e in effects] == [["viewed"], [], ["added"], [], ["ordered"]]
    assert sum(tally.accepted for e in effects for tally in e.tallies) == 1


@pytest.mark.parametrize(("delay", "count"), [(GAP, 1), (GAP + 1, 0)])
def test_a_suggestion_can_be_accepted_until_the_window_ends(delay: int, count: int) -> None:
    assert DEFAULTS.attribution_window_ms == GAP
    fold = Fold()
    fold(event("e1", 0, "tea"))
    assert len(fold(event("e2", delay, "cup")).outcomes) == count


def test_the_latest_twenty_suggestions_with_items_can_be_accepted() -> None:
    fold = Fold(parameters=replace(DEFAULTS, offers_max=2))
    fold(event("e1", 0, "tea"))
    fold(event("e2", 0, "tea"))
    assert [offer.suggestion_id for offer in fold.session().offers] == [id_of(event(e)) for e in ("e1", "e2")]
    fold(event("e3", 0, "tea"))
    assert [offer.suggestion_id for offer in fold.session().offers] == [id_of(event(e)) for e in ("e2", "e3")]
    assert DEFAULTS.offers_max == 20


def test_an_empty_suggestion_is_not_remembered_as_an_offer() -> None:
    fold = Fold(rows=EMPTY)
    fold(event("e1", 0, "tea"))
    assert fold.session().offers == []


# -- what was published before


def suggestion_of(of: Event, *items: str) -> Suggestion:
    evidence = Evidence("pair", "tea", None, 1.0, 0.1, 0.1, None)
    chosen = tuple(SuggestedItem(item, rank, 1.0, evidence) for rank, item in enumerate(items, start=1))
    reason = None if items else "weak-evidence"
    return Suggestion(id_of(of), of.event_id, of.session_id, of.time, of.moment, None, chosen, reason)


def test_what_was_published_is_kept_and_not_ranked_again() -> None:
    fold = Fold()
    kept = fold.published[id_of(event("e1"))] = suggestion_of(event("e1", 0), "pan", "gone")
    effects = fold(event("e1", 0, "tea"))
    assert effects.suggestions == [(kept, START + 5, True)]
    assert fold.session().offers == [Offer(kept.suggestion_id, START, "browse", ("pan", "gone"))]


def test_outcomes_are_judged_on_what_was_published() -> None:
    fold = Fold()
    fold.published[id_of(event("e1"))] = suggestion_of(event("e1", 0), "pan", "gone")
    fold(event("e1", 0, "tea"))
    assert fold(event("e2", 1, "cup")).outcomes == []
    assert [outcome.rank for outcome in fold(event("e3", 2, "gone")).outcomes] == [2]


def test_an_empty_suggestion_that_was_published_stays_empty() -> None:
    fold = Fold()
    fold.published[id_of(event("e1"))] = suggestion_of(event("e1", 0))
    effects = fold(event("e1", 0, "tea"))
    assert effects.tallies == [Tally(START, "browse", suggestions=1, empty=1)]
    assert fold.session().offers == []


def test_what_was_published_changes_no_increment() -> None:
    plain, keeping = Fold(), Fold()
    keeping.published[id_of(event("e1"))] = suggestion_of(event("e1", 0), "pan")
    for one in (event("e1", 0, "tea"), event("e2", 1, "pan")):
        assert plain(one).increments == keeping(one).increments


# -- laws

_kinds: list[Kind] = ["browse", "add-to-cart", "orders"]
_steps = st.sampled_from(
    [0, 1, MINUTE, MINUTE, 5 * MINUTE, -2 * MINUTE, GAP, GAP + 1, -GAP - 1, RETENTION + 1, -RETENTION]
)
_ORIGINS = ["browse-0", "browse-1"]


def id_in_pack(events: list[Event], number: int) -> str:
    """Return the id of the suggestion for one of the events, as `pack` packs them."""
    return suggestion_id(events[number], _ORIGINS[number % 2], number // 2)


@st.composite
def events_of(draw: st.DrawFn, steps: st.SearchStrategy[int] = _steps) -> list[Event]:
    """Events of two sessions over a few items, with repeated ids, late ones, and named suggestions."""
    events: list[Event] = []
    now = 0
    for number in range(draw(st.integers(1, 14))):
        now += draw(steps)
        repeated = bool(events) and draw(st.integers(0, 6)) == 0
        event_id = draw(st.sampled_from(events)).event_id if repeated else f"e{number}"
        kind = draw(st.sampled_from(_kinds))
        session = draw(st.sampled_from(["s", "r"]))
        items = draw(st.lists(st.sampled_from(ITEMS), min_size=1, max_size=3 if kind == "orders" else 1))
        action = draw(st.sampled_from([ADD, ADD, REMOVE, CLEAR])) if kind == "add-to-cart" else ADD
        order_id = draw(st.sampled_from(["o1", "o2", "o3"])) if kind == "orders" else None
        named = id_in_pack(events, draw(st.integers(0, len(events) - 1))) if events and draw(st.booleans()) else None
        lines = [] if action == CLEAR else items
        events.append(
            event(
                event_id,
                now,
                *lines,
                kind=kind,
                session=session,
                action=action,
                order_id=order_id,
                suggestion=named,
                price=0.1,
            )
        )
    return events


class Replayed(msgspec.Struct):
    """All effects of a log, its tallies summed by window, and the sessions that are not forgotten at its end."""

    increments: list[tuple[int, int, Increment]] = msgspec.field(default_factory=list)
    suggestions: list[Suggestion] = msgspec.field(default_factory=list)
    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    tallies: list[Tally] = msgspec.field(default_factory=list)
    sessions: dict[str, bytes] = msgspec.field(default_factory=dict)


def reloaded(shard: SessionShard) -> SessionShard:
    """The shard as a restarted worker reads it back: rows in the order of their keys."""
    after: SessionShard = Shard(
        shard.partition,
        position=shard.position,
        watermarks=shard.watermarks.as_dict(),
        newest=shard.newest,
    )
    for key in sorted(shard.rows):
        after.load(key, msgspec.msgpack.decode(msgspec.msgpack.encode(shard.rows[key]), type=Session))
    return after


def replay(
    log: list[Packed[EventEntry]],
    rows: Rows = SHOP,
    published: Mapping[str, Suggestion] | None = None,
    restart_before: Set[int] = frozenset(),
    parameters: Parameters = DEFAULTS,
) -> Replayed:
    shard: SessionShard = Shard(0)
    result = Replayed()
    for offset, packed in enumerate(log):
        if offset in restart_before:
            shard = reloaded(shard)
        effects = suggest(shard, offset, packed, rows, published or {}, parameters)
        result.increments += effects.increments
        result.suggestions += [suggestion for suggestion, _, _ in effects.suggestions]
        result.outcomes += effects.outcomes
        assert effects.tallies == summed(effects.tallies)
        result.tallies = summed([*result.tallies, *effects.tallies])
    result.sessions = {
        key: msgspec.msgpack.encode(session)
        for key, session in shard.rows.items()
        if not is_forgotten(session, shard.newest, parameters)
    }
    return result


def pack(events: list[Event], cuts: list[int], chains: list[Chain], start: int = 0) -> list[Packed[EventEntry]]:
    """Pack events from `start` on; event n stands at offset n // 2 of input n % 2."""
    log = []
    for low, high in pairwise(sorted({start, *(cut for cut in cuts if start < cut < len(events)), len(events)})):
        packed: Packed[EventEntry] = Packed([], [])
        spans: dict[int, int] = {}
        for number in range(low, high):
            origin = number % 2
            if origin not in spans:
                spans[origin] = len(packed.spans)
                last = max(n for n in range(low, high) if n % 2 == origin)
                packed.spans.append(chains[origin].extend(0, last // 2))
            packed.entries.append(EventEntry(spans[origin], number // 2, START + number, events[number]))
        log.append(packed)
    return log


def chains_at(start: int) -> list[Chain]:
    """The chains of a sender that has sent the first `start` events."""
    return [Chain(_ORIGINS[origin], {0: (start - origin + 1) // 2 - 1}) for origin in (0, 1)]


cuts_of = st.lists(st.integers(0, 14), max_size=5)


@settings(max_examples=150)
@given(
    events=events_of(),
    first=cuts_of,
    second=cuts_of,
    restart=st.integers(0, 14),
    again=st.integers(0, 14),
    restarts=st.sets(st.integers(0, 12)),
)
def test_a_replay_is_the_same_however_the_log_is_cut_repeated_and_interrupted(
    events: list[Event], first: list[int], second: list[int], restart: int, again: int, restarts: set[int]
) -> None:
    expected = replay(pack(events, [], chains_at(0)))
    log = pack(events, first, chains_at(0))
    assert replay(log) == expected
    assert replay(log, restart_before=restarts) == expected
    # Ingest crashed after some records, and went on from an older mark with other batches: some come twice.
    mark = min(again, len(events) - 1)
    repeated = log[: min(restart, len(log))]
    sent = sum(len(packed.entries) for packed in repeated)
    overlapping = repeated + pack(events, second, chains_at(min(mark, sent)), min(mark, sent))
    assert replay(overlapping) == expected
    assert replay(overlapping, restart_before=restarts) == expected
    assert replay(overlapping + log, restart_before=restarts) == expected


@settings(max_examples=150)
@given(events=events_of(), cuts=cuts_of)
def test_the_shop_s_rows_change_suggestions_and_never_increments(events: list[Event], cuts: list[int]) -> None:
    log = pack(events, cuts, chains_at(0))
    assert replay(log, SHOP).increments == replay(log, EMPTY).increments


@settings(max_examples=150)
@given(events=events_of(), cuts=cuts_of, strength=st.floats(0.1, 9), items=st.sets(st.sampled_from(ITEMS)))
def test_a_takeover_that_keeps_what_was_published_repeats_every_effect(
    events: list[Event], cuts: list[int], strength: float, items: set[str]
) -> None:
    # Sessions outlive the log here: an id that is accepted twice, after its session was forgotten, has two answers.
    parameters = replace(DEFAULTS, session_retention_gaps=10**6)
    log = pack(events, cuts, chains_at(0))
    before = replay(log, SHOP, parameters=parameters)
    published = {suggestion.suggestion_id: suggestion for suggestion in before.suggestions}
    assert len(published) == len(before.suggestions)
    other_rows = shop(strength, sorted(items))
    assert replay(log, other_rows, published, parameters=parameters) == before


@settings(max_examples=150)
@given(events=events_of())
def test_an_event_is_never_answered_with_its_own_items_or_its_anchor(events: list[Event]) -> None:
    fold = Fold()
    for one in events:
        for suggestion, _, _ in fold(one).suggestions:
            chosen = {item.item_id for item in suggestion.items}
            assert suggestion.anchor not in chosen
            assert not chosen & {item.evidence.anchor for item in suggestion.items}
            if one.action == ADD:
                assert not chosen & {line.item_id for line in one.lines}


@settings(max_examples=150)
@given(events=events_of(st.sampled_from([0, 1, MINUTE, -MINUTE, GAP])))
def test_a_session_is_never_offered_what_it_has_seen_put_in_the_cart_or_bought(events: list[Event]) -> None:
    fold = Fold()
    own: dict[str, set[str]] = {}
    for one in events:
        effects = fold(one)
        for suggestion, _, _ in effects.suggestions:
            if any(increment.anchor == TOTALS for _, _, increment in effects.increments):
                own[one.session_id] = set()  # a session was opened
            if one.action == ADD:
                own[one.session_id].update(line.item_id for line in one.lines)
            chosen = [item.item_id for item in suggestion.items]
            assert not own[one.session_id] & set(chosen)
            assert len(set(chosen)) == len(chosen) <= DEFAULTS.suggestions_max
            assert (suggestion.reason is None) == bool(chosen)


@settings(max_examples=150)
@given(events=events_of(), cuts=cuts_of)
def test_every_accepted_event_is_answered_and_tallied_once(events: list[Event], cuts: list[int]) -> None:
    result = replay(pack(events, cuts, chains_at(0)))
    ids = [suggestion.suggestion_id for suggestion in result.suggestions]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= {id_in_pack(events, number) for number in range(len(events))}
    assert sum(tally.suggestions for tally in result.tallies) == len(ids)
    assert sum(tally.empty for tally in result.tallies) == sum(not s.items for s in result.suggestions)
    judged = [(o.outcome_id, o.stage, o.item_id, o.suggestion_id) for o in result.outcomes]
    assert len(set(judged)) == len(judged)
    assert {o.suggestion_id for o in result.outcomes} <= set(ids)
    for stage in ("viewed", "added", "ordered"):
        tallied = sum(getattr(tally, stage) for tally in result.tallies)
        assert tallied == sum(outcome.stage == stage for outcome in result.outcomes)


@settings(max_examples=100)
@given(events=events_of())
def test_only_forgotten_rows_are_dropped(events: list[Event]) -> None:
    fold = Fold()
    for one in events:
        before = dict(fold.shard.rows)
        fold(one)
        for key in before.keys() - fold.shard.rows.keys():
            assert is_forgotten(before[key], fold.shard.newest, DEFAULTS)
        assert fold.shard.keys == fold.shard.rows.keys()
