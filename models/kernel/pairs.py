"""Compiled: `models.pairs`, what one arrival of an item adds to the rows, on tapes that all of a batch goes to."""

from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.kernel.compiling import merged
from models.kernel.entry import BROWSE, KIND, ORDERS, TIME, TIMESTAMP
from models.kernel.session import BOUGHT, CART, LENGTH, POSITIONS, SEEN, Layout, holds
from models.parameters import Parameters

__all__ = [
    "COMPARED",
    "INCREMENT_WORDS",
    "MET",
    "NO_CATEGORY",
    "Pairing",
    "Tape",
    "add_arrival",
    "add_totals",
    "pairing_of",
]

#: An increment: number of the packed record, time and arrival of the event in ms, anchor, events, sessions, category,
#: number of others; its others follow those of the increment before.
INCREMENT_WORDS = 8

#: Flags of an other: the pair is counted as met, as compared.
MET, COMPARED = 1, 2

NO_CATEGORY = -1


class Pairing(NamedTuple):
    """What a pair's weight depends on: the parameters of `models.parameters` that begin with ``pair_``, and others."""

    positions: int
    distance_exponent: float
    time_constant_ms: float
    length_exponent: float
    backward_weight: float
    cart_weight: float
    order_weight: float
    ordered_together_weight: float
    comparison_ms: int


def pairing_of(parameters: Parameters) -> Pairing:
    """Return the pairing that parameters ask for; of fixed types, for which the kernel is compiled."""
    return Pairing(
        positions=parameters.pair_positions,
        distance_exponent=float(parameters.pair_distance_exponent),
        time_constant_ms=float(parameters.pair_time_constant_ms),
        length_exponent=float(parameters.pair_length_exponent),
        backward_weight=float(parameters.pair_backward_weight),
        cart_weight=float(parameters.cart_weight),
        order_weight=float(parameters.order_weight),
        ordered_together_weight=float(parameters.ordered_together_weight),
        comparison_ms=parameters.comparison_ms,
    )


class Tape(NamedTuple):
    """The increments of a batch, and the item, flags and weight of each of their others; `ends` counts both."""

    increments: NDArray[np.int64]
    others: NDArray[np.int64]
    weights: NDArray[np.float64]
    ends: NDArray[np.int64]


@merged
def add_totals(tape: Tape, record: int, time_ms: int, timestamp: int) -> None:
    """Add the increment that counts one more session; `models.cooccurrence.TOTALS` has the index 0."""
    _add(tape, record, time_ms, timestamp, 0, 0, 1, NO_CATEGORY, 0)


@merged
def add_arrival(
    session: NDArray[np.int64],
    layout: Layout,
    pairing: Pairing,
    entry: NDArray[np.int64],
    lines: NDArray[np.int64],
    count: int,
    line: int,
    is_counted: bool,
    record: int,
    tape: Tape,
) -> None:
    """Add what the arrival of one of an event's lines adds, before it stands in the session."""
    item, kind, time_ms = lines[line, 0], entry[KIND], entry[TIME]
    is_new = is_counted and not holds(session, layout.seen, 1, session[SEEN], item)
    met = MET if is_new else 0
    length_weight = float(session[LENGTH] + 1) ** pairing.length_exponent
    is_own_chosen = kind == BROWSE and _is_chosen(session, layout, item)
    first, first_other = tape.ends
    end = layout.positions + 2 * session[POSITIONS]
    for distance in range(1, min(pairing.positions, session[POSITIONS]) + 1):
        place = end - 2 * distance
        other = session[place]
        is_met = other == item
        for known in range(first, tape.ends[0]):
            is_met |= tape.increments[known, 3] == other
        if is_met:
            continue
        gap_ms = abs(time_ms - session[place + 1])
        weight = float(distance) ** pairing.distance_exponent * exp(-gap_ms / pairing.time_constant_ms)
        weight *= length_weight * _kind_weight(session, layout, pairing, lines, count, kind, other)
        is_compared = (
            distance == 1
            and kind == BROWSE
            and not is_own_chosen
            and not _is_chosen(session, layout, other)
            and (gap_ms <= pairing.comparison_ms if is_new else _returns(session, layout, pairing, item))
        )
        _add(tape, record, time_ms, entry[TIMESTAMP], other, 0, 0, NO_CATEGORY, 1)
        _add_other(tape, item, weight, met | (COMPARED if is_compared else 0))
    found = tape.ends[0] - first
    _add(tape, record, time_ms, entry[TIMESTAMP], item, 1, int(is_new), lines[line, 1], found)
    for k in range(found):
        forward = first_other + k
        weight = tape.weights[forward] * pairing.backward_weight
        _add_other(tape, tape.increments[first + k, 3], weight, tape.others[forward, 1])


@merged
def _add(
    tape: Tape,
    record: int,
    time_ms: int,
    timestamp: int,
    anchor: int,
    events: int,
    sessions: int,
    category: int,
    others: int,
) -> None:
    increment = tape.increments[tape.ends[0]]
    increment[0], increment[1], increment[2], increment[3] = record, time_ms, timestamp, anchor
    increment[4], increment[5], increment[6], increment[7] = events, sessions, category, others
    tape.ends[0] += 1


@merged
def _add_other(tape: Tape, item: int, weight: float, flags: int) -> None:
    place = tape.ends[1]
    tape.others[place, 0] = item
    tape.others[place, 1] = flags
    tape.weights[place] = weight
    tape.ends[1] += 1


@merged
def _is_chosen(session: NDArray[np.int64], layout: Layout, item: int) -> bool:
    """Tell whether an item is in the cart or bought."""
    return holds(session, layout.cart, 2, session[CART], item) or holds(
        session, layout.bought, 1, session[BOUGHT], item
    )


@merged
def _returns(session: NDArray[np.int64], layout: Layout, pairing: Pairing, item: int) -> bool:
    """Tell whether a view goes back to the item before the last, which was met once and not at once."""
    count = session[POSITIONS]
    if count < 2:
        return False
    before = layout.positions + 2 * (count - 2)
    last, last_ms = session[before + 2], session[before + 3]
    times_met = 0
    for place in range(layout.positions, before + 4, 2):
        times_met += session[place] == last
    is_slow = abs(last_ms - session[before + 1]) > pairing.comparison_ms
    return bool(session[before] == item and times_met == 1 and is_slow)


@merged
def _kind_weight(
    session: NDArray[np.int64],
    layout: Layout,
    pairing: Pairing,
    lines: NDArray[np.int64],
    count: int,
    kind: int,
    other: int,
) -> float:
    if kind == BROWSE:
        return 1.0
    if kind != ORDERS:
        return pairing.cart_weight
    is_bought = holds(session, layout.bought, 1, session[BOUGHT], other)
    for line in range(count):
        is_bought |= lines[line, 0] == other
    return pairing.ordered_together_weight if is_bought else pairing.order_weight
