"""The increments that one arrival of an item contributes to the rows."""

from collections.abc import Collection, Sequence
from math import exp
from typing import Final

from models.cooccurrence import TOTALS, Increment
from models.parameters import Parameters
from models.records import Kind

__all__ = ["increments", "session_opened"]

_BROWSE: Final[Kind] = "browse"
_ORDERS: Final[Kind] = "orders"


def increments(
    item: str,
    time_ms: int,
    positions: Sequence[tuple[str, int]],
    length: int,
    is_new: bool,
    parameters: Parameters,
    *,
    kind: Kind = _BROWSE,
    category: str | None = None,
    bought: Collection[str] = (),
    carted: Collection[str] = (),
) -> list[Increment]:
    """Return what the arrival of `item` adds, one increment a row.

    For each of the last positions g = 1, 2, … holding item i at time t_i (i ≠ j, each i once) the rows get

        w = b · g^-2 · exp(-|t - t_i| / 600 s) · L^-0.25         v_ij += w         v_ji += 0.5 · w

    where b is 1 for a view, 2 for an item put into the cart or ordered, and 6 for two items both ordered. The two
    are compared, once a session, when they are viewed one after the other within 15 s, or when a view returns to j
    from i; an item that the shopper has already chosen is not.

    Parameters
    ----------
    positions : sequence of (item, time in ms)
        The session's positions before this arrival, oldest first.
    length : int
        L, the arrivals of the session so far, this one included.
    is_new : bool
        Whether the item arrives in the session for the first time; only then its pairs are counted as met.
    bought : collection of str
        What the session ordered, with this event.
    carted : collection of str
        What is in the cart.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> [i.anchor for i in increments("cup", 0, [("tea", 0)], 2, True, DEFAULTS)]
    ['tea', 'cup']
    """
    met = int(is_new)
    length_weight = length**parameters.pair_length_exponent
    neighbours: dict[str, tuple[float, int, int]] = {}
    for distance, (other, other_time) in enumerate(reversed(positions[-parameters.pair_positions :]), start=1):
        if other == item or other in neighbours:
            continue
        gap_ms = abs(time_ms - other_time)
        weight = distance**parameters.pair_distance_exponent * exp(-gap_ms / parameters.pair_time_constant_ms)
        weight *= length_weight * _kind_weight(kind, kind == _ORDERS and other in bought, parameters)
        is_chosen = item in carted or item in bought or other in carted or other in bought
        is_compared = (
            distance == 1
            and kind == _BROWSE
            and not is_chosen
            and (gap_ms <= parameters.comparison_ms if is_new else _returns(item, positions, parameters))
        )
        neighbours[other] = (weight, met, int(is_compared))
    result = [Increment(other, others=((item, *counts),)) for other, counts in neighbours.items()]
    backward = parameters.pair_backward_weight
    own = tuple((other, weight * backward, met, compared) for other, (weight, _, compared) in neighbours.items())
    result.append(Increment(item, 1, met, own, category))
    return result


def session_opened() -> Increment:
    """Return the increment that counts one more session."""
    return Increment(TOTALS, sessions=1)


def _returns(item: str, positions: Sequence[tuple[str, int]], parameters: Parameters) -> bool:
    """Tell whether a view goes back to the item before the last, which was met once and not at once."""
    if len(positions) < 2:
        return False
    (before, left_ms), (last, last_ms) = positions[-2:]
    is_first = [other for other, _ in positions].count(last) == 1
    return before == item and is_first and abs(last_ms - left_ms) > parameters.comparison_ms


def _kind_weight(kind: Kind, are_both_ordered: bool, parameters: Parameters) -> float:
    if are_both_ordered:
        return parameters.ordered_together_weight
    if kind == _BROWSE:
        return 1.0
    return parameters.order_weight if kind == _ORDERS else parameters.cart_weight
