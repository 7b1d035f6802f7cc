"""What a soak measured, and whether the worker's memory was flat."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["GROWTH_MAX", "Sample", "growth", "verdict"]

#: Growth of the resident memory over the last half of the run that is still flat.
GROWTH_MAX = 0.05

#: Fewer samples in the last half say nothing.
_SAMPLES_MIN = 5


class Sample(NamedTuple):
    """One look at the worker; sizes in bytes, `hours` of event time that has passed."""

    seconds: float
    hours: float
    events: int
    rss: int
    replica: int
    state: int
    changelog: int
    sessions: int
    items: int
    dropped: int
    series: int


def growth(samples: Sequence[Sample]) -> float:
    """Return the growth of the resident memory over the last half of the run, as a share.

    It is that of the least-squares line, so that one high sample at either end does not decide.

    Raises
    ------
    ValueError
        With fewer than five samples in that half.
    """
    if not samples:
        raise ValueError("a soak without samples")
    middle = (samples[0].seconds + samples[-1].seconds) / 2
    half = [sample for sample in samples if sample.seconds >= middle]
    if len(half) < _SAMPLES_MIN:
        raise ValueError(f"{len(half)} samples in the last half are too few: let the soak run longer")
    mean_s = sum(sample.seconds for sample in half) / len(half)
    mean = sum(sample.rss for sample in half) / len(half)
    spread = sum((sample.seconds - mean_s) ** 2 for sample in half)
    slope = sum((sample.seconds - mean_s) * (sample.rss - mean) for sample in half) / spread
    first = mean + slope * (half[0].seconds - mean_s)
    return slope * (half[-1].seconds - half[0].seconds) / first


def verdict(samples: Sequence[Sample]) -> tuple[bool, str]:
    """Return whether memory was flat, and the sentence that says so."""
    grown = growth(samples)
    is_flat = grown < GROWTH_MAX
    sentence = f"memory {'is flat' if is_flat else 'GROWS'}: {grown:+.1%} over the last half of the run"
    return is_flat, f"{sentence} (allowed: less than {GROWTH_MAX:.0%})"
