"""Who learns what and when, call by call; what a query is; what is noted of the answers."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvariantError
from models.evaluation.recommender import Interaction
from models.evaluation.replay import (
    ANY,
    NOVEL,
    Replay,
    Target,
    replay_frozen,
    replay_prequential,
)
from models.records import Kind

Call = tuple[str, ...]
CARTS: frozenset[Kind] = frozenset({"add-to-cart"})
ORDERS: frozenset[Kind] = frozenset({"orders"})


class Recorder:
    """Notes every call with a copy of what it was given, and shows the same items each time."""

    def __init__(self, shown: Sequence[str] = ()) -> None:
        self.shown = list(shown)
        self.calls: list[Call] = []
        self.asked: list[tuple[str, str]] = []

    def learn(self, session: Sequence[Interaction]) -> None:
        self.calls.append(("learn", session[-1].session_id, items(session)))

    def learn_session(self, session: Sequence[Interaction]) -> None:
        self.calls.append(("end", session[-1].session_id, items(session)))

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        assert n == 20
        self.calls.append(("ask", session[-1].session_id, items(session)))
        self.asked.append((items(session), "".join(sorted(excluded))))
        return [item for item in self.shown if item not in excluded]


def items(session: Sequence[Interaction]) -> str:
    return "".join(each.item_id for each in session)


def made(*rows: tuple[str, str, int]) -> list[Interaction]:
    return [Interaction(session, item, time_ms) for session, item, time_ms in rows]


def walk(*steps: str) -> list[Interaction]:
    """Make one session: ``a`` is looked at, ``+a`` added, ``!a`` ordered; a step ``=`` stays at the same time."""
    session: list[Interaction] = []
    for number, step in enumerate(steps):
        kind: Kind = "add-to-cart" if "+" in step else "orders" if "!" in step else "browse"
        time_ms = session[-1].time_ms if "=" in step else 1000 + number
        session.append(Interaction("s", step[-1], time_ms, kind))
    return session


TRAIN = made(("a", "x", 1), ("b", "y", 2), ("a", "z", 3))
TRAIN_CALLS: list[Call] = [
    ("learn", "a", "x"),
    ("learn", "b", "y"),
    ("end", "b", "y"),
    ("learn", "a", "xz"),
    ("end", "a", "xz"),
]
TEST = made(("c", "x", 10), ("d", "y", 10), ("c", "z", 11), ("d", "x", 11), ("d", "w", 11), ("e", "x", 12))

# -- the order of calls


def test_frozen_learns_the_train_part_then_asks_session_by_session() -> None:
    model = Recorder()
    replay_frozen(model, TRAIN, TEST, ANY)
    assert model.calls == [*TRAIN_CALLS, ("ask", "c", "x"), ("ask", "d", "y"), ("ask", "d", "yx")]


def test_prequential_asks_before_it_teaches_in_global_time_order() -> None:
    model = Recorder()
    replay_prequential(model, TRAIN, TEST, ANY)
    assert model.calls == [
        *TRAIN_CALLS,
        ("learn", "c", "x"),
        ("learn", "d", "y"),
        ("ask", "c", "x"),
        ("learn", "c", "xz"),  # over, but not known to be while the time is still 11
        ("ask", "d", "y"),
        ("learn", "d", "yx"),
        ("ask", "d", "yx"),
        ("learn", "d", "yxw"),
        ("end", "c", "xz"),
        ("end", "d", "yxw"),
        ("learn", "e", "x"),
        ("end", "e", "x"),
    ]


def test_an_ended_session_is_learnt_before_the_next_later_query() -> None:
    model = Recorder()
    replay_prequential(model, [], made(("c", "x", 1), ("d", "y", 2), ("c", "z", 3)), ANY)
    assert model.calls == [
        ("learn", "c", "x"),
        ("learn", "d", "y"),
        ("end", "d", "y"),
        ("ask", "c", "x"),
        ("learn", "c", "xz"),
        ("end", "c", "xz"),
    ]


def test_sessions_that_end_at_one_time_are_learnt_in_the_order_of_their_last_interactions() -> None:
    model = Recorder()
    replay_frozen(model, made(("a", "x", 1), ("b", "y", 1), ("b", "x", 2), ("a", "y", 2)), [], ANY)
    assert model.calls[-2:] == [("end", "b", "yx"), ("end", "a", "xy")]


@pytest.mark.parametrize("replay", [replay_frozen, replay_prequential])
def test_input_is_sorted_by_time_and_equal_times_keep_their_order(replay: Callable[..., Replay]) -> None:
    sorted_input, model = Recorder(), Recorder()
    replay(sorted_input, TRAIN, TEST, ANY)
    late_first = sorted(TEST, key=lambda each: -each.time_ms)
    assert late_first != TEST
    replay(model, TRAIN[::-1], late_first, ANY)
    assert model.calls == sorted_input.calls


streams = st.lists(st.tuples(st.sampled_from("cdef"), st.sampled_from("uvwxyz"), st.integers(0, 6)), max_size=25)


@given(streams, st.sampled_from([NOVEL, ANY, Target(True, frozenset({"browse"}))]))
def test_frozen_never_teaches_a_test_session(rows: list[tuple[str, str, int]], target: Target) -> None:
    model = Recorder()
    replay_frozen(model, TRAIN, made(*rows), target)
    assert [call for call in model.calls if call[0] != "ask"] == TRAIN_CALLS


@given(streams, st.sampled_from([NOVEL, ANY, Target(True, frozenset({"browse"}))]))
def test_prequential_teaches_all_but_nothing_before_it_was_asked(
    rows: list[tuple[str, str, int]], target: Target
) -> None:
    model = Recorder()
    test = made(*rows)
    replay = replay_prequential(model, [], test, target)
    learnt: dict[str, str] = {}
    whole = {each.session_id: "" for each in test}
    for each in sorted(test, key=lambda each: each.time_ms):
        whole[each.session_id] += each.item_id
    ended: set[str] = set()
    for call, session, seen in model.calls:
        assert session not in ended
        if call == "learn":
            assert seen[:-1] == learnt.get(session, "")
            learnt[session] = seen
        elif call == "ask":
            # Just as much of the session is learnt as is shown, and more of it is to come.
            assert seen == learnt[session] and len(seen) < len(whole[session])
        else:
            assert seen == whole[session] == learnt[session]
            ended.add(session)
    assert learnt == whole and ended == whole.keys()
    assert replay.counts == Counter(each.item_id for each in test)


@given(streams, st.sampled_from([NOVEL, ANY, Target(True, frozenset({"browse"}))]))
def test_both_protocols_hold_the_same_queries_in_the_same_order(
    rows: list[tuple[str, str, int]], target: Target
) -> None:
    frozen, prequential = (
        replay(Recorder("zyxw"), TRAIN, made(*rows), target) for replay in (replay_frozen, replay_prequential)
    )
    assert frozen.targets == prequential.targets
    for array in ("sessions", "moments", "ranks", "lengths"):
        assert getattr(frozen, array).tolist() == getattr(prequential, array).tolist()


@pytest.mark.parametrize("replay", [replay_frozen, replay_prequential])
def test_a_session_in_both_parts_is_refused(replay: Callable[..., Replay]) -> None:
    with pytest.raises(InvariantError, match="session 'a' and 0 others are in train and in test"):
        replay(Recorder(), TRAIN, made(("a", "y", 9)), ANY)


# -- what a query is


def asked(session: Sequence[Interaction], target: Target) -> list[tuple[str, str, str]]:
    """Return (session so far, excluded items, target) of each query, the same under both protocols."""
    model = Recorder()
    replay = replay_frozen(model, [], session, target)
    online = Recorder()
    assert replay_prequential(online, [], session, target).targets == replay.targets
    assert online.asked == model.asked
    return [(*query, item) for query, item in zip(model.asked, replay.targets, strict=True)]


def test_any_asks_at_every_position_and_excludes_nothing() -> None:
    assert asked(walk("a", "b", "a"), ANY) == [("a", "", "b"), ("ab", "", "a")]


def test_novel_asks_only_for_items_not_met_and_excludes_the_rest() -> None:
    assert asked(walk("a", "a", "b", "a", "c"), NOVEL) == [("aa", "a", "b"), ("aaba", "ab", "c")]


def test_with_kinds_the_target_is_the_next_later_one_of_these() -> None:
    assert asked(walk("a", "b", "+c", "d", "!e", "f"), Target(False, CARTS)) == [("a", "", "c"), ("ab", "", "c")]
    both = asked(walk("a", "+b", "!c"), Target(False, CARTS | ORDERS))
    assert both == [("a", "", "b"), ("ab", "", "c")]


def test_with_kinds_novel_is_what_was_not_yet_met_in_these_kinds() -> None:
    # What was looked at is not yet added. After "aba" and "abac" a is added again: no query, nor does d replace it.
    queries = asked(walk("a", "b", "+a", "c", "+a", "+d"), Target(True, CARTS))
    assert queries == [("a", "", "a"), ("ab", "", "a"), ("abaca", "a", "d")]


def test_an_added_item_is_still_to_be_ordered() -> None:
    assert asked(walk("+a", "!a"), Target(True, ORDERS)) == [("a", "", "a")]
    assert asked(walk("+a", "!a"), Target(True, CARTS | ORDERS)) == []


def test_lines_of_one_order_are_not_each_others_targets() -> None:
    session = walk("a", "!b", "!=c", "d", "!e")
    assert asked(session, Target(False, ORDERS)) == [
        ("a", "", "b"),
        ("ab", "", "e"),
        ("abc", "", "e"),
        ("abcd", "", "e"),
    ]
    assert asked(walk("!b", "!c"), Target(False, ORDERS)) == [("b", "", "c")]
    assert asked(walk("+b", "+=c"), Target(False, CARTS)) == [("b", "", "c")]


def test_one_interaction_is_no_query() -> None:
    assert asked(walk("a"), ANY) == asked([], ANY) == []


# -- what is noted


def test_ranks_count_from_1_and_a_miss_is_0() -> None:
    replay = replay_frozen(Recorder("bcd"), [], walk("a", "d", "b", "c", "e"), ANY)
    assert replay.ranks.tolist() == [3, 1, 2, 0]
    assert replay.lengths.tolist() == [3, 3, 3, 3]


def test_queries_name_their_session_in_the_order_of_first_interactions() -> None:
    test = made(
        ("d", "x", 1), ("c", "x", 2), ("c", "y", 3), ("solo", "x", 4), ("e", "x", 4), ("d", "y", 5), ("e", "y", 6)
    )
    for replay in (replay_frozen, replay_prequential):
        assert replay(Recorder(), [], test, ANY).sessions.tolist() == [0, 1, 3]


def test_queries_can_be_split_by_the_kind_of_the_newest_interaction() -> None:
    replay = replay_frozen(Recorder(), [], walk("a", "+b", "!c", "d", "e"), ANY)
    assert replay.at("browse").tolist() == [True, False, False, True]
    assert replay.at("add-to-cart").tolist() == [False, True, False, False]
    assert replay.at("orders").tolist() == [False, False, True, False]


def test_exposure_adds_up_the_shares_of_the_lists() -> None:
    # The lists are [b, c], [c] and nothing.
    replay = replay_frozen(Recorder("bc"), [], walk("a", "b", "c", "d"), NOVEL)
    assert replay.exposure == {"b": 0.5, "c": 1.5}
    assert replay.lengths.tolist() == [2, 1, 0]


@pytest.mark.parametrize(("replay", "learnt"), [(replay_frozen, "xyz"), (replay_prequential, "xyzxyzxwx")])
def test_the_catalogue_is_what_was_learnt(replay: Callable[..., Replay], learnt: str) -> None:
    assert replay(Recorder(), TRAIN, TEST, ANY).counts == Counter(learnt)


def test_the_first_item_of_the_targets_category_is_ranked() -> None:
    categories = {"b": "tea", "c": "pot", "d": "pot", "e": "cup"}
    replay = replay_frozen(Recorder("bcd"), [], walk("a", "d", "e", "f", "b"), ANY, categories=categories)
    assert replay.category_ranks is not None
    assert replay.category_ranks.tolist() == [2, 0, -1, 1]
    assert replay_frozen(Recorder("b"), [], walk("a", "b"), ANY).category_ranks is None


def test_without_a_clock_no_time_is_known() -> None:
    replay = replay_frozen(Recorder(), TRAIN, TEST, ANY)
    assert (replay.query_us, replay.learn_us) == (None, None)


def ticking() -> Callable[[], float]:
    """Return a clock that goes on by a second each time it is read: a call takes one."""
    seconds: Iterator[int] = count()
    return lambda: float(next(seconds))


def test_times_are_means_a_query_and_an_interaction_learnt() -> None:
    replay = replay_frozen(Recorder(), TRAIN, TEST, ANY, clock=ticking())
    # Three interactions learnt, and two sessions.
    assert (replay.query_us, replay.learn_us) == (1e6, pytest.approx(5e6 / 3))
    online = replay_prequential(Recorder(), TRAIN, TEST, ANY, clock=ticking())
    assert (online.query_us, online.learn_us) == (1e6, pytest.approx((9 + 5) * 1e6 / 9))


def test_times_of_what_never_happened_are_unknown() -> None:
    replay = replay_frozen(Recorder(), [], walk("a"), ANY, clock=ticking())
    assert (replay.query_us, replay.learn_us) == (None, None)


@pytest.mark.parametrize("replay", [replay_frozen, replay_prequential])
def test_progress_is_told_every_thousand_and_at_the_end(replay: Callable[..., Replay]) -> None:
    steps: list[int] = []
    train = [Interaction(f"a{number}", "x", number) for number in range(1_500)]
    replay(Recorder(), train, TEST, ANY, on_progress=steps.append)
    assert steps == [1_000, 506]


@pytest.mark.parametrize("shown", ["bcb", "ba", "bcdefghijklmnopqrstuv"], ids=["twice", "excluded", "too many"])
def test_a_list_that_breaks_the_protocol_is_refused(shown: str) -> None:
    class Broken(Recorder):
        def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
            return list(shown)

    with pytest.raises(InvariantError, match=r"Broken answered .* in session 's'"):
        replay_frozen(Broken(), [], walk("a", "b"), NOVEL)


def test_a_list_of_twenty_is_allowed() -> None:
    assert replay_frozen(Recorder("abcdefghijklmnopqrst"), [], walk("a", "t"), ANY).ranks.tolist() == [20]
