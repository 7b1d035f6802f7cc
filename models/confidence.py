"""Shares of counts, and what can be said of them with confidence; compiled code calls these very functions."""

from math import sqrt

from numba.extending import register_jitable

__all__ = ["lower_bound", "share"]


@register_jitable
def share(part: float, whole: float) -> float:
    """Return part / whole, at most one; zero of nothing.

    Rows of different partitions are read at slightly different moments, so a part may be ahead of its whole.
    """
    return min(1.0, part / whole) if whole > 0 else 0.0


@register_jitable
def lower_bound(part: float, whole: float, z: float) -> float:
    """Return the share that `part` of `whole` trials proves: the one-sided lower limit of Wilson's score interval.

    Parameters
    ----------
    part, whole : float
        Decayed counts; a part above its whole counts as all of it.
    z : float
        Standard normal quantile of the confidence: 1.645 for 95 %.

    Examples
    --------
    >>> round(lower_bound(1, 1, 1.645), 3), round(lower_bound(10, 100, 1.645), 3), lower_bound(0, 0, 1.645)
    (0.27, 0.061, 0.0)

    Source: Wilson: Probable inference, the law of succession, and statistical inference (JASA 1927).
    """
    p = share(part, whole)
    if p <= 0:
        return 0.0
    # The limit times its conjugate: the textbook's difference loses all digits when the counts have decayed to next to
    # nothing, and its square of `whole` becomes zero.
    successes = p * whole
    return p * successes / (successes + z * z / 2 + z * sqrt(successes * (1 - p) + z * z / 4))
