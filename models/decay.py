"""Forward decay: new weights grow, old ones are never touched only to age them.

A weight w that arrives at time t is stored as w · 2^((t − landmark) / half-life) and read at time now as
stored · 2^(−(now − landmark) / half-life). The landmark is the start of an epoch of 16 half-lives; each row has its
own epoch and is rescaled, exactly, by a power of two when an increment of a later epoch arrives.

Source: Cormode, Shkapenyuk, Srivastava, Xu: Forward Decay (ICDE 2009).
"""

from math import frexp

__all__ = ["EPOCH_HALF_LIVES", "EXPONENT_MAX", "NO_LEVEL", "epoch_of", "growth", "level", "rescale"]

#: Half-lives in an epoch: what decays thirty times as fast is still far from overflow, and a row is rescaled about
#: once a year.
EPOCH_HALF_LIVES = 16

#: Instead of the exponent in a level: nothing at all. Event times are positive, so no epoch comes near it.
NO_LEVEL = -(2**40)

#: Beyond so many half-lives a weight is nothing, or everything; far from the 1024 at which a float overflows.
EXPONENT_MAX = 512.0


def epoch_of(time_ms: int, half_life_ms: int) -> int:
    """Return the number of the epoch that holds a time."""
    return time_ms // (EPOCH_HALF_LIVES * half_life_ms)


def growth(time_ms: int, epoch: int, half_life_ms: int, speed: int = 1) -> float:
    """Return 2^(speed · (time − start of the epoch) / half-life), the exponent within ±512.

    Examples
    --------
    >>> growth(3_000, 0, 1_000)
    8.0
    """
    exponent = speed * (time_ms - epoch * EPOCH_HALF_LIVES * half_life_ms) / half_life_ms
    return float(2.0 ** max(-EXPONENT_MAX, min(EXPONENT_MAX, exponent)))


def level(stored: float, epoch: int, speed: int = 1) -> tuple[int, float]:
    """Return what orders stored weights of different epochs as their decayed values, exactly.

    It is the weight's binary exponent and mantissa, the epoch's factor added to the exponent; a weight of nothing, or
    less by rounding, comes before all others.

    Examples
    --------
    >>> level(1.0, 1) == level(2.0**16, 0), level(1.0, 0) < level(1.5, 0), level(0.0, 5) < level(1e-9, 0)
    (True, True, True)
    """
    if stored <= 0:
        return NO_LEVEL, 0.0
    mantissa, exponent = frexp(stored)
    return exponent + EPOCH_HALF_LIVES * speed * epoch, mantissa


def rescale(epochs: int, speed: int = 1) -> float:
    """Return the factor that carries a stored weight forward by a number of epochs: exact, a power of two."""
    return float(2.0 ** (-EPOCH_HALF_LIVES * speed * epochs))
