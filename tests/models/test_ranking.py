"""The score is the formula of `models.ranking`, the order is total, and nothing excluded comes out."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cooccurrence import Increment, Row, fold
from models.decay import EPOCH_HALF_LIVES, growth
from models.parameters import DEFAULTS, Parameters
from models.ranking import Candidate, prior, rank

#: So long is a step of the prior too: of what is read a half-life later, everything has halved.
HALF_LIFE_MS = HOUR_MS = 3_600_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS
PARAMETERS = replace(DEFAULTS, half_life_ms=HALF_LIFE_MS)
#: Slow enough that no bound is met two epochs later.
SLOW = replace(PARAMETERS, trend_speed=3)

items = st.sampled_from("abcdefgh")
weights = st.floats(0.01, 50.0)
positions_of = st.lists(st.tuples(items, st.integers(EPOCH_MS - 10_000_000, EPOCH_MS + 10_000_000)), max_size=20)


@st.composite
def rows_of(draw: st.DrawFn) -> dict[str, Row]:
    rows = {}
    for item in draw(st.sets(items)):
        neighbours = draw(st.dictionaries(items.filter(lambda other, own=item: other != own), weights, max_size=6))
        events, recent, epoch = draw(st.floats(0, 100)), draw(st.floats(0, 1e12)), draw(st.integers(0, 1))
        mass, pairs = sum(neighbours.values()), dict.fromkeys(neighbours, 1.0)
        rows[item] = Row(epoch, mass, events, events, neighbours, pairs, recent=recent)
    return rows


def row(weights: dict[str, float], mass: float | None = None, events: float = 0.0, recent: float = 0.0) -> Row:
    mass = sum(weights.values()) if mass is None else mass
    return Row(0, mass, events, events, weights, dict.fromkeys(weights, 1.0), recent=recent)


Path = tuple[str, str | None]


def restated(
    rows: dict[str, Row], newest_first: list[tuple[str, int]], excluded: set[str], now: int
) -> dict[str, tuple[float, dict[Path, float]]]:
    """The formula once more: for each candidate its score and the part of each path, of anchor and via, to it.

    A second hop stands under each anchor that contributes as much as any to its via.
    """
    hour = now // HOUR_MS * HOUR_MS

    def read(stored: float, of: Row, time: int, speed: int = 1) -> float:
        return stored * 0.5 ** (speed * (time - of.epoch * EPOCH_MS) / HALF_LIFE_MS)

    distinct = [place for n, place in enumerate(newest_first) if place[0] not in dict(newest_first[:n])]
    first: dict[str, dict[str, float]] = {}
    for p, (i, t_p) in enumerate(distinct):
        if p > 9 or i not in rows:
            continue
        r_p = (p + 1) ** -1.5 * math.exp(-abs(now - t_p) / 900_000)
        m_i = read(rows[i].mass, rows[i], now)
        for j, stored in rows[i].weights.items():
            first.setdefault(j, {})[i] = r_p * (read(stored, rows[i], now) / (m_i + 5)) ** 0.6
    assert len(first) <= 16
    total = {j: sum(of_j.values()) for j, of_j in first.items()}
    paths: dict[str, dict[Path, float]] = {
        j: {(i, None): part for i, part in of_j.items()} for j, of_j in first.items()
    }
    for k, of_k in first.items():
        for j, stored in rows[k].weights.items() if k in rows else ():
            part = sum(of_k.values()) * (0.8 * stored / rows[k].mass) ** 0.6
            total[j] = total.get(j, 0.0) + part
            for i, share in of_k.items():
                if share >= max(of_k.values()) * (1 - 1e-9):
                    paths.setdefault(j, {})[i, k] = part
    scores = {}
    for j in paths.keys() - excluded:
        n_j = read(rows[j].events, rows[j], hour) if j in rows else 0.0
        l_j = read(rows[j].recent, rows[j], hour, SLOW.trend_speed) if j in rows else 0.0
        trend_j = (min(1, l_j / n_j) if n_j else 0.0) + 0.02
        scores[j] = total[j] * (n_j + 5) ** -0.25 * trend_j**0.2, paths[j]
    return scores


# -- by hand

TO_CUP = row({"cup": 4.0}, mass=11.0)  # a = 4 / (11 + 5) = 1/4
#: (1/4)^0.6, which is the first hop from TO_CUP; 5^-0.25 · 0.02^0.2 of an item without arrivals; and 0.02^0.2 alone.
FIRST, NEW, OLD_FASHIONED = 0.435_275, 0.305_818, 0.457_305


def test_one_neighbour_of_one_item_scores_as_the_formula_says() -> None:
    (candidate,) = rank({"tea": TO_CUP}, [("tea", 0)], {"tea"}, 0, PARAMETERS)
    assert candidate == Candidate("cup", pytest.approx(FIRST * NEW, rel=1e-5), "tea", None)


def test_a_popular_item_scores_less_by_the_fourth_root_of_its_arrivals() -> None:
    rows = {"tea": TO_CUP, "cup": row({}, events=11.0)}
    # (11 + 5)^-0.25 = 1/2, outside the compression
    assert rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score == pytest.approx(
        FIRST / 2 * OLD_FASHIONED, rel=1e-5
    )


@pytest.mark.parametrize(("recent", "trend"), [(0.0, 0.457_305), (3.3, 0.796_214), (5.5, 0.877_406), (11.0, 1.003_968)])
def test_an_item_scores_by_the_fifth_root_of_its_recent_share_and_a_fiftieth(recent: float, trend: float) -> None:
    # of 11 arrivals 0, 3.3, 5.5 or 11: 0.02^0.2, 0.32^0.2, 0.52^0.2, 1.02^0.2
    rows = {"tea": TO_CUP, "cup": row({}, events=11.0, recent=recent)}
    assert rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score == pytest.approx(FIRST / 2 * trend, rel=1e-5)


@pytest.mark.parametrize(("recent", "trend"), [(11.0, 1.003_968), (11.1, 1.003_968), (1e300, 1.003_968)])
def test_no_more_than_all_arrivals_are_recent(recent: float, trend: float) -> None:
    # 1.02^0.2, for a query that is late, or counts of which only rounding is left
    rows = {"tea": TO_CUP, "cup": row({}, events=11.0, recent=recent)}
    assert rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score == pytest.approx(FIRST / 2 * trend, rel=1e-5)


def test_for_a_query_before_all_arrivals_an_item_is_in_fashion_and_no_more_than_that() -> None:
    # A half-life before its landmark 5.5 arrivals are 11, and what is recent 2^30 times as much.
    rows = {"tea": row({"cup": 2.0}, mass=5.5), "cup": row({}, events=5.5, recent=5.5)}
    score = rank(rows, [("tea", -HALF_LIFE_MS)], {"tea"}, -HALF_LIFE_MS, PARAMETERS)[0].score
    assert score == pytest.approx(FIRST / 2 * 1.003_968, rel=1e-5)


def test_an_item_that_is_in_fashion_comes_before_its_equal_that_is_not() -> None:
    rows = {"tea": row({"cup": 4.0, "mug": 4.0}), "cup": row({}, events=9.0), "mug": row({}, events=9.0, recent=1.0)}
    assert [c.item_id for c in rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS)] == ["mug", "cup"]


def test_what_is_recent_counts_half_a_day_later() -> None:
    # A day is a thirtieth of the half-life: what is recent halves, all else loses 2.3 %.
    left, day_ms = 2 ** (-1 / 30), DEFAULTS.half_life_ms // 30
    rows = {"tea": TO_CUP, "cup": row({}, events=11.0, recent=6.0)}
    aged = {"tea": row({"cup": 4 * left}, mass=11 * left), "cup": row({}, events=11 * left, recent=3.0)}
    score = rank(rows, [("tea", day_ms)], {"tea"}, day_ms, DEFAULTS)[0].score
    assert score == pytest.approx(rank(aged, [("tea", 0)], {"tea"}, 0, DEFAULTS)[0].score, rel=1e-12)


def test_counts_are_read_as_of_the_query() -> None:
    # recent arrivals have halved thirty times
    rows = {"tea": row({"cup": 8.0}, mass=22.0), "cup": row({}, events=22.0, recent=5.5 * 2**30)}
    fresh = {"tea": TO_CUP, "cup": row({}, events=11.0, recent=5.5)}
    after = rank(rows, [("tea", HALF_LIFE_MS)], {"tea"}, HALF_LIFE_MS, PARAMETERS)
    assert after[0].score == pytest.approx(rank(fresh, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score, rel=1e-12)
    assert after[0].score == pytest.approx(FIRST / 2 * 0.877_406, rel=1e-5)


def test_an_item_s_own_arrivals_are_read_as_of_the_beginning_of_the_hour() -> None:
    # Until the hour is over the 22 arrivals count as they did when it began: 27^-0.25; then as 11: 16^-0.25.
    rows = {"tea": row({"cup": 8.0}, mass=22.0), "cup": row({}, events=22.0)}
    for time_ms, popularity in ((HOUR_MS - 1, 0.438_691), (HOUR_MS, 0.5), (2 * HOUR_MS - 1, 0.5)):
        candidate = rank(rows, [("tea", time_ms)], {"tea"}, time_ms, PARAMETERS)[0]
        first = (8 / (22 + 5 * 2 ** (time_ms / HALF_LIFE_MS))) ** 0.6
        assert candidate.score == pytest.approx(first * popularity * OLD_FASHIONED, rel=1e-5)


def test_what_is_recent_is_read_as_of_the_beginning_of_the_hour() -> None:
    # All are recent, 1.02^0.2, until the hour is over; then half of them: 0.52^0.2.
    rows = {"tea": TO_CUP, "cup": row({}, events=22.0, recent=11 * 2.0**29)}
    before, after = (rank(rows, [("tea", t)], {"tea"}, t, PARAMETERS)[0].score for t in (HOUR_MS - 1, HOUR_MS))
    assert after / before == pytest.approx(0.5 * 0.877_406 / (0.438_691 * 1.003_968), rel=1e-5)


def test_the_hour_is_one_of_the_clock_whatever_the_half_life() -> None:
    slower = replace(PARAMETERS, half_life_ms=2 * HOUR_MS)
    rows = {"tea": TO_CUP, "cup": row({}, events=22.0)}

    def popularity(hours: float) -> float:
        # Beside an item without a row, whose popularity is 5^-0.25, and its trend as the cup's: nothing is recent.
        time_ms = round(hours * HOUR_MS)
        scores = [rank(each, [("tea", 0)], {"tea"}, time_ms, slower)[0].score for each in (rows, {"tea": TO_CUP})]
        return scores[0] / scores[1] * 5**-0.25

    # 22, 22 / √2 and 11 arrivals, and five: 27^-0.25, 20.556349^-0.25, 16^-0.25
    assert [popularity(hours) for hours in (0, 0.9999, 1, 1.9999, 2, 2.9999)] == pytest.approx(
        [0.438_691, 0.438_691, 0.469_638, 0.469_638, 0.5, 0.5], rel=1e-5
    )


def test_the_prior_is_read_as_of_the_time_that_it_is_asked_for() -> None:
    of = row({}, events=22.0, recent=11 * 2.0**30)
    # 11 arrivals, all of them recent; two minutes later what is recent has halved, and the rest lost 2.3 %
    assert prior(of, HOUR_MS, PARAMETERS) == pytest.approx(0.5 * 1.003_968, rel=1e-5)
    assert prior(of, HOUR_MS + HOUR_MS // 30, PARAMETERS) == pytest.approx(0.501_982 * 0.881_315, rel=1e-5)
    assert prior(None, HOUR_MS, PARAMETERS) == pytest.approx(NEW, rel=1e-5)


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


def test_a_candidate_of_two_items_has_both_parts_and_no_bonus() -> None:
    rows = {"tea": row({"cup": 4.0}), "pot": row({"cup": 4.0})}
    alone = rank({"tea": rows["tea"]}, [("tea", 0)], {"tea"}, 0, PARAMETERS)[0].score
    both = rank(rows, [("tea", 0), ("pot", 0)], {"tea", "pot"}, 0, PARAMETERS)[0].score
    # 1 + 2^-1.5
    assert both / alone == pytest.approx(1.353_553, rel=1e-5)


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


# -- the second hop, by hand: cup is one away from tea, and half of cup's row leads to the saucer

TO_SAUCER = row({"saucer": 3.0}, mass=6.0)
#: 0.4^0.6, from 0.8 · 3/6, and that of what leads to the cup: 0.1^0.6.
SHARE, HOP = 0.577_080, 0.251_189


def found(
    rows: dict[str, Row], *items: str, excluded: set[str] | None = None, parameters: Parameters = PARAMETERS
) -> dict[str, Candidate]:
    """Rank for a session of these items, newest first, all just now."""
    candidates = rank(rows, [(item, 0) for item in items], excluded or set(items), 0, parameters)
    return {candidate.item_id: candidate for candidate in candidates}


def test_a_neighbour_s_neighbour_scores_as_the_formula_says() -> None:
    saucer = found({"tea": TO_CUP, "cup": TO_SAUCER}, "tea")["saucer"]
    assert saucer == Candidate("saucer", pytest.approx(HOP * NEW, rel=1e-5), None, ("tea", "cup"))


def test_the_second_hop_changes_nothing_for_the_neighbour_that_it_goes_through() -> None:
    assert found({"tea": TO_CUP, "cup": TO_SAUCER}, "tea")["cup"] == found({"tea": TO_CUP}, "tea")["cup"]


def test_an_item_that_is_reached_directly_and_over_another_has_both_parts_and_no_bonus() -> None:
    both = found({"tea": row({"cup": 4.0, "saucer": 4.0}, mass=11.0), "cup": TO_SAUCER}, "tea")["saucer"]
    assert both == Candidate("saucer", pytest.approx((FIRST + HOP) * NEW, rel=1e-5), "tea", ("tea", "cup"))


def test_the_pair_is_named_beside_a_way_over_another_item_that_contributes_more() -> None:
    # directly: (0.04 / 16)^0.6 = 0.027464
    both = found({"tea": row({"cup": 4.0, "saucer": 0.04}, mass=11.0), "cup": TO_SAUCER}, "tea")["saucer"]
    assert both == Candidate("saucer", pytest.approx((0.027_464 + HOP) * NEW, rel=1e-5), "tea", ("tea", "cup"))


def test_the_pair_and_the_way_over_another_item_may_start_from_different_session_items() -> None:
    rows = {"tea": TO_CUP, "pot": row({"saucer": 1.0}), "cup": TO_SAUCER}
    saucer = found(rows, "tea", "pot")["saucer"]
    assert (saucer.anchor, saucer.path) == ("pot", ("tea", "cup"))


def test_of_two_ways_the_one_that_contributes_more_is_named() -> None:
    # 1/8 of the mug's row and half of the cup's lead to the saucer; then the other way round
    less = row({"saucer": 1.0}, mass=8.0)
    to_both = row({"mug": 4.0, "cup": 4.0}, mass=11.0)
    assert found({"tea": to_both, "cup": TO_SAUCER, "mug": less}, "tea")["saucer"].path == ("tea", "cup")
    assert found({"tea": to_both, "cup": less, "mug": TO_SAUCER}, "tea")["saucer"].path == ("tea", "mug")


def test_two_ways_count_twice_and_of_equal_ones_the_smaller_id_is_named() -> None:
    rows = {"tea": row({"mug": 4.0, "cup": 4.0}, mass=11.0), "cup": TO_SAUCER, "mug": TO_SAUCER}
    saucer = found(rows, "tea")["saucer"]
    assert saucer == Candidate("saucer", pytest.approx(2 * HOP * NEW, rel=1e-5), None, ("tea", "cup"))


def test_a_way_over_an_older_item_counts_like_that_item() -> None:
    # F of the cup is 2^-1.5 of what it is for the newest item.
    newest = found({"tea": TO_CUP, "cup": TO_SAUCER}, "tea")["saucer"].score
    second = found({"tea": TO_CUP, "cup": TO_SAUCER}, "pot", "tea")["saucer"].score
    assert second / newest == pytest.approx(2**-1.5)


def test_several_session_items_bring_a_neighbour_nearer_and_the_one_that_does_most_is_the_anchor() -> None:
    # F of the cup is (1 + 2^-1.5) · 0.435275 = 0.589168; times 0.4^0.6: 0.339998.
    saucer = found({"tea": TO_CUP, "pot": TO_CUP, "cup": TO_SAUCER}, "tea", "pot")["saucer"]
    assert saucer == Candidate("saucer", pytest.approx(0.339_998 * NEW, rel=1e-5), None, ("tea", "cup"))
    # (0.1 / 5.1)^0.6 = 0.094506 and 2^-1.5 · 0.435275 = 0.153893
    saucer = found({"tea": row({"cup": 0.1}), "pot": TO_CUP, "cup": TO_SAUCER}, "tea", "pot")["saucer"]
    assert saucer == Candidate("saucer", pytest.approx(0.248_399 * SHARE * NEW, rel=1e-5), None, ("pot", "cup"))


def test_of_session_items_that_do_as_much_for_a_neighbour_the_newer_is_the_anchor() -> None:
    flat = replace(PARAMETERS, query_place_exponent=0.0)
    rows = {"tea": TO_CUP, "pot": TO_CUP, "cup": TO_SAUCER}
    assert found(rows, "tea", "pot", parameters=flat)["saucer"].path == ("tea", "cup")
    assert found(rows, "pot", "tea", parameters=flat)["saucer"].path == ("pot", "cup")


def test_ways_over_different_items_from_different_session_items_add_up() -> None:
    # From tea over the cup 0.251189; from the pot 2^-1.5 · (1/4)^0.6 · (0.8 / 8)^0.6 = 0.153893 · 0.251189 = 0.038656.
    rows = {"tea": TO_CUP, "cup": TO_SAUCER, "pot": row({"mug": 4.0}, mass=11.0), "mug": row({"saucer": 1.0}, mass=8.0)}
    saucer = found(rows, "tea", "pot")["saucer"]
    assert saucer == Candidate("saucer", pytest.approx(0.289_845 * NEW, rel=1e-5), None, ("tea", "cup"))


def test_the_second_hop_starts_from_the_first_hop_s_sum_alone() -> None:
    # The bowl, which is passed through before it, leads to the cup too: that makes no way over the cup worth more.
    bowl = row({"cup": 6.0, "plate": 2.0})
    rows = {"tea": row({"cup": 4.0, "bowl": 4.0}, mass=11.0), "bowl": bowl, "cup": TO_SAUCER}
    reached = found(rows, "tea")
    # 0.8 · 6/8 = 0.6: 0.435275 · (1 + 0.736022) = 0.755647
    assert reached["cup"].score == pytest.approx(0.755_647 * NEW, rel=1e-5)
    assert reached["saucer"].score == pytest.approx(HOP * NEW, rel=1e-5)


def test_the_share_of_a_way_is_of_the_whole_row_and_without_a_prior() -> None:
    # 0.8 · 0.3 / 0.6, as for TO_SAUCER, of a row that is thin, and of one whose other neighbours were dropped.
    for mass, weight in ((0.6, 0.3), (600.0, 300.0)):
        saucer = found({"tea": TO_CUP, "cup": row({"saucer": weight}, mass=mass)}, "tea")["saucer"]
        assert saucer.score == pytest.approx(HOP * NEW, rel=1e-5)


def test_a_session_item_may_be_passed_through() -> None:
    # directly from the older cup: 2^-1.5 · (3 / 11)^0.6 = 0.162141; by way of it from tea: HOP
    saucer = found({"tea": TO_CUP, "cup": TO_SAUCER}, "tea", "cup")["saucer"]
    assert saucer == Candidate("saucer", pytest.approx((0.162_141 + HOP) * NEW, rel=1e-5), "cup", ("tea", "cup"))


def test_an_excluded_item_is_passed_through_and_not_suggested() -> None:
    rows = {"tea": TO_CUP, "cup": TO_SAUCER}
    assert found(rows, "tea", excluded={"tea", "cup"}) == {"saucer": found(rows, "tea")["saucer"]}


def test_a_way_back_to_a_session_item_suggests_nothing() -> None:
    assert found({"tea": TO_CUP, "cup": row({"tea": 4.0})}, "tea").keys() == {"cup"}


def test_there_is_no_third_hop() -> None:
    rows = {"tea": TO_CUP, "cup": TO_SAUCER, "saucer": row({"spoon": 4.0})}
    assert found(rows, "tea").keys() == {"cup", "saucer"}


def test_a_popular_item_scores_less_over_another_too() -> None:
    rows = {"tea": TO_CUP, "cup": TO_SAUCER, "saucer": row({}, events=11.0)}
    # (11 + 5)^-0.25 = 1/2
    assert found(rows, "tea")["saucer"].score == pytest.approx(HOP / 2 * OLD_FASHIONED, rel=1e-5)


def test_the_second_hop_does_not_age() -> None:
    # The share of a row is the same at any time; what leads to it ages.
    rows = {"tea": row({"cup": 8.0}, mass=22.0), "cup": TO_SAUCER}
    saucer = rank(rows, [("tea", HALF_LIFE_MS)], {"tea"}, HALF_LIFE_MS, PARAMETERS)[1]
    assert saucer == Candidate("saucer", pytest.approx(HOP * NEW, rel=1e-5), None, ("tea", "cup"))


def test_only_so_many_neighbours_are_passed_through_the_nearest_first() -> None:
    rows = {"tea": row({"far": 1.0, "near": 2.0}), "far": row({"x": 1.0}), "near": row({"y": 1.0})}
    one = replace(PARAMETERS, hop_neighbours=1)
    assert found(rows, "tea", parameters=one).keys() == {"near", "far", "y"}
    assert found(rows, "tea").keys() == {"near", "far", "y", "x"}


def test_sixteen_neighbours_are_passed_through_and_of_equally_near_ones_the_smaller_ids() -> None:
    names = [f"{n:02}" for n in range(17)]
    rows = {"tea": row({f"via-{n}": 1.0 for n in reversed(names)})}
    rows |= {f"via-{n}": row({f"end-{n}": 1.0}) for n in names}
    reached = found(rows, "tea", excluded={"tea", *(f"via-{n}" for n in names)})
    assert reached.keys() == {f"end-{n}" for n in names[:16]}


def test_the_neighbours_nearest_to_the_whole_session_are_passed_through() -> None:
    # Of equal recency "both" weighs two fifths of "one" beside tea, and of "two" beside pot. After the compression that
    # is 0.4^0.6 = 0.577 of it, and twice that is nearest: it is ways that count.
    flat = replace(PARAMETERS, query_place_exponent=0.0, hop_neighbours=1)
    rows = {"tea": row({"both": 2.0, "one": 5.0}), "pot": row({"both": 2.0, "two": 5.0})}
    rows |= {"both": row({"x": 1.0}), "one": row({"y": 1.0}), "two": row({"z": 1.0})}
    assert found(rows, "tea", "pot", parameters=flat).keys() == {"both", "one", "two", "x"}


# -- how many


def test_the_second_hop_goes_to_the_heaviest_of_each_row_ties_by_id() -> None:
    rows = {"tea": row({"cup": 1.0, "pot": 1.0})}
    rows |= {"cup": row({"b": 2.0, "a": 2.0, "c": 2.0, "d": 3.0}), "pot": row({"e": 0.1})}
    two = replace(PARAMETERS, hop_row_size=2)
    assert found(rows, "tea", parameters=two).keys() == {"cup", "pot", "a", "d", "e"}


def test_the_sixty_four_best_candidates_come_out() -> None:
    rows = {"tea": row({f"item-{n:02}": 1.0 + n for n in range(40)})}
    rows["item-39"] = row({f"end-{n:02}": 1.0 + n for n in range(40)})
    everything = rank(rows, [("tea", 0)], {"tea"}, 0, replace(PARAMETERS, candidates_max=1_000))
    assert len(everything) == 40 + PARAMETERS.hop_row_size
    assert rank(rows, [("tea", 0)], {"tea"}, 0, PARAMETERS) == everything[:64]


def test_what_is_excluded_takes_no_place_among_the_candidates() -> None:
    one = replace(PARAMETERS, candidates_max=1)
    rows = {"tea": row({"cup": 4.0, "pot": 3.0})}
    assert found(rows, "tea", parameters=one).keys() == {"cup"}
    assert found(rows, "tea", excluded={"tea", "cup"}, parameters=one).keys() == {"pot"}


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
    candidates = rank(rows, positions, excluded, now, SLOW)
    expected = restated(rows, positions, excluded, now)
    assert {c.item_id: c.score for c in candidates} == pytest.approx(
        {item: score for item, (score, _) in expected.items()}, rel=1e-9
    )
    for candidate in candidates:
        paths = expected[candidate.item_id][1]
        direct = {anchor: part for (anchor, via), part in paths.items() if via is None}
        over_another = {path: part for path, part in paths.items() if path[1] is not None}
        assert (candidate.anchor is None, candidate.path is None) == (not direct, not over_another)
        if candidate.anchor is not None:
            assert direct[candidate.anchor] == pytest.approx(max(direct.values()), rel=1e-9)
        if candidate.path is not None:
            assert over_another[candidate.path] == pytest.approx(max(over_another.values()), rel=1e-9)


@given(rows=rows_of(), positions=positions_of, excluded=st.sets(items), now=st.integers(EPOCH_MS, 2 * EPOCH_MS))
def test_candidates_are_distinct_not_excluded_and_in_order(
    rows: dict[str, Row], positions: list[tuple[str, int]], excluded: set[str], now: int
) -> None:
    candidates = rank(rows, positions, excluded, now, PARAMETERS)
    chosen = [candidate.item_id for candidate in candidates]
    assert len(set(chosen)) == len(chosen)
    assert not excluded & set(chosen)
    asked = {item for item, _ in positions}
    assert {candidate.anchor for candidate in candidates} <= asked | {None}
    assert {candidate.path[0] for candidate in candidates if candidate.path} <= asked
    assert all(candidate.anchor or candidate.path for candidate in candidates)
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
    increment = Increment("tea", 3, 3, (("cup", 1.0, 1, 0), ("pot", 2.0, 1, 0)))
    cup = Increment("cup", 2, 2)
    rows, moved = (
        {one.anchor: fold(None, one, EPOCH_MS - 1, PARAMETERS) for one in (increment, cup)} for _ in range(2)
    )
    for item in moved:
        fold(moved[item], Increment(item), EPOCH_MS, PARAMETERS)
    assert {row.epoch for row in rows.values()} == {0} and {row.epoch for row in moved.values()} == {1}
    assert growth(EPOCH_MS, 0, HALF_LIFE_MS) == 2.0**16
    assert rank(rows, [("tea", 0)], {"tea"}, EPOCH_MS, PARAMETERS) == rank(
        moved, [("tea", 0)], {"tea"}, EPOCH_MS, PARAMETERS
    )
