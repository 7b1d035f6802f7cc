"""The decay functions that sequential rules and V-SKNN choose from by name.

M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms, UMUAI 28 (2018); constants as in
its code (github.com/rn5l/session-rec).
"""

from math import log10
from typing import Literal

__all__ = ["Weighting", "distance_weight", "place_weight"]

Weighting = Literal["same", "linear", "div", "log", "quadratic"]

#: What one event further back costs under "linear": ten events back weigh nothing.
LINEAR_STEP = 0.1
#: Added inside the logarithm of "log", so that a distance of 0 still has a finite weight (log10 1.7 = 0.23).
LOG_SHIFT = 1.7


def distance_weight(weighting: Weighting, distance: int) -> float:
    """Return the weight of something `distance` >= 1 events back (1: the newest).

    Examples
    --------
    >>> [distance_weight(name, 2) for name in ("same", "linear", "div", "quadratic")]
    [1.0, 0.8, 0.5, 0.25]
    """
    match weighting:
        case "same":
            return 1.0
        case "linear":
            return max(0.0, 1 - LINEAR_STEP * distance)
        case "div":
            return 1 / distance
        case "log":
            return 1 / log10(distance + LOG_SHIFT)
        case "quadratic":
            return 1 / distance**2


def place_weight(weighting: Weighting, place: int, length: int) -> float:
    """Return the weight of the event at `place` (1: the oldest) of a session of `length` events.

    Examples
    --------
    >>> [place_weight(name, 2, 4) for name in ("same", "linear", "div", "quadratic")]
    [1.0, 0.8, 0.5, 0.25]
    """
    match weighting:
        case "same":
            return 1.0
        case "linear":
            return max(0.0, 1 - LINEAR_STEP * (length - place))
        case "div":
            return place / length
        case "log":
            return 1 / log10(length - place + LOG_SHIFT)
        case "quadratic":
            return (place / length) ** 2
