"""Decimals are rounded to the nearest, halves upwards."""

from decimal import ROUND_HALF_UP, Decimal
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rounding import rounded

#: What is rounded: counts of sessions up to billions, shares, lifts and scores, none of them below zero.
values = st.floats(0, 1e9)
digits_of = st.integers(0, 6)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (0.0, 6, 0.0),
        (1.2344, 3, 1.234),
        (1.2346, 3, 1.235),
        # Halves that a float holds exactly: upwards, where `round` goes to the even neighbour.
        (0.5, 0, 1.0),
        (2.5, 0, 3.0),
        (0.125, 2, 0.13),
        (0.375, 2, 0.38),
        (0.0625, 3, 0.063),
        (3.0, 3, 3.0),
        (0.9999995, 6, 1.0),
        (0.9999994, 6, 0.999999),
    ],
)
def test_the_nearest_decimal_is_taken_and_of_two_the_greater(value: float, digits: int, expected: float) -> None:
    assert rounded(value, digits) == expected


def test_just_under_a_half_goes_down_and_just_over_it_up() -> None:
    assert rounded(0.124999999999, 2) == 0.12
    assert rounded(0.125000000001, 2) == 0.13


def test_what_is_beyond_a_billion_is_a_billion() -> None:
    # The lift of an item that has decayed to next to nothing.
    assert rounded(inf, 3) == rounded(1e307, 3) == rounded(1e9 + 1, 6) == 1e9
    assert rounded(1e9 - 0.125, 3) == 999_999_999.875


# -- laws


@given(value=values, digits=digits_of)
def test_it_is_the_decimal_of_exact_arithmetic_but_where_the_float_s_own_error_decides(
    value: float, digits: int
) -> None:
    scaled = Decimal(value).scaleb(digits)
    exact = scaled.quantize(Decimal(1), ROUND_HALF_UP)
    error = abs(scaled - exact)
    if abs(error - Decimal("0.5")) > Decimal(value).scaleb(digits - 15) + Decimal("1e-15"):
        assert rounded(value, digits) == float(exact.scaleb(-digits))


@given(value=values, digits=digits_of)
def test_what_is_rounded_has_no_more_digits_and_is_not_rounded_again(value: float, digits: int) -> None:
    once = rounded(value, digits)
    assert once == round(once, digits) == rounded(once, digits)


@given(one=values, other=values, digits=digits_of)
def test_order_is_kept(one: float, other: float, digits: int) -> None:
    assert (rounded(min(one, other), digits)) <= rounded(max(one, other), digits)
