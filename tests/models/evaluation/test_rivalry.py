"""What is counted of rivals: by the recording's categories and by timing, at the moments cart and order."""

from collections.abc import Mapping
from functools import partial

import pytest

from models.evaluation.recommender import Interaction
from models.evaluation.replay import NOVEL, Replay, replay_frozen
from models.evaluation.rivalry import RivalEffect, rival_effect
from models.kernel.rows import DenseRows
from models.records import Kind
from models.rows import PlainRows

CATEGORIES = {"green": "tea", "black": "tea", "cup": "pots", "jug": "pots", "mat": "mats"}
FIGURES = {
    "queries", "same_category@4", "compared@4", "hr@4", "hr@20", "category_hr@4", "category_hr@20", "empty"
}  # fmt: skip


def session(name: str, *items: str, gap_s: int = 60, kinds: Mapping[int, Kind] | None = None) -> list[Interaction]:
    """Return a session of views; `kinds` says which places are something else."""
    start_ms = 1_000_000 * sum(name.encode())
    return [
        Interaction(name, item, start_ms + 1_000 * gap_s * place, (kinds or {}).get(place, "browse"), CATEGORIES[item])
        for place, item in enumerate(items)
    ]


#: Who looks at green tea looks at black tea and at a cup; others look at mats, too few to make them popular.
PAST = [
    *(each for n in range(9) for each in session(f"p{n}", "green", "black", "cup")),
    *(each for n in range(19) for each in session(f"q{n}", "mat")),
]


def effect(
    past: list[Interaction], test: list[Interaction], categories: Mapping[str, str] = CATEGORIES
) -> dict[str, RivalEffect]:
    def replay(model: object, **more: object) -> Replay:
        return replay_frozen(model, past, test, NOVEL, categories=categories)  # type: ignore[arg-type]

    plain, dense = (rival_effect(partial(replay), categories, new_rows) for new_rows in (PlainRows, DenseRows))
    assert plain == dense
    return plain


def test_both_moments_have_both_ways_and_all_figures() -> None:
    result = effect(PAST, session("z", "green", "black", kinds={0: "add-to-cart"}))
    assert list(result) == ["cart", "order"]
    for moment in result.values():
        assert list(moment) == ["kept_back", "offered"]
        assert set(moment["kept_back"]) == set(moment["offered"]) == FIGURES


def test_rivals_by_category_are_offered_without_the_rule_only() -> None:
    cart = effect(PAST, session("z", "green", "black", kinds={0: "add-to-cart"}))["cart"]
    # Offered are black and cup, or cup alone; the next item is black.
    assert (cart["offered"]["same_category@4"], cart["kept_back"]["same_category@4"]) == (0.5, 0.0)
    assert (cart["offered"]["hr@4"], cart["kept_back"]["hr@4"]) == (1.0, 0.0)
    assert (cart["offered"]["category_hr@20"], cart["kept_back"]["category_hr@20"]) == (1.0, 0.0)
    assert cart["offered"]["queries"] == cart["kept_back"]["queries"] == 1


def test_moments_are_those_of_the_newest_interaction() -> None:
    test = session("z", "mat", "green", "cup", "black", kinds={1: "add-to-cart", 2: "orders"})
    result = effect(PAST, test)
    assert [result[moment]["offered"]["queries"] for moment in ("cart", "order")] == [1, 1]
    # Offered are black and cup, then black alone.
    assert [result[moment]["offered"]["same_category@4"] for moment in ("cart", "order")] == [0.5, 1.0]


def test_a_suggestion_that_the_rule_empties_is_counted() -> None:
    past = [each for n in range(9) for each in session(f"p{n}", "green", "black")]
    past += [each for n in range(19) for each in session(f"q{n}", "mat")]
    cart = effect(past, session("z", "green", "black", kinds={0: "add-to-cart"}))["cart"]
    assert (cart["offered"]["empty"], cart["kept_back"]["empty"]) == (0, 1)
    assert cart["kept_back"]["same_category@4"] is None


def test_what_most_sessions_compared_is_counted_whatever_its_category() -> None:
    quick = [each for n in range(9) for each in session(f"p{n}", "green", "cup", gap_s=5)]
    slow = [each for n in range(9) for each in session(f"p{n}", "green", "cup", gap_s=16)]
    others = [each for n in range(19) for each in session(f"q{n}", "mat")]
    test = session("z", "green", "cup", kinds={0: "add-to-cart"})
    assert effect(quick + others, test)["cart"]["kept_back"]["compared@4"] == 1.0
    assert effect(slow + others, test)["cart"]["kept_back"]["compared@4"] == 0.0


def test_what_is_held_with_an_unknown_category_has_no_rival_by_category() -> None:
    known = {item: category for item, category in CATEGORIES.items() if item != "green"}
    cart = effect(PAST, session("z", "green", "black", kinds={0: "add-to-cart"}), known)["cart"]
    assert cart["offered"]["same_category@4"] == 0.0


@pytest.mark.parametrize("moment", ["cart", "order"])
def test_without_queries_nothing_is_known(moment: str) -> None:
    figures = effect(PAST, session("z", "green", "black"))[moment]["offered"]
    assert (figures.pop("queries"), figures.pop("empty")) == (0, 0)  # type: ignore[misc]
    assert set(figures.values()) == {None}
