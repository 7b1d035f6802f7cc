from math import log10

import pytest

from models.evaluation.baselines.weighting import Weighting, distance_weight, place_weight


@pytest.mark.parametrize(
    ("weighting", "at_1", "at_5"),
    [("same", 1, 1), ("linear", 0.9, 0.5), ("div", 1, 0.2), ("quadratic", 1, 0.04)],
)
def test_distance_weights(weighting: Weighting, at_1: float, at_5: float) -> None:
    assert distance_weight(weighting, 1) == pytest.approx(at_1)
    assert distance_weight(weighting, 5) == pytest.approx(at_5)


@pytest.mark.parametrize(
    ("weighting", "oldest", "newest"),
    [("same", 1, 1), ("linear", 0.6, 1), ("div", 0.2, 1), ("quadratic", 0.04, 1)],
)
def test_place_weights_of_a_session_of_five(weighting: Weighting, oldest: float, newest: float) -> None:
    assert place_weight(weighting, 1, 5) == pytest.approx(oldest)
    assert place_weight(weighting, 5, 5) == pytest.approx(newest)


def test_logarithmic_weights_are_shifted() -> None:
    assert distance_weight("log", 1) == pytest.approx(1 / log10(2.7))
    assert place_weight("log", 4, 5) == pytest.approx(1 / log10(2.7))
    assert place_weight("log", 5, 5) == pytest.approx(1 / log10(1.7))


def test_linear_weights_end_at_nothing() -> None:
    assert distance_weight("linear", 9) == pytest.approx(0.1)
    assert distance_weight("linear", 10) == distance_weight("linear", 11) == 0
    assert place_weight("linear", 1, 11) == place_weight("linear", 1, 12) == 0
