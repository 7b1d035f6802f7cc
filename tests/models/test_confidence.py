"""Shares of nothing are nothing, and few trials prove little."""

from math import inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.confidence import lower_bound, share

Z = 1.645

counts = st.floats(0, 1e12)
#: As decayed counts are, down to the smallest float.
decayed = st.floats(0, 1e12) | st.integers(-1074, 40).map(lambda exponent: 2.0**exponent)


def wilson(part: float, whole: float, z: float) -> float:
    """The textbook's formula."""
    p = part / whole
    spread = z * sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole))
    return (p + z * z / (2 * whole) - spread) / (1 + z * z / whole)


# -- share


def test_a_share_is_the_part_of_the_whole() -> None:
    assert share(3.0, 4.0) == 0.75


def test_a_part_that_is_ahead_of_its_whole_is_all_of_it() -> None:
    assert share(4.0, 4.0) == share(4.1, 4.0) == share(1e300, 5e-324) == 1.0


def test_a_share_of_nothing_is_nothing() -> None:
    assert share(3.0, 0.0) == 0.0


# -- the bound


def test_one_of_one_proves_a_little_over_a_quarter() -> None:
    # p = 1 leaves 1 / (1 + z²) = 1 / 3.706025
    assert lower_bound(1.0, 1.0, Z) == pytest.approx(0.269_831, rel=1e-5)


def test_ten_of_ten_prove_more_than_one_of_one() -> None:
    # 10 / (10 + 2.706025)
    assert lower_bound(10.0, 10.0, Z) == pytest.approx(0.787_028, rel=1e-5)


def test_half_of_a_hundred_prove_a_little_over_two_fifths() -> None:
    # (0.5 + 0.013530 - 1.645 · sqrt(0.0025 + 0.0000676506)) / 1.0270603 = (0.513530 - 0.083355) / 1.027060
    assert lower_bound(50.0, 100.0, Z) == pytest.approx(0.418_842, rel=1e-5)


def test_nothing_of_something_and_something_of_nothing_prove_nothing() -> None:
    assert (lower_bound(0.0, 10.0, Z), lower_bound(0.0, 0.0, Z), lower_bound(1.0, 0.0, Z)) == (0.0, 0.0, 0.0)


def test_a_part_above_its_whole_proves_what_all_of_it_does() -> None:
    assert lower_bound(12.0, 10.0, Z) == lower_bound(10.0, 10.0, Z)


def test_without_a_demand_for_confidence_the_bound_is_the_share() -> None:
    assert lower_bound(3.0, 4.0, 0.0) == 0.75


@pytest.mark.parametrize("exponent", [-60, -500, -540, -1074])
def test_counts_decayed_to_next_to_nothing_prove_next_to_nothing(exponent: int) -> None:
    # the square of 2^-540 is zero; n / (n + z²) is n / z² here
    count = 2.0**exponent
    assert lower_bound(count, count, Z) == pytest.approx(count / Z**2, rel=1e-12, abs=5e-324)


# -- laws


@given(whole=st.floats(0.1, 1e6), p=st.floats(0.01, 1), z=st.floats(0.1, 4))
def test_the_bound_is_the_formula_of_the_textbook(whole: float, p: float, z: float) -> None:
    part = min(whole, p * whole)
    assert lower_bound(part, whole, z) == pytest.approx(wilson(part, whole, z), rel=1e-6)


@given(part=decayed, whole=decayed, z=st.floats(0, 4))
def test_the_bound_is_between_nothing_and_the_share(part: float, whole: float, z: float) -> None:
    assert 0.0 <= lower_bound(part, whole, z) <= share(part, whole) * (1 + 1e-12)
    assert lower_bound(part, whole, z) < inf


@given(part=counts, more=counts, whole=counts)
def test_more_of_the_same_whole_proves_more(part: float, more: float, whole: float) -> None:
    low, high = sorted((part, more))
    assert lower_bound(low, whole, Z) <= lower_bound(high, whole, Z) * (1 + 1e-12)


@given(p=st.floats(0.01, 1), few=st.floats(1e-6, 1e6), factor=st.floats(1.01, 1e6))
def test_the_same_share_of_more_trials_proves_more(p: float, few: float, factor: float) -> None:
    assert lower_bound(p * few, few, Z) < lower_bound(p * few * factor, few * factor, Z)
