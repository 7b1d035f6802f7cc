"""Compiled: the growth of counts (`models.decay`)."""

from models.kernel.compiling import kernel
from models.kernel.constants import Decay

__all__ = ["grown_at"]


@kernel
def grown_at(time_ms: int, epoch: int, decay: Decay, speed: int) -> float:
    """Return `models.decay.growth`, to the last bit."""
    exponent = speed * (time_ms - epoch * decay.epoch_ms) / decay.half_life_ms
    return float(decay.base ** max(-decay.exponent_max, min(decay.exponent_max, exponent)))
