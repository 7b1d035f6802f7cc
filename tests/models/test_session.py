"""A session opens, goes on, ends and is forgotten; it keeps positions, cart and purchases within bounds."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.hashing import hash64
from models.parameters import Parameters
from models.records import ADD, CLEAR, REMOVE, Event, Kind, Line
from models.session import Offer, Session, admit, arrive, change_cart, is_forgotten, own_items

GAP = 100
PARAMETERS = Parameters(
    session_gap_ms=GAP,
    session_retention_gaps=4,
    positions_max=4,
    seen_max=3,
    event_ids_max=3,
    order_ids_max=2,
)


def browse(event_id: str, time: int, item: str = "tea") -> Event:
    return Event("browse", event_id, "s", time, "browse", (Line(item),))


def order(event_id: str, time: int, order_id: str, *items: str) -> Event:
    return Event("orders", event_id, "s", time, "order", tuple(Line(item) for item in items), order_id=order_id)


def cart(action: str, *lines: Line, kind: Kind = "add-to-cart") -> Event:
    return Event(kind, "e", "s", 0, "cart", lines, action=action)


def hashes(*ids: str) -> list[int]:
    return [hash64(each.encode()) for each in ids]


def opened(*times: int) -> Session:
    """A session with one browse event at each time."""
    session = None
    for time in times:
        session, _ = admit(session, browse(f"at-{time}", time), PARAMETERS)
    assert session is not None
    return session


# -- the inactivity gap


def test_the_first_event_opens_a_session_at_its_time() -> None:
    session, fate = admit(None, browse("e1", 1_000), PARAMETERS)
    assert (fate, session.started, session.last) == ("opened", 1_000, 1_000)


def test_event_at_the_same_millisecond_joins_the_session() -> None:
    assert admit(opened(1_000), browse("e2", 1_000), PARAMETERS)[1] == "joined"


def test_event_exactly_one_gap_later_joins_the_session() -> None:
    session, fate = admit(opened(1_000), browse("e2", 1_000 + GAP), PARAMETERS)
    assert (fate, session.started, session.last) == ("joined", 1_000, 1_100)


def test_event_just_over_one_gap_later_opens_the_next_session() -> None:
    before = opened(1_000)
    arrive(before, "tea", 1_000, PARAMETERS)
    before.cart["tea"] = 1
    session, fate = admit(before, browse("e2", 1_000 + GAP + 1), PARAMETERS)
    assert (fate, session.started, session.last) == ("opened", 1_101, 1_101)
    assert (session.length, session.positions, session.seen) == (0, [], {})
    assert session.cart == {"tea": 1}  # a shop's cart outlives the gap


def test_the_gap_is_measured_from_the_newest_event_and_not_from_the_latest_delivered() -> None:
    session = opened(1_000, 1_080, 1_010)
    assert session.last == 1_080
    assert admit(session, browse("e4", 1_180), PARAMETERS)[1] == "joined"


def test_event_exactly_one_gap_before_the_start_joins_and_moves_the_start() -> None:
    session, fate = admit(opened(1_000), browse("e2", 1_000 - GAP), PARAMETERS)
    assert (fate, session.started, session.last) == ("joined", 900, 1_000)


def test_event_more_than_one_gap_before_the_start_is_late_and_changes_no_time() -> None:
    session, fate = admit(opened(1_000), browse("e2", 1_000 - GAP - 1), PARAMETERS)
    assert (fate, session.started, session.last) == ("late", 1_000, 1_000)


def test_a_late_event_is_remembered_so_that_its_repeat_is_a_duplicate() -> None:
    session, _ = admit(opened(1_000), browse("e2", 0), PARAMETERS)
    assert admit(session, browse("e2", 0), PARAMETERS)[1] == "duplicate"


# -- duplicates


def test_the_same_event_id_is_a_duplicate_and_changes_nothing() -> None:
    session = opened(1_000)
    before = msgspec.msgpack.encode(session)
    same, fate = admit(session, browse("at-1000", 1_050), PARAMETERS)
    assert (fate, same is session, msgspec.msgpack.encode(session)) == ("duplicate", True, before)


def test_the_same_order_id_is_a_duplicate_under_another_event_id() -> None:
    session, first = admit(None, order("e1", 0, "o1", "tea"), PARAMETERS)
    session, second = admit(session, order("e2", 10, "o1", "tea"), PARAMETERS)
    assert (first, second) == ("opened", "duplicate")


def test_another_order_id_is_another_order() -> None:
    session, _ = admit(None, order("e1", 0, "o1", "tea"), PARAMETERS)
    assert admit(session, order("e2", 0, "o2", "tea"), PARAMETERS)[1] == "joined"


def test_a_repeat_after_the_gap_is_still_a_duplicate_and_opens_nothing() -> None:
    session, _ = admit(None, order("e1", 0, "o1", "tea"), PARAMETERS)
    session, fate = admit(session, browse("e2", 101), PARAMETERS)
    assert fate == "opened"
    assert admit(session, order("e1", 300, "o9", "tea"), PARAMETERS)[1] == "duplicate"
    assert admit(session, order("e9", 300, "o1", "tea"), PARAMETERS)[1] == "duplicate"


def test_the_last_three_event_ids_are_remembered_and_the_fourth_last_is_not() -> None:
    session = opened(1, 2, 3)
    assert admit(session, browse("at-1", 4), PARAMETERS)[1] == "duplicate"
    session = opened(1, 2, 3, 4)
    assert list(session.event_ids) == hashes("at-2", "at-3", "at-4")
    assert admit(session, browse("at-1", 4), PARAMETERS)[1] == "joined"


def test_the_last_two_order_ids_are_remembered_and_the_third_last_is_not() -> None:
    session = None
    for number in (1, 2, 3):
        session, _ = admit(session, order(f"e{number}", 0, f"o{number}", "tea"), PARAMETERS)
    assert session is not None
    assert list(session.order_ids) == hashes("o2", "o3")


def test_what_is_remembered_of_an_id_is_the_hash_of_its_utf_8() -> None:
    session, _ = admit(None, order("tea", 0, "é", "cup"), PARAMETERS)
    # FNV-1a and fmix64 of 74 65 61, and of c3 a9
    assert session.event_ids == {2_832_323_483_873_672_289: None}
    assert session.order_ids == {-7_109_551_338_664_069_573: None}


def test_an_event_id_is_not_taken_for_an_order_id() -> None:
    session, _ = admit(None, order("one", 0, "other", "tea"), PARAMETERS)
    assert admit(session, order("other", 0, "one", "tea"), PARAMETERS)[1] == "joined"


def test_an_event_without_an_order_remembers_none() -> None:
    session = opened(1, 2)
    assert session.order_ids == {}
    assert admit(session, order("e", 2, "", "tea"), PARAMETERS)[1] == "joined"
    assert list(session.order_ids) == hashes("")


def test_of_one_session_two_ids_of_one_hash_are_one() -> None:
    # A known collision of FNV-1a. By chance it takes some 10^16 sessions of 64 ids to see one.
    session, _ = admit(None, browse("8yn0iYCKYHlIj4-BwPqk", 0), PARAMETERS)
    assert admit(session, browse("GReLUrM4wMqfg9yzV3KQ", 0), PARAMETERS)[1] == "duplicate"
    other, fate = admit(None, browse("GReLUrM4wMqfg9yzV3KQ", 0), PARAMETERS)
    assert (fate, list(other.event_ids)) == ("opened", list(session.event_ids))


# -- forgetting


def test_a_session_is_forgotten_once_the_newest_event_is_later_than_the_retention() -> None:
    session = opened(1_000)
    assert not is_forgotten(session, 1_000 + 4 * GAP, PARAMETERS)
    assert is_forgotten(session, 1_000 + 4 * GAP + 1, PARAMETERS)


def test_a_session_of_the_future_is_not_forgotten() -> None:
    assert not is_forgotten(opened(1_000), 0, PARAMETERS)


# -- arrivals


def test_arrivals_are_counted_and_the_newest_positions_kept() -> None:
    session = opened(0)
    for time, item in enumerate(["a", "b", "a", "c", "d"]):
        arrive(session, item, time, PARAMETERS)
    assert session.length == 5
    assert session.positions == [("b", 1), ("a", 2), ("c", 3), ("d", 4)]


def test_what_was_seen_is_bounded_and_a_return_makes_an_item_the_newest() -> None:
    session = opened(0)
    for item in ["a", "b", "c", "a", "d"]:
        arrive(session, item, 0, PARAMETERS)
    assert list(session.seen) == ["c", "a", "d"]


# -- the cart


def test_adding_twice_adds_up() -> None:
    session = opened(0)
    change_cart(session, cart(ADD, Line("tea", 2)), PARAMETERS)
    change_cart(session, cart(ADD, Line("tea", 3)), PARAMETERS)
    assert session.cart == {"tea": 5}


@pytest.mark.parametrize(("removed", "left"), [(1, {"tea": 2}), (2, {"tea": 1}), (3, {}), (4, {})])
def test_removing_takes_the_quantity_and_never_goes_below_nothing(removed: int, left: dict[str, int]) -> None:
    session = opened(0)
    change_cart(session, cart(ADD, Line("tea", 3)), PARAMETERS)
    change_cart(session, cart(REMOVE, Line("tea", removed)), PARAMETERS)
    assert session.cart == left


def test_removing_more_than_is_there_leaves_no_debt() -> None:
    session = opened(0)
    change_cart(session, cart(REMOVE, Line("tea", 5)), PARAMETERS)
    change_cart(session, cart(ADD, Line("tea", 1)), PARAMETERS)
    assert session.cart == {"tea": 1}


def test_clearing_empties_the_cart_and_nothing_else() -> None:
    session = opened(0)
    arrive(session, "tea", 0, PARAMETERS)
    change_cart(session, cart(ADD, Line("tea", 3)), PARAMETERS)
    change_cart(session, cart(CLEAR), PARAMETERS)
    assert (session.cart, list(session.seen)) == ({}, ["tea"])


def test_an_order_moves_its_items_from_the_cart_to_what_was_bought() -> None:
    session = opened(0)
    change_cart(session, cart(ADD, Line("tea", 3)), PARAMETERS)
    change_cart(session, cart(ADD, Line("cup", 1)), PARAMETERS)
    change_cart(session, order("e", 0, "o", "tea", "pot"), PARAMETERS)
    assert (session.cart, list(session.bought)) == ({"cup": 1}, ["tea", "pot"])


def test_browsing_changes_no_cart() -> None:
    session = opened(0)
    change_cart(session, cart(ADD, Line("tea"), kind="browse"), PARAMETERS)
    assert (session.cart, session.bought) == ({}, {})


def test_cart_and_purchases_are_bounded_to_the_newest() -> None:
    session = opened(0)
    for item in ["a", "b", "c", "d"]:
        change_cart(session, cart(ADD, Line(item)), PARAMETERS)
    assert list(session.cart) == ["b", "c", "d"]
    change_cart(session, order("e", 0, "o", "w", "x", "y", "z"), PARAMETERS)
    assert list(session.bought) == ["x", "y", "z"]


def test_changing_a_quantity_makes_a_cart_line_the_newest() -> None:
    session = opened(0)
    for item in ["a", "b", "c", "a", "d"]:
        change_cart(session, cart(ADD, Line(item)), PARAMETERS)
    assert session.cart == {"c": 1, "a": 2, "d": 1}


def test_own_items_are_what_was_seen_and_carted_and_bought() -> None:
    session = opened(0)
    assert own_items(session) == set()
    arrive(session, "seen", 0, PARAMETERS)
    session.cart["carted"] = 1
    session.bought["bought"] = None
    assert own_items(session) == {"seen", "carted", "bought"}


# -- laws


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ADD, REMOVE, CLEAR]), st.sampled_from(["a", "b", "c"]), st.integers(1, 4), st.booleans()
        ),
        max_size=30,
    )
)
def test_a_cart_holds_what_a_plain_count_holds(changes: list[tuple[str, str, int, bool]]) -> None:
    session, count = opened(0), {"a": 0, "b": 0, "c": 0}
    for action, item, quantity, is_order in changes:
        if is_order:
            change_cart(session, order("e", 0, "o", item), PARAMETERS)
            count[item] = 0
        elif action == CLEAR:
            change_cart(session, cart(CLEAR), PARAMETERS)
            count = dict.fromkeys(count, 0)
        else:
            change_cart(session, cart(action, Line(item, quantity)), PARAMETERS)
            count[item] = max(0, count[item] + (quantity if action == ADD else -quantity))
    assert session.cart == {item: held for item, held in count.items() if held}


@given(st.lists(st.sampled_from(["e1", "e2", "e3", "é", "😀", "", "e10"]), max_size=25))
def test_a_repeat_is_known_as_if_the_ids_themselves_were_remembered(ids: list[str]) -> None:
    session, remembered = opened(0), ["at-0"]
    for event_id in ids:
        session, fate = admit(session, browse(event_id, 0), PARAMETERS)
        assert (fate == "duplicate") == (event_id in remembered)
        if fate != "duplicate":
            remembered = [*remembered, event_id][-3:]
        assert list(session.event_ids) == hashes(*remembered)


@given(st.lists(st.tuples(st.sampled_from(["e1", "e2", "e3", "e4", "e5"]), st.integers(0, 600)), max_size=25))
def test_a_session_spans_its_events_and_remembers_only_its_newest_ids(events: list[tuple[str, int]]) -> None:
    session = None
    for event_id, time in events:
        session, fate = admit(session, browse(event_id, time), PARAMETERS)
        assert session.started <= session.last
        assert hash64(event_id.encode()) in session.event_ids
        assert len(session.event_ids) <= PARAMETERS.event_ids_max
        if fate in ("joined", "opened"):
            assert session.started <= time <= session.last


def test_a_row_survives_encoding_with_its_order() -> None:
    session = opened(0, 5)
    for item in ["b", "a"]:
        arrive(session, item, 3, PARAMETERS)
        change_cart(session, cart(ADD, Line(item, 2)), PARAMETERS)
    session.offers.append(Offer("x", 5, "browse", ("c", "d")))
    session.judged["c"] = 5
    same = msgspec.msgpack.decode(msgspec.msgpack.encode(session), type=Session)
    assert same == session
    assert (list(same.seen), list(same.cart)) == (["b", "a"], ["b", "a"])
    assert list(same.event_ids) == hashes("at-0", "at-5")
