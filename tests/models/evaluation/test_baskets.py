"""Which lines of which orders are asked for, what the model is shown of the session, and when it is taught."""

from collections.abc import Callable, Collection, Sequence

import pytest

from models.evaluation.baskets import BASKETS
from models.evaluation.recommender import Interaction
from models.evaluation.replay import Replay, has_questions, replay_frozen, replay_prequential
from models.records import Kind

BOTH = pytest.mark.parametrize("replay", [replay_frozen, replay_prequential])


class Recorder:
    """Notes every call with a copy of what it was given, and shows the same items each time."""

    def __init__(self, shown: str = "") -> None:
        self._shown = shown
        self.calls: list[tuple[str, str]] = []
        self.excluded: list[str] = []

    def learn(self, session: Sequence[Interaction]) -> None:
        self.calls.append(("learn", steps(session)))

    def learn_session(self, session: Sequence[Interaction]) -> None:
        self.calls.append(("end", steps(session)))

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        self.calls.append(("ask", steps(session)))
        self.excluded.append("".join(sorted(excluded)))
        return [item for item in self._shown if item not in excluded]


def steps(session: Sequence[Interaction]) -> str:
    signs = {"browse": "", "add-to-cart": "+", "orders": "!"}
    return " ".join(signs[each.kind] + each.item_id for each in session)


def walk(text: str, session_id: str = "s", start_ms: int = 1_000) -> list[Interaction]:
    """Make one session: ``a`` is looked at, ``+a`` added, ``!ab`` one order of a and b; a second a step."""
    session = []
    for number, step in enumerate(text.split()):
        kind: Kind = "orders" if "!" in step else "add-to-cart" if "+" in step else "browse"
        session += [Interaction(session_id, item, start_ms + 1_000 * number, kind) for item in step.strip("+!")]
    return session


def asked(text: str) -> list[tuple[str, str]]:
    """Return (what is shown, target) of each query, the same under both protocols."""
    frozen, prequential = Recorder(), Recorder()
    replay = replay_frozen(frozen, [], walk(text), BASKETS)
    assert replay_prequential(prequential, [], walk(text), BASKETS).targets == replay.targets
    shown = [call[1] for call in frozen.calls]
    assert [call[1] for call in prequential.calls if call[0] == "ask"] == shown
    return list(zip(shown, replay.targets, strict=True))


def test_each_line_in_turn_is_asked_for_with_the_session_and_the_other_lines() -> None:
    assert asked("x y !abc") == [("x y !b !c", "a"), ("x y !a !c", "b"), ("x y !a !b", "c")]


def test_what_comes_after_the_order_is_not_shown() -> None:
    assert asked("x !ab y +z") == [("x !b", "a"), ("x !a", "b")]


def test_of_the_target_nothing_is_shown_that_came_before() -> None:
    assert asked("a x +a b !ab") == [("x b !b", "a"), ("a x +a !a", "b")]


def test_an_order_may_be_the_first_of_its_session() -> None:
    assert asked("!ab") == [("!b", "a"), ("!a", "b")]


def test_an_order_of_one_item_is_not_asked_about() -> None:
    assert asked("x !a") == asked("x !aa") == asked("x +a +b") == asked("x y") == []


def test_an_item_ordered_on_two_lines_is_asked_for_once_and_hidden_on_both() -> None:
    assert asked("x !aba") == [("x !b", "a"), ("x !a !a", "b")]


def test_orders_of_different_times_are_different_orders() -> None:
    assert asked("!ab !cd") == [("!b", "a"), ("!a", "b"), ("!a !b !d", "c"), ("!a !b !c", "d")]
    assert asked("!a !b") == []


def test_an_item_of_an_earlier_order_is_asked_for_as_if_it_were_the_first() -> None:
    assert asked("!ac !ab")[2:] == [("!c !b", "a"), ("!a !c !a", "b")]


@BOTH
def test_all_that_is_shown_is_excluded(replay: Callable[..., Replay]) -> None:
    model = Recorder()
    replay(model, [], walk("x a !ab"), BASKETS)
    assert model.excluded == ["bx", "ax"]


@BOTH
def test_ranks_and_moments_are_those_of_a_replay(replay: Callable[..., Replay]) -> None:
    test = [*walk("x !ab", "s"), *walk("y", "t", 500), *walk("!cd", "u", 9_000)]
    done = replay(Recorder("bxac"), [], test, BASKETS, categories={"a": "tea", "x": "tea", "c": "cup", "d": "cup"})
    assert done.targets == ("a", "b", "c", "d")
    # The session t comes first and holds no query.
    assert done.sessions.tolist() == [1, 1, 2, 2]
    # Lists: ac, bc; bxac, bxa.
    assert done.ranks.tolist() == [1, 1, 4, 0]
    assert done.lengths.tolist() == [2, 2, 4, 3]
    assert done.category_ranks is not None
    assert done.category_ranks.tolist() == [1, -1, 4, 0]
    assert done.at("orders").all()


def test_frozen_learns_nothing_of_the_test() -> None:
    model = Recorder()
    replay_frozen(model, walk("x", "t"), walk("y !ab"), BASKETS)
    assert model.calls == [("learn", "x"), ("end", "x"), ("ask", "y !b"), ("ask", "y !a")]


def test_prequential_teaches_a_session_when_it_has_ended() -> None:
    model = Recorder()
    test = [*walk("a !ab c", "s", 1_000), *walk("x y", "t", 1_500), *walk("!cd", "u", 9_000)]
    replay_prequential(model, walk("w", "r", 1), test, BASKETS)
    assert model.calls == [
        ("learn", "w"),
        ("end", "w"),
        ("ask", "!b"),
        ("ask", "a !a"),
        ("learn", "x"),
        ("learn", "x y"),
        ("end", "x y"),
        ("learn", "a"),
        ("learn", "a !a"),
        ("learn", "a !a !b"),
        ("learn", "a !a !b c"),
        ("end", "a !a !b c"),
        ("ask", "!d"),
        ("ask", "!c"),
        ("learn", "!c"),
        ("learn", "!c !d"),
        ("end", "!c !d"),
    ]


def test_the_catalogue_and_the_progress_count_every_interaction_once() -> None:
    steps_done: list[int] = []
    test = walk("a !ab c")
    replay = replay_prequential(Recorder(), walk("w", "r", 1), test, BASKETS, on_progress=steps_done.append)
    assert replay.counts == {"w": 1, "a": 2, "b": 1, "c": 1}
    assert sum(steps_done) == 1 + len(test)


@pytest.mark.parametrize(("text", "has"), [("!ab", True), ("x !a y !ab", True), ("!a !b", False), ("a b", False)])
def test_whether_there_is_anything_to_ask_is_known_before(text: str, has: bool) -> None:
    assert has_questions(walk(text), BASKETS) == has
