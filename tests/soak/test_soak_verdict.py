"""The verdict of a soak: flat is flat, a leak is a leak, and neither the start nor a spike decides."""

from collections.abc import Callable

import pytest
from soak_verdict import Sample, growth, verdict


def samples(rss: Callable[[int], float], count: int = 41) -> list[Sample]:
    """Return samples every 10 s with a resident memory in MB by number."""
    return [Sample(10.0 * at, 0.0, 0, round(rss(at) * 1e6), 0, 0, 0, 0, 0, 0, 0) for at in range(count)]


def test_constant_memory_is_flat() -> None:
    assert growth(samples(lambda _: 200)) == 0
    assert verdict(samples(lambda _: 200)) == (
        True,
        "memory is flat: +0.0% over the last half of the run (allowed: less than 5%)",
    )


def test_growth_is_that_of_the_last_half_alone() -> None:
    assert growth(samples(lambda at: min(400, 100 + 20 * at))) == 0
    assert growth(samples(lambda at: 100 if at < 20 else 100 + at - 20)) == pytest.approx(0.2)


@pytest.mark.parametrize(("last", "is_flat"), [(104.9, True), (105.0, False), (120.0, False), (80.0, True)])
def test_five_percent_is_too_much(last: float, is_flat: bool) -> None:
    found, sentence = verdict(samples(lambda at: 100 + (last - 100) * max(0, at - 20) / 20))
    assert found is is_flat
    assert ("is flat" in sentence) is is_flat


def test_a_spike_does_not_decide() -> None:
    assert growth(samples(lambda at: 300 if at == 40 else 200, 101)) == 0
    assert abs(growth(samples(lambda at: 230 if at == 100 else 200, 101))) < 0.02


def test_a_sawtooth_around_a_level_is_flat() -> None:
    assert abs(growth(samples(lambda at: 200 + 5 * (at % 4)))) < 0.01


def test_too_few_samples_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="4 samples in the last half are too few"):
        growth(samples(lambda _: 200, 8))
    with pytest.raises(ValueError, match="without samples"):
        growth([])
