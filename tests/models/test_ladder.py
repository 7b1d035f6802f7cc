"""The rungs in their order, what fills up, rivals that are kept back, and the reasons for silence."""

from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import TOTALS, Row
from models.evidence import Evidence
from models.ladder import REASONS, Query, SuggestedItem, answer
from models.parameters import DEFAULTS
from models.ranking import rank
from models.rounding import rounded
from models.rows import PlainRows

HALF_LIFE_MS = 1_000
PARAMETERS = replace(DEFAULTS, half_life_ms=HALF_LIFE_MS)
ALL = 1_000.0


def row(sessions: float, category: str | None = None, **pairs: float) -> Row:
    """A row whose weights are its pairs: the more often met, the higher in rank."""
    return Row(0, sum(pairs.values()), sessions, sessions, dict(pairs), dict(pairs), {}, category)


def shop(total: float = ALL, **rows: Row) -> PlainRows:
    result = PlainRows(PARAMETERS)
    result.update({TOTALS: row(total), **rows})
    return result


def ask(
    *items: str,
    category: str | None = None,
    held: Collection[str] = (),
    excluded: Collection[str] = (),
    now_ms: int = 0,
) -> Query:
    """The query of a session of these items, newest first, all seen just now."""
    return Query([(item, 0) for item in items], category, held, {*items, *excluded}, 0, now_ms)


def shown(rows: PlainRows, query: Query, most: int = 4) -> list[tuple[str, str]]:
    """Each item that is shown, and the source of its evidence."""
    items, reason = answer(rows, query, most, PARAMETERS)
    assert (reason is None) == bool(items)
    return [(item.item_id, item.evidence.source) for item in items]


def silence(rows: PlainRows, query: Query) -> str | None:
    items, reason = answer(rows, query, 4, PARAMETERS)
    assert items == ()
    return reason


# -- the rungs


def test_what_was_met_with_the_session_s_item_is_shown_with_that_evidence() -> None:
    rows = shop(tea=row(8.0, cup=6.0), cup=row(20.0))
    (item,), reason = answer(rows, ask("tea"), 4, PARAMETERS)
    # 6 of 1000; 6 of 8; 0.75 over 20 of 1000
    assert item == SuggestedItem("cup", 1, item.score, Evidence("pair", "tea", None, 6.0, 0.006, 0.75, 37.5))
    assert reason is None


def test_what_a_neighbour_leads_to_is_shown_with_the_evidence_of_both_steps() -> None:
    rows = shop(tea=row(8.0, cup=6.0), cup=row(10.0, saucer=5.0), saucer=row(10.0))
    (item,), _ = answer(rows, ask("tea", excluded=["cup"]), 4, PARAMETERS)
    # 6/8 · 5/10, over 10 of 1000
    assert (item.item_id, item.evidence) == ("saucer", Evidence("neighbour", "tea", "cup", 5.0, 0.005, 0.375, 37.5))


def test_what_is_popular_in_the_newest_item_s_category_is_shown_as_such() -> None:
    rows = shop(tea=row(1.0, "drinks"), juice=row(50.0, "drinks"))
    (item,), reason = answer(rows, ask("tea", category="drinks"), 4, PARAMETERS)
    assert item == SuggestedItem("juice", 1, 0.0, Evidence("category", "tea", None, 50.0, 0.05, 0.05, 1.0))
    assert reason is None


def test_what_is_popular_over_all_is_shown_as_such() -> None:
    (item,), reason = answer(shop(bread=row(50.0)), ask("tea"), 4, PARAMETERS)
    assert item == SuggestedItem("bread", 1, 0.0, Evidence("popular", None, None, 50.0, 0.05, 0.05, 1.0))
    assert reason is None


def full_shop() -> PlainRows:
    return shop(
        tea=row(8.0, "drinks", cup=6.0),
        cup=row(10.0, "dishes", saucer=5.0),
        saucer=row(10.0, "dishes"),
        juice=row(50.0, "drinks"),
        bread=row(90.0, "food"),
    )


def test_lower_rungs_fill_the_places_that_the_higher_ones_leave() -> None:
    # bread is more popular than juice, and stands after it all the same
    rows, query = full_shop(), ask("tea", category="drinks")
    everything = [("cup", "pair"), ("saucer", "neighbour"), ("juice", "category"), ("bread", "popular")]
    for most in (1, 2, 3, 4, 5):
        assert shown(rows, query, most) == everything[:most]


def test_ranks_count_on_over_the_rungs_and_what_is_merely_popular_has_no_score() -> None:
    items, _ = answer(full_shop(), ask("tea", category="drinks"), 4, PARAMETERS)
    assert [item.rank for item in items] == [1, 2, 3, 4]
    assert [item.score > 0 for item in items] == [True, True, False, False]


def test_of_popular_items_the_most_popular_come_first() -> None:
    rows = shop(bread=row(50.0), salt=row(70.0), oil=row(60.0))
    assert shown(rows, ask("tea")) == [("salt", "popular"), ("oil", "popular"), ("bread", "popular")]


def test_an_item_is_shown_once_on_its_highest_rung() -> None:
    rows = shop(tea=row(8.0, "drinks", juice=6.0), juice=row(50.0, "drinks"), milk=row(40.0, "drinks"))
    query = ask("tea", category="drinks")
    assert shown(rows, query) == [("juice", "pair"), ("milk", "category")]


def test_an_item_with_too_little_evidence_may_still_be_popular() -> None:
    # 1 of 100 with tea have the juice that 50 of 1000 have.
    rows = shop(tea=row(100.0, juice=1.0), juice=row(50.0))
    assert shown(rows, ask("tea")) == [("juice", "popular")]


def test_a_candidate_that_everybody_meets_keeps_the_place_that_its_score_gives_it() -> None:
    # A fifth of all have the juice, with tea or without. 4 of 1000 have a cup, of those with tea 2 of 100.
    rows = shop(tea=row(100.0, "drinks", juice=20.0, cup=2.0), juice=row(200.0), cup=row(4.0), milk=row(90.0, "drinks"))
    items, _ = answer(rows, ask("tea", category="drinks"), 4, PARAMETERS)
    assert [(item.item_id, item.evidence.source) for item in items] == [
        ("juice", "popular"),
        ("cup", "pair"),
        ("milk", "category"),
    ]
    assert [item.score > 0 for item in items] == [True, True, False]


def test_a_weak_candidate_is_passed_over_and_takes_no_rank() -> None:
    rows = shop(tea=row(100.0, a=30.0, b=20.0, c=10.0), a=row(50.0), b=row(900.0), c=row(10.0))
    items, _ = answer(rows, ask("tea", excluded=["tea"]), 2, PARAMETERS)
    assert [(item.item_id, item.rank) for item in items] == [("a", 1), ("c", 2)]


def test_scores_are_rounded_for_the_message_alone() -> None:
    rows = shop(tea=row(8.0, cup=6.0), cup=row(20.0))
    (item,), _ = answer(rows, ask("tea"), 4, PARAMETERS)
    assert item.score == rounded(rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score, 6)


def test_scores_are_rounded_to_six_digits_halves_upwards() -> None:
    # The score is the cup's share of the row alone: 6 of 768 are 0.0078125.
    plain = replace(
        PARAMETERS, compression=1.0, mass_prior=0.0, popularity_exponent=0.0, trend_exponent=0.0, hop_neighbours=0
    )
    rows = PlainRows(plain)
    rows.update({TOTALS: row(ALL), "tea": row(8.0, cup=6.0, pot=762.0), "cup": row(20.0)})
    (item,), _ = answer(rows, ask("tea", excluded=["pot"]), 4, plain)
    assert (item.item_id, item.score) == ("cup", 0.007_813)


# -- excluded


def test_what_is_excluded_is_shown_on_no_rung() -> None:
    query = ask("tea", category="drinks", excluded=["cup", "saucer", "juice", "bread"])
    assert silence(full_shop(), query) == "nothing-new"


# -- popular floors


@pytest.mark.parametrize(("sessions", "expected"), [(19.9, []), (20.0, [("juice", "category")])])
def test_in_a_category_twenty_sessions_are_enough(sessions: float, expected: list[tuple[str, str]]) -> None:
    rows = shop(1e6, juice=row(sessions, "drinks"))
    assert shown(rows, ask("tea", category="drinks")) == expected


@pytest.mark.parametrize(("total", "expected"), [(1_380.0, [("bread", "popular")]), (1_400.0, [])])
def test_over_all_a_hundredth_of_all_sessions_is_needed_too(total: float, expected: list[tuple[str, str]]) -> None:
    assert shown(shop(total, bread=row(20.0)), ask("tea")) == expected


def test_a_less_popular_leader_is_looked_at_after_one_that_is_not_of_the_category_any_more() -> None:
    # juice was counted among the drinks, and has been called food since
    rows = shop(juice=row(50.0, "drinks"), milk=row(40.0, "drinks"))
    rows["juice"].category = "food"
    assert rows.leaders("drinks") == ["juice", "milk"]
    assert shown(rows, ask("tea", category="drinks"), 1) == [("milk", "category")]


def test_without_a_category_there_is_no_such_rung() -> None:
    assert shown(shop(juice=row(50.0, "drinks")), ask("tea")) == [("juice", "popular")]


def test_counts_are_read_as_of_the_newest_event_and_ranks_as_of_the_query_s() -> None:
    rows = shop(bread=row(39.0))
    assert shown(rows, ask("tea")) == [("bread", "popular")]
    assert shown(rows, ask("tea", now_ms=HALF_LIFE_MS)) == []


# -- rivals


def rival_shop() -> PlainRows:
    return shop(
        green=row(8.0, "tea", black=7.0, cup=6.0),
        black=row(60.0, "tea"),
        cup=row(10.0, "dishes"),
        white=row(50.0, "tea"),
    )


def test_while_nothing_is_held_rivals_are_shown() -> None:
    # black was met more often than the cup, and is six times as popular
    assert shown(rival_shop(), ask("green", category="tea")) == [
        ("cup", "pair"),
        ("black", "pair"),
        ("white", "category"),
    ]


def test_no_rival_of_what_is_held_is_shown_on_any_rung() -> None:
    assert shown(rival_shop(), ask("green", category="tea", held=["green"])) == [("cup", "pair")]


def test_a_rival_of_any_held_item_is_kept_back() -> None:
    rows = rival_shop()
    rows["plate"] = row(1.0, "dishes")
    assert shown(rows, ask("green", held=["plate", "unknown"])) == [
        ("black", "pair"),
        ("white", "popular"),
    ]


def test_rivals_are_told_by_timing_where_no_category_is_known() -> None:
    rows = shop(tea=row(10.0, mug=9.0, cup=9.0), mug=row(10.0), cup=row(10.0))
    rows["tea"].comparisons["mug"] = 9.0
    assert shown(rows, ask("tea", held=["tea"])) == [("cup", "pair")]


# -- silence


def test_no_item_in_the_session_is_a_reason_even_where_items_are_popular() -> None:
    assert silence(shop(bread=row(500.0)), ask()) == "no-item"


@pytest.mark.parametrize("known", [{}, {"tea": row(1.0)}, {"cup": row(1.0, tea=1.0)}])
def test_items_without_a_neighbour_are_unknown(known: dict[str, Row]) -> None:
    assert silence(shop(**known), ask("tea")) == "unknown-item"


def test_neighbours_that_are_all_in_the_session_are_nothing_new() -> None:
    assert silence(shop(tea=row(8.0, cup=6.0)), ask("unknown", "tea", "cup")) == "nothing-new"


def test_candidates_below_the_floor_are_weak_evidence() -> None:
    # 1 of 100 with tea, and 15 of all 1000, have a cup
    assert silence(shop(tea=row(100.0, cup=1.0), cup=row(15.0)), ask("tea")) == "weak-evidence"


def test_candidates_with_evidence_that_are_all_rivals_are_only_rivals() -> None:
    rows = shop(green=row(8.0, "tea", black=7.0), black=row(10.0, "tea"))
    assert silence(rows, ask("green", held=["green"])) == "only-rivals"


def test_popular_items_that_are_all_rivals_are_only_rivals() -> None:
    rows = shop(green=row(8.0, "tea"), black=row(60.0, "tea"))
    assert silence(rows, ask("green", category="tea", held=["green"])) == "only-rivals"


def test_rivals_with_too_little_evidence_are_weak_evidence() -> None:
    rows = shop(green=row(100.0, "tea", black=1.0), black=row(15.0, "tea"))
    assert silence(rows, ask("green", held=["green"])) == "weak-evidence"


def test_the_reasons_are_these_five() -> None:
    assert set(REASONS) == {"no-item", "unknown-item", "nothing-new", "weak-evidence", "only-rivals"}


# -- law

names = [f"item-{n}" for n in range(8)]


@given(
    pairs=st.dictionaries(st.sampled_from(names), st.integers(1, 40).map(float), max_size=6),
    popularity=st.dictionaries(st.sampled_from(names), st.integers(1, 200).map(float), max_size=8),
    categories=st.dictionaries(st.sampled_from([*names, "tea"]), st.sampled_from("xy")),
    held=st.sets(st.sampled_from(["tea", *names]), max_size=2),
    excluded=st.sets(st.sampled_from(names), max_size=3),
    most=st.integers(1, 6),
)
def test_an_answer_is_distinct_counted_from_one_ordered_by_rungs_and_free_of_rivals(
    pairs: dict[str, float],
    popularity: dict[str, float],
    categories: dict[str, str],
    held: set[str],
    excluded: set[str],
    most: int,
) -> None:
    rows = shop(tea=row(40.0, categories.get("tea"), **pairs))
    rows.update({item: row(sessions, categories.get(item)) for item, sessions in popularity.items()})
    query = ask("tea", category=categories.get("tea"), held=held, excluded=excluded)
    items, reason = answer(rows, query, most, PARAMETERS)
    chosen = [item.item_id for item in items]
    assert len(set(chosen)) == len(chosen) <= most
    assert not query.excluded & set(chosen)
    assert [item.rank for item in items] == list(range(1, len(items) + 1))
    rungs = ["ranked" if item.score else item.evidence.source for item in items]
    assert rungs == sorted(rungs, key=["ranked", "category", "popular"].index)
    assert all(item.evidence.source != "category" for item in items if item.score)
    assert reason is None if items else reason in REASONS
    for item in items:
        known = rows.category(item.item_id)
        assert known is None or known not in {rows.category(other) for other in held}
    # A shorter answer is the beginning of a longer one.
    assert answer(rows, query, most + 1, PARAMETERS)[0][:most] == items
