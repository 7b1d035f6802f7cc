"""What the kernels depend on beside the rows, as tuples of fixed types, for which they are compiled."""

from math import inf
from typing import NamedTuple

from models.decay import EPOCH_HALF_LIVES, EXPONENT_MAX
from models.parameters import Parameters

__all__ = ["Decay", "Weighing", "decay_of", "weighing_of"]


class Decay(NamedTuple):
    """What growth depends on.

    All of it goes to the kernels as arguments: numba would keep constants of another module in its cache when they
    have changed, and LLVM turns 2.0 ** x with a constant 2.0 into exp2(x), which now and then rounds differently.
    """

    half_life_ms: int
    epoch_ms: int
    epoch_half_lives: int
    exponent_max: float
    trend_speed: int
    base: float


def decay_of(parameters: Parameters) -> Decay:
    """Return the decay that parameters ask for."""
    half_life_ms = parameters.half_life_ms
    return Decay(
        half_life_ms, EPOCH_HALF_LIVES * half_life_ms, EPOCH_HALF_LIVES, EXPONENT_MAX, parameters.trend_speed, 2.0
    )


class Weighing(NamedTuple):
    """What the score depends on, beside decay: the parameters of `models.parameters` of these names.

    `prior_max`: no prior is greater.
    """

    time_constant_ms: float
    place_exponent: float
    mass_prior: float
    popularity_prior: float
    popularity_exponent: float
    compression: float
    hop_weight: float
    trend_floor: float
    trend_exponent: float
    hop_neighbours: int
    prior_step_ms: int
    hop_row_size: int
    prior_max: float


def weighing_of(parameters: Parameters) -> Weighing:
    """Return the weighing that parameters ask for; of fixed types, for which the kernel is compiled."""
    return Weighing(
        time_constant_ms=float(parameters.query_time_constant_ms),
        place_exponent=float(parameters.query_place_exponent),
        mass_prior=float(parameters.mass_prior),
        popularity_prior=float(parameters.popularity_prior),
        popularity_exponent=float(parameters.popularity_exponent),
        compression=float(parameters.compression),
        hop_weight=float(parameters.hop_weight),
        trend_floor=float(parameters.trend_floor),
        trend_exponent=float(parameters.trend_exponent),
        hop_neighbours=parameters.hop_neighbours,
        prior_step_ms=parameters.prior_step_ms,
        hop_row_size=parameters.hop_row_size,
        prior_max=_prior_max(parameters),
    )


def _prior_max(parameters: Parameters) -> float:
    # With a negative exponent popularity weighs most where nobody came. A margin, lest rounding turn somebody away.
    if parameters.popularity_exponent > 0 or parameters.trend_exponent < 0:
        return inf
    popularity = float(parameters.popularity_prior**parameters.popularity_exponent)
    return 1.000001 * popularity * float((1.0 + parameters.trend_floor) ** parameters.trend_exponent)
