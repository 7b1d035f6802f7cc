"""Sidecart under evaluation is the worker's Sidecart: the same suggestions, the same rows, for the same events."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Increment
from models.coverage import Packed, Span
from models.evaluation.recommender import Interaction
from models.evaluation.sidecart import Sidecart
from models.kernel.rows import DenseRows
from models.parameters import DEFAULTS, Parameters
from models.records import MOMENTS, Event, Kind, Line
from models.rows import PlainRows, Rows
from models.session import own_items
from models.shard import Shard
from models.suggesting import EventEntry, SessionShard, Suggestion, suggest

START = 1_767_607_200_000
MINUTE = 60_000
GAP = DEFAULTS.session_gap_ms
RETENTION = DEFAULTS.session_retention_ms

#: A small shop shows something after few sessions, so that there is something to compare.
EAGER = replace(DEFAULTS, confidence_z=0.2, popular_sessions_floor=2.0, query_items=3, row_size=4)
CATEGORIES = {"a": "tea", "b": "tea", "c": "cup", "d": "cup", "e": None, "f": None, "g": "jug", "h": "jug", "i": "jug"}
ITEMS = "abcdefghijkl"


class Worker:
    """The stages suggest and learn, one event a record; what an order adds is learnt after the next suggestion."""

    def __init__(self, parameters: Parameters) -> None:
        self.shard: SessionShard = Shard(0)
        self.rows = PlainRows(parameters)
        self._parameters = parameters
        self._ordered: list[tuple[Increment, int]] = []

    def suggest(self, event: Event) -> Suggestion:
        """Return what is suggested after an event, then learn."""
        offset = self.shard.position
        entry = EventEntry(0, offset, event.time, event)
        packed = Packed([Span("in-0", offset - 1, offset)], [entry])
        effects = suggest(self.shard, offset, packed, self.rows, {}, self._parameters)
        self.learn_orders()
        for time_ms, _, increment in effects.increments:
            if event.kind == "orders" and increment.anchor != TOTALS:
                self._ordered.append((increment, time_ms))
            else:
                self.rows.fold_all([(increment, time_ms)])
        [(suggestion, _, _)] = effects.suggestions
        return suggestion

    def learn_orders(self) -> None:
        self.rows.fold_all(self._ordered)
        self._ordered = []


def event_of(number: int, lines: Sequence[Interaction]) -> Event:
    first = lines[0]
    return Event(
        kind=first.kind,
        event_id=str(number),
        session_id=first.session_id,
        time=first.time_ms,
        moment=MOMENTS[first.kind],
        lines=tuple(Line(line.item_id, category=line.category) for line in lines),
        order_id=str(number) if first.kind == "orders" else None,
    )


def assert_agreement(events: Sequence[Sequence[Interaction]], parameters: Parameters) -> list[Suggestion]:
    """Let worker and model live through the same events, each a line or an order's; return the suggestions."""
    worker, model = Worker(parameters), Sidecart(parameters)
    sessions: dict[str, list[Interaction]] = {}
    suggestions = []
    for number, lines in enumerate(events):
        session = sessions.setdefault(lines[0].session_id, [])
        suggestion = worker.suggest(event_of(number, lines))
        suggestions.append(suggestion)
        excluded = own_items(worker.shard.rows[lines[0].session_id])
        # Asked before it is taught: the worker ranks before it learns.
        shown = model.suggest([*session, *lines], parameters.suggestions_max, excluded)
        assert shown == (suggestion.items, suggestion.reason)
        for line in lines:
            session.append(line)
            model.learn(session)
    worker.learn_orders()
    for session in sessions.values():
        model.learn_session(session)
    assert dict(model.rows) == dict(worker.rows)
    return suggestions


def met(session: str, items: str, time_ms: int, kind: Kind = "browse") -> list[Interaction]:
    return [Interaction(session, item, START + time_ms, kind, CATEGORIES.get(item)) for item in items]


def taught(model: Sidecart, *sessions: Sequence[Interaction]) -> Sidecart:
    for session in sessions:
        for count in range(1, len(session) + 1):
            model.learn(session[:count])
    return model


def walk(session: str, items: str, start_ms: int = 0, kind: Kind = "browse") -> list[Interaction]:
    """Return interactions a second apart."""
    return [each for place, item in enumerate(items) for each in met(session, item, start_ms + 1000 * place, kind)]


# -- the same as the worker

GAPS = st.sampled_from([1, 1_000, 14_000, 10 * MINUTE, GAP, GAP + 1, RETENTION, RETENTION + 1])
ACTS = st.one_of(
    st.tuples(st.just("browse"), st.sampled_from("abcdef")),
    st.tuples(st.just("add-to-cart"), st.sampled_from("abcdef")),
    st.tuples(st.just("orders"), st.text("abcdef", min_size=1, max_size=3)),
)
TRAFFIC = st.lists(st.tuples(st.sampled_from("stu"), GAPS, ACTS), min_size=1, max_size=40)


@settings(max_examples=150)
@given(TRAFFIC)
def test_suggestions_and_rows_are_those_of_the_worker(traffic: list[tuple[str, int, tuple[Kind, str]]]) -> None:
    events, now_ms = [], 0
    for session, gap_ms, (kind, items) in traffic:
        now_ms += gap_ms
        events.append(met(session, items, now_ms, kind))
    assert_agreement(events, EAGER)


def test_a_long_day_of_a_small_shop_is_suggested_alike() -> None:
    shopper = random.Random(1)
    events, now_ms = [], 0
    for number in range(400):
        now_ms += shopper.choice((3_000, 20_000, 70_000, 400_000))
        kind: Kind = shopper.choice(("browse", "browse", "browse", "add-to-cart", "orders"))
        lines = 2 if kind == "orders" else 1
        items = "".join(shopper.choices(ITEMS, range(len(ITEMS), 0, -1), k=lines))
        events.append(met(f"s{number // 25}-{shopper.randrange(4)}", items, now_ms, kind))
    suggestions = assert_agreement(events, EAGER)
    shown = [item for suggestion in suggestions for item in suggestion.items]
    assert len(shown) > 200
    assert len({item.evidence.source for item in shown}) > 1
    assert len({suggestion.reason for suggestion in suggestions}) > 1


def test_lines_of_an_order_are_learnt_as_one_event() -> None:
    # b was looked at before a was ordered with it: both ordered, whichever line comes first.
    assert_agreement([met("s", "b", 0), met("s", "ab", 1_000, "orders"), met("t", "a", 2_000)], EAGER)
    model = taught(Sidecart(), [*met("s", "b", 0), *met("s", "ab", 1_000, "orders")])
    assert "a" not in model.rows
    model.learn(met("t", "c", 2_000))
    assert model.rows.pair("b", "a", START + 2_000)[0] > 0.99


# -- sessions


def test_after_the_gap_a_session_starts_anew_with_its_cart() -> None:
    session = [*met("s", "a", 0), *met("s", "b", 1_000, "add-to-cart"), *met("s", "c", 1_001 + GAP, "add-to-cart")]
    asked = taught(Sidecart(), session).query(session, ())
    assert [item for item, _ in asked.positions] == ["c"]
    assert set(asked.held) == {"b", "c"}


def test_up_to_the_gap_a_session_goes_on() -> None:
    session = [*met("s", "a", 0), *met("s", "b", GAP)]
    assert [item for item, _ in Sidecart().query(session, ()).positions] == ["b", "a"]


def test_a_session_that_was_forgotten_has_no_cart() -> None:
    for pause_ms, held in ((RETENTION, {"a", "b"}), (RETENTION + 1, {"b"})):
        session = [*met("s", "a", 0, "add-to-cart"), *met("s", "b", pause_ms, "add-to-cart")]
        assert set(Sidecart().query(session, ()).held) == held


def test_a_pause_is_seen_alike_in_a_session_that_is_not_learnt() -> None:
    session = [*walk("s", "ab"), *walk("s", "cd", 2 * GAP)]
    learnt, fresh = taught(Sidecart(), session), Sidecart()
    for count in range(1, len(session) + 1):
        fresh.query(session[:count], ())
    assert fresh.query(session, ()) == learnt.query(session, ())


def test_each_session_is_counted_once_and_again_after_the_gap() -> None:
    model = taught(Sidecart(), walk("s", "ab"), [*met("t", "a", 5_000), *met("t", "b", 5_001 + GAP)])
    assert model.rows.total(START + 5_001 + GAP) == pytest.approx(3, rel=0.01)


# -- questions


@pytest.mark.parametrize("new_rows", [PlainRows, DenseRows])
def test_a_question_teaches_nothing(new_rows: Callable[[Parameters], Rows]) -> None:
    model = taught(Sidecart(EAGER, new_rows), *(walk(f"s{n}", "acbd", 10_000 * n) for n in range(4)))
    rows = dict(model.rows)
    first = model.suggest(walk("x", "a", 90_000), 4, {"a"})
    for other in (walk("x", "abcdef", 90_000), walk("y", "zz", 10**9), walk("s3", "acb", 30_000)):
        model.recommend(other, 20, ())
    assert dict(model.rows) == rows
    assert model.suggest(walk("x", "a", 90_000), 4, {"a"}) == first


def test_a_session_may_be_shown_otherwise_than_it_was_learnt() -> None:
    sessions = [walk(f"s{n}", "acbd", 10_000 * n) for n in range(4)]
    model, fresh = taught(Sidecart(EAGER), *sessions), taught(Sidecart(EAGER), *sessions)
    learnt = walk("x", "ab", 90_000)
    taught(model, learnt)
    taught(fresh, [each._replace(session_id="y") for each in learnt])
    for shown in (walk("x", "b", 91_000), [*learnt, *walk("x", "c", 92_000)], learnt[:1], walk("x", "cb", 90_000)):
        assert model.query(shown, ()) == fresh.query(shown, ())


def test_it_goes_on_learning_after_it_was_asked_ahead() -> None:
    session = walk("s", "abc")
    model, plain = Sidecart(), taught(Sidecart(), session)
    model.learn(session[:1])
    model.query(session, ())
    taught_rest = [session[:2], session]
    for part in taught_rest:
        model.learn(part)
    assert dict(model.rows) == dict(plain.rows)


def test_counts_are_read_as_of_the_newest_time_that_was_learnt_or_is_asked_about() -> None:
    model = taught(Sidecart(), walk("s", "ab", 50_000))
    assert model.query(walk("x", "a"), ()).now_ms == START + 51_000
    assert model.query(walk("y", "a", 99_000), ()).now_ms == START + 99_000
    assert model.query(walk("x", "a"), ()).now_ms == START + 51_000


def test_what_is_excluded_is_what_the_question_says() -> None:
    model = taught(Sidecart(EAGER), *(walk(f"s{n}", "acae", 10_000 * n) for n in range(9)))
    session = walk("x", "ac", 90_000)
    assert "c" in model.recommend(session, 4, ())
    assert "c" not in model.recommend(session, 4, {"c"})


def test_rivals_may_be_offered() -> None:
    sessions = [walk(f"s{n}", "ab", 10_000 * n) for n in range(9)] + [walk(f"t{n}", "c", 100_000) for n in range(9)]
    kept_back, offered = (taught(Sidecart(DEFAULTS, is_keeping_back_rivals=rule), *sessions) for rule in (True, False))
    cart = met("x", "a", 200_000, "add-to-cart")
    assert kept_back.suggest(cart, 4, {"a"}) == ((), "only-rivals")
    assert offered.recommend(cart, 4, {"a"}) == ["b"]
    browse = met("y", "a", 200_000)
    assert kept_back.suggest(browse, 4, {"a"}) == offered.suggest(browse, 4, {"a"})


# -- size


def test_bytes_are_known_of_dense_rows_only() -> None:
    assert taught(Sidecart(), walk("s", "ab")).bytes_per_item is None
    dense = Sidecart(DEFAULTS, DenseRows)
    assert dense.bytes_per_item is None
    taught(dense, walk("s", "ab"))
    assert isinstance(dense.rows, DenseRows)
    # The rows of a, of b, and of all sessions.
    assert dense.bytes_per_item == dense.rows.nbytes / 3
