"""Rounding to decimals as compiled code can do it digit by digit."""

from math import floor

__all__ = ["ROUNDED_MAX", "rounded"]

#: A greater number says no more: only the lift of an item that has decayed to next to nothing is one, or infinite.
ROUNDED_MAX = 1e9


def rounded(value: float, digits: int) -> float:
    """Return the decimal number of so many digits that is nearest to a value of at least zero, halves upwards.

    Beyond `ROUNDED_MAX` it is that.

    Examples
    --------
    >>> rounded(0.125, 2), rounded(2.0, 3), rounded(1e12, 3)
    (0.13, 2.0, 1000000000.0)
    """
    scale = 10.0**digits
    return floor(min(value, ROUNDED_MAX) * scale + 0.5) / scale
