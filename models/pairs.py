"""The increments that one arrival of an item contributes to the rows."""

from collections.abc import Sequence
from math import exp

from models.cooccurrence import TOTALS, Increment
from models.parameters import Parameters

__all__ = ["increments", "session_opened"]


def increments(
    item: str, time_ms: int, positions: Sequence[tuple[str, int]], length: int, is_new: bool, parameters: Parameters
) -> list[Increment]:
    """Return what the arrival of `item` adds, one increment a row.

    For each of the last positions g = 1, 2, … holding item i at time t_i (i ≠ j, each i once) the rows get

        w = g^-1.5 · exp(-|t - t_i| / 600 s) · L^-0.25         v_ij += w         v_ji += 0.5 · w

    Parameters
    ----------
    positions : sequence of (item, time in ms)
        The session's positions before this arrival, oldest first.
    length : int
        L, the arrivals of the session so far, this one included.
    is_new : bool
        Whether the item arrives in the session for the first time; only then its pairs are counted as met.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> [i.anchor for i in increments("cup", 0, [("tea", 0)], 2, True, DEFAULTS)]
    ['tea', 'cup']
    """
    met = int(is_new)
    length_weight = length**parameters.pair_length_exponent
    neighbours: dict[str, float] = {}
    for distance, (other, other_time) in enumerate(reversed(positions[-parameters.pair_positions :]), start=1):
        if other != item and other not in neighbours:
            age = abs(time_ms - other_time) / parameters.pair_time_constant_ms
            neighbours[other] = distance**parameters.pair_distance_exponent * exp(-age) * length_weight
    result = [Increment(other, others=((item, weight, met),)) for other, weight in neighbours.items()]
    backward = parameters.pair_backward_weight
    own = tuple((other, weight * backward, met) for other, weight in neighbours.items())
    result.append(Increment(item, 1, met, own))
    return result


def session_opened() -> Increment:
    """Return the increment that counts one more session."""
    return Increment(TOTALS, sessions=1)
