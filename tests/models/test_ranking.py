"""The score is the formula of `models.ranking`, the order is total, and nothing excluded comes out."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import Increment, Row, fold
from models.decay import EPOCH_HALF_LIVES, growth
from models.parameters import DEFAULTS
from models.ranking import Candidate, rank

HALF_LIFE_MS = 1_000_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS
PARAMETERS = replace(DEFAULTS, half_life_ms=HALF_LIFE_MS)

items = st.sampled_from("abcdefgh")
weights = st.floats(0.01, 50.0)
positions_of = st.lists(st.tuples(items, st.integers(EPOCH_MS - 10_000_000, EPOCH_MS + 10_000_000)), max_size=20)


@st.composite
def rows_of(draw: st.DrawFn) -> dict[str, Row]:
    rows = {}
    for item in draw(st.sets(items)):
        neighbours = draw(st.dictionaries(items.filter(lambda other, own=item: other != own), weights, max_size=6))
        events, epoch = draw(st.floats(0, 100)), draw(st.integers(0, 1))
        rows[item] = Row(epoch, sum(neighbours.values()), events, events, neighbours, dict.fromkeys(neighbours, 1.0))
    return rows


def row(weights: dict[str, float], mass: float | None = None, events: float = 0.0) -> Row:
    mass = sum(weights.values()) if mass is None else mass
    return Row(0, mass, events, events, weights, dict.fromkeys(weights, 1.0))


def restated(
    rows: dict[str, Row], newest_first: list[tuple[str, int]], excluded: set[str], now: int
) -> dict[str, tuple[float, dict[str, float]]]:
    """The formula once more: for each candidate its score and the part of each session item that leads to it."""

    def read(stored: float, of: Row) -> float:
        return stored * 0.5 ** ((now - of.epoch * EPOCH_MS) / HALF_LIFE_MS)

    distinct = [place for n, place in enumerate(newest_first) if place[0] not in dict(newest_first[:n])]
    parts: dict[str, dict[str, float]] = {}
    for p, (i, t_p) in enumerate(distinct):
        if p > 9 or i not in rows:
            continue
        r_p = (p + 1) ** -1.5 * math.exp(-abs(now - t_p) / 900_000)
        m_i = read(rows[i].mass, rows[i])
        for j, stored in rows[i].weights.items():
            n_j = read(rows[j].events, rows[j]) if j in rows else 0.0
            a_ij = read(stored, rows[i]) / (m_i + 5) ** 0.5
            if j not in excluded:
                parts.setdefault(j, {})[i] = r_p * (a_ij * (n_j + 5) ** -0.4) ** 0.6
    return {j: (sum(of_j.values()) * (1 + 0.1 * (len(of_j) - 1)), of_j) for j, of_j in parts.items()}


# -- by hand


def test_one_neighbour_of_one_item_scores_as_the_formula_says() -> None:
    (candidate,) = rank({"tea": row({"cup": 4.0}, mass=11.0)}, [("tea", 0)], {"tea"}, 0, PARAMETERS)
    # a = 4 / (11 + 5)^0.5 = 1, pop = 5^-0.4, score = 5^-0.24
    assert candidate == Candidate("cup", pytest.approx(0.679_590, rel=1e-5), "tea")


def test_a_popular_item_scores_less() -> None:
    rows = {"tea": row({"cup": 4.0}, mass=11.0), "cup": row({}, events=27.0)}
    # pop = (27 + 5)^-0.4 = 1/4, score = 4^-0.6
    assert rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score == pytest.approx(0.435_275, rel=1e-5)


def test_counts_are_read_as_of_the_query() -> None:
    rows = {"tea": row({"cup": 8.0}, mass=22.0), "cup": row({}, events=54.0)}
    fresh = {"tea": row({"cup": 4.0}, mass=11.0), "cup": row({}, events=27.0)}
    after = rank(rows, [("tea", HALF_LIFE_MS)], {"tea"}, HALF_LIFE_MS, PARAMETERS)
    assert after[0].score == pytest.approx(rank(fresh, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score, rel=1e-12)


def test_an_item_seen_fifteen_minutes_ago_leads_to_a_score_smaller_by_e() -> None:
    rows = {"tea": row({"cup": 4.0})}
    fresh, aged = (rank(rows, [("tea", t)], {"tea"}, 0, PARAMETERS)[0].score for t in (0, -900_000))
    assert fresh / aged == pytest.approx(math.e)


def test_an_item_of_a_later_time_ages_by_its_distance() -> None:
    rows = {"tea": row({"cup": 4.0})}
    before, after = (rank(rows, [("tea", t)], {"tea"}, 0, PARAMETERS)[0].score for t in (-60_000, 60_000))
    assert before == after


def test_the_second_newest_item_counts_2_to_the_minus_one_and_a_half() -> None:
    rows = {"tea": row({"cup": 4.0})}
    first = rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score
    second = rank(rows, [("pot", 0), ("tea", 0)], {"tea", "pot"}, 0, PARAMETERS)[0].score
    assert second / first == pytest.approx(0.353_553, rel=1e-5)


def test_a_candidate_of_two_items_has_both_parts_and_a_tenth_more() -> None:
    rows = {"tea": row({"cup": 4.0}), "pot": row({"cup": 4.0})}
    alone = rank({"tea": rows["tea"]}, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score
    both = rank(rows, [("tea", 0), ("pot", 0)], {"tea", "pot"}, 0, PARAMETERS)[0].score
    # (1 + 2^-1.5) · 1.1
    assert both / alone == pytest.approx(1.488_909, rel=1e-5)


def test_a_repeated_item_counts_once_as_its_newest_arrival() -> None:
    rows = {"tea": row({"cup": 4.0}), "pot": row({"jug": 4.0})}
    once = rank(rows, [("tea", 0), ("pot", -5)], {"tea", "pot"}, 0, PARAMETERS)
    assert rank(rows, [("tea", 0), ("tea", -900), ("pot", -5), ("tea", -9)], {"tea", "pot"}, 0, PARAMETERS) == once


def test_the_tenth_distinct_item_is_asked_and_the_eleventh_is_not() -> None:
    others = [(f"other-{n}", 0) for n in range(9)]
    rows = {"tea": row({"cup": 4.0})}
    tenth, eleventh = [*others, ("tea", 0)], [*others, ("other-9", 0), ("tea", 0)]
    assert [c.item_id for c in rank(rows, tenth, {"tea"}, 0, PARAMETERS)] == ["cup"]
    assert rank(rows, eleventh, {"tea"}, 0, PARAMETERS) == []


def test_without_positions_or_rows_there_is_no_candidate() -> None:
    assert rank({"tea": row({"cup": 4.0})}, [], set(), 0, PARAMETERS) == []
    assert rank({}, [("tea", 0)], {"tea"}, 0, PARAMETERS) == []
    assert rank({"tea": row({})}, [("tea", 0)], {"tea"}, 0, PARAMETERS) == []


# -- order and anchor


def test_equal_scores_stand_in_the_order_of_their_item_ids() -> None:
    rows = {"tea": row({"pot": 2.0, "cup": 2.0, "jug": 3.0, "item-9": 2.0, "item-10": 2.0})}
    assert [c.item_id for c in rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)] == [
        "jug",
        "cup",
        "item-10",
        "item-9",
        "pot",
    ]


def test_the_anchor_is_the_item_that_contributes_most_and_not_the_newest() -> None:
    rows = {"tea": row({"cup": 0.01}, mass=4.0), "pot": row({"cup": 4.0}, mass=4.0)}
    assert rank(rows, [("tea", 0), ("pot", 0)], {"tea", "pot"}, 0, PARAMETERS)[0].anchor == "pot"


def test_of_equal_parts_the_newer_item_is_the_anchor() -> None:
    flat = replace(PARAMETERS, query_place_exponent=0.0)
    rows = {"tea": row({"cup": 4.0}), "pot": row({"cup": 4.0})}
    assert rank(rows, [("tea", 0), ("pot", 0)], {"tea", "pot"}, 0, flat)[0].anchor == "tea"
    assert rank(rows, [("pot", 0), ("tea", 0)], {"tea", "pot"}, 0, flat)[0].anchor == "pot"


# -- laws


@given(rows=rows_of(), positions=positions_of, excluded=st.sets(items), now=st.integers(EPOCH_MS, 2 * EPOCH_MS))
def test_ranking_is_the_formula(
    rows: dict[str, Row], positions: list[tuple[str, int]], excluded: set[str], now: int
) -> None:
    candidates = rank(rows, positions, excluded, now, PARAMETERS)
    expected = restated(rows, positions, excluded, now)
    assert {c.item_id: c.score for c in candidates} == pytest.approx(
        {item: score for item, (score, _) in expected.items()}, rel=1e-9
    )
    for candidate in candidates:
        parts = expected[candidate.item_id][1]
        assert parts[candidate.anchor] == pytest.approx(max(parts.values()), rel=1e-9)


@given(rows=rows_of(), positions=positions_of, excluded=st.sets(items), now=st.integers(EPOCH_MS, 2 * EPOCH_MS))
def test_candidates_are_distinct_not_excluded_and_in_order(
    rows: dict[str, Row], positions: list[tuple[str, int]], excluded: set[str], now: int
) -> None:
    candidates = rank(rows, positions, excluded, now, PARAMETERS)
    chosen = [candidate.item_id for candidate in candidates]
    assert len(set(chosen)) == len(chosen)
    assert not excluded & set(chosen)
    assert {candidate.anchor for candidate in candidates} <= {item for item, _ in positions}
    assert candidates == sorted(candidates, key=lambda c: (-c.score, c.item_id))


@given(rows=rows_of(), positions=positions_of, excluded=st.sets(items))
def test_excluding_an_item_changes_nothing_for_the_others(
    rows: dict[str, Row], positions: list[tuple[str, int]], excluded: set[str]
) -> None:
    everything = rank(rows, positions, set(), EPOCH_MS, PARAMETERS)
    left = [candidate for candidate in everything if candidate.item_id not in excluded]
    assert rank(rows, positions, excluded, EPOCH_MS, PARAMETERS) == left


@given(rows=rows_of(), positions=positions_of)
def test_ranking_changes_no_row(rows: dict[str, Row], positions: list[tuple[str, int]]) -> None:
    before = repr(rows)
    rank(rows, positions, set(), EPOCH_MS, PARAMETERS)
    assert repr(rows) == before


def test_rows_of_different_epochs_rank_like_rows_of_one() -> None:
    increment = Increment("tea", 3, 3, (("cup", 1.0, 1), ("pot", 2.0, 1)))
    rows = {"tea": fold(None, increment, EPOCH_MS - 1, PARAMETERS)}
    moved = {"tea": fold(fold(None, increment, EPOCH_MS - 1, PARAMETERS), Increment("tea"), EPOCH_MS, PARAMETERS)}
    assert (rows["tea"].epoch, moved["tea"].epoch) == (0, 1)
    assert growth(EPOCH_MS, 0, HALF_LIFE_MS) == 2.0**32
    assert rank(rows, [("tea", 0)], {"tea"}, EPOCH_MS, PARAMETERS) == rank(
        moved, [("tea", 0)], {"tea"}, EPOCH_MS, PARAMETERS
    )
