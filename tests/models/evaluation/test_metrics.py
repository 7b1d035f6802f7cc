"""Figures from ranks, worked by hand; intervals against what is known of them."""

from math import isnan, log2, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.metrics import (
    Metric,
    abstention,
    coverage,
    gains,
    intervals,
    popularity,
    ratio_intervals,
)

# -- ranks


@pytest.mark.parametrize(
    ("metric", "rank", "gain"),
    [
        ("hr", 1, 1.0),
        ("hr", 4, 1.0),
        ("hr", 5, 0.0),
        ("hr", 0, 0.0),
        ("mrr", 1, 1.0),
        ("mrr", 4, 0.25),
        ("mrr", 5, 0.0),
        ("mrr", 0, 0.0),
        ("ndcg", 1, 1.0),
        ("ndcg", 3, 0.5),
        ("ndcg", 4, 1 / log2(5)),
        ("ndcg", 5, 0.0),
        ("ndcg", 0, 0.0),
    ],
)
def test_what_a_rank_counts_at_4(metric: Metric, rank: int, gain: float) -> None:
    assert gains(metric, np.array([rank], np.int8), 4).tolist() == [pytest.approx(gain, abs=1e-12)]


@pytest.mark.parametrize(("metric", "gain"), [("hr", 1.0), ("mrr", 0.05), ("ndcg", 1 / log2(21))])
def test_at_20_the_last_place_counts_and_the_next_does_not(metric: Metric, gain: float) -> None:
    assert gains(metric, np.array([20, 21]), 20).tolist() == [pytest.approx(gain), 0.0]


@given(st.lists(st.integers(0, 25), min_size=1))
def test_a_hit_counts_no_less_by_ndcg_than_by_mrr_and_no_more_than_by_hr(ranks: list[int]) -> None:
    hr, mrr, ndcg = (gains(metric, np.array(ranks), 20) for metric in ("hr", "mrr", "ndcg"))
    assert (mrr <= ndcg + 1e-12).all() and (ndcg <= hr).all()


# -- lists


def test_coverage_counts_distinct_items_of_the_catalogue_only() -> None:
    assert coverage({"a", "b", "never-learnt"}, {"a", "b", "c", "d", "e"}) == 0.4


def test_popularity_is_the_mean_over_lists_of_the_mean_over_items() -> None:
    # Lists [a, b, c, d] and [a]: means (10 + 5 + 0 + 1) / 4 / 10 = 0.4, and 1; not (10 + 5 + 0 + 1 + 10) / 5 / 10.
    exposure = {"a": 1.25, "b": 0.25, "c": 0.25, "d": 0.25}
    assert popularity(exposure, {"a": 10, "b": 5, "d": 1}) == pytest.approx(0.7)


def test_popularity_is_relative_to_the_most_frequent_item_also_if_it_is_never_shown() -> None:
    assert popularity({"b": 3.0}, {"a": 10, "b": 5}) == 0.5


def test_figures_without_anything_to_judge_are_undefined() -> None:
    assert isnan(coverage({"a"}, set()))
    assert isnan(popularity({}, {"a": 1}))
    assert isnan(popularity({"a": 1.0}, {}))
    assert isnan(abstention(np.array([], np.int8)))
    assert np.isnan(intervals(np.array([], np.int32), [np.array([])])).tolist() == [[True, True]]
    assert np.isnan(ratio_intervals(np.array([], np.int32), [np.array([])], [np.array([])])).all()


def test_abstention_is_the_share_of_empty_lists() -> None:
    assert abstention(np.array([0, 1, 20, 0, 0], np.int8)) == 0.6


# -- intervals


def test_an_interval_is_that_of_the_mean_over_queries_not_over_sessions() -> None:
    # Draws of two: the session of one hit, that of three misses, or one of each: 1, 0 or 1/4.
    sums = {
        float(intervals(np.array([0, 1, 1, 1]), [np.array([1.0, 0.0, 0.0, 0.0])], seed, resamples=1)[0, 0])
        for seed in range(40)
    }
    assert sums == {0.0, 0.25, 1.0}


def test_sessions_are_drawn_whole() -> None:
    """A session of equal queries is one observation: sixteen copies of each query leave the interval as it was."""
    single = np.random.default_rng(1).random(100).round()
    ends = intervals(np.arange(100), [single])
    assert intervals(np.repeat(np.arange(100), 16), [np.repeat(single, 16)]) == pytest.approx(ends)
    as_if_independent = intervals(np.arange(1600), [np.repeat(single, 16)])
    assert np.diff(as_if_independent)[0, 0] == pytest.approx(np.diff(ends)[0, 0] / 4, rel=0.15)


def test_the_interval_of_a_rate_is_that_of_the_normal_approximation() -> None:
    hits = np.repeat([1.0, 0.0], [300, 700])
    [[low, high]] = intervals(np.arange(1000), [hits])
    margin = 1.96 * sqrt(0.3 * 0.7 / 1000)
    assert (low, high) == (pytest.approx(0.3 - margin, abs=0.004), pytest.approx(0.3 + margin, abs=0.004))


def test_every_column_has_its_own_interval_and_the_same_draws() -> None:
    column = np.random.default_rng(2).random(50)
    ends = intervals(np.arange(50), [column, 2 * column, np.ones(50)])
    assert ends[1] == pytest.approx(2 * ends[0])
    assert ends[2].tolist() == [1.0, 1.0]


def test_a_seed_repeats_its_interval_and_another_does_not() -> None:
    sessions, column = np.arange(50), np.random.default_rng(3).random(50)
    assert intervals(sessions, [column], 5).tolist() == intervals(sessions, [column], 5).tolist()
    assert intervals(sessions, [column], 5).tolist() != intervals(sessions, [column], 6).tolist()


def test_sessions_without_queries_are_not_drawn() -> None:
    column = np.array([1.0, 0.0, 1.0])
    assert intervals(np.array([3, 70, 500]), [column]).tolist() == intervals(np.arange(3), [column]).tolist()


# -- ratios


def test_a_constant_ratio_is_certain_however_much_the_figures_vary() -> None:
    sessions = np.repeat(np.arange(40), 3)
    rival = np.random.default_rng(4).random(120)
    assert ratio_intervals(sessions, [1.1 * rival, 3 * rival], [rival, rival]) == pytest.approx(
        np.array([[1.1, 1.1], [3.0, 3.0]])
    )


def test_ratios_are_those_of_means_within_a_draw() -> None:
    # Ours 1, 3, the rival's 1, 1: draws of two give means of 1, 2 or 3 over 1.
    ends = ratio_intervals(np.arange(2), [np.array([1.0, 3.0])], [np.ones(2)])
    assert ends.tolist() == [[1.0, 3.0]]


def test_a_ratio_is_unknown_if_a_draw_leaves_the_rival_nothing() -> None:
    ends = ratio_intervals(np.arange(2), [np.ones(2), np.ones(2)], [np.array([0.0, 1.0]), np.ones(2)])
    assert np.isnan(ends[0]).all()
    assert ends[1].tolist() == [1.0, 1.0]
