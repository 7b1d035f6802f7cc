"""Forward decay grows by the half-life, and rescaling loses nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decay import EPOCH_HALF_LIVES, epoch_of, growth, level, rescale

HALF_LIFE_MS = 1_000
EPOCH_MS = EPOCH_HALF_LIVES * HALF_LIFE_MS

times = st.integers(-10 * EPOCH_MS, 10 * EPOCH_MS)
weights = st.floats(1e-9, 1e9)


@pytest.mark.parametrize(
    ("time_ms", "epoch", "expected"),
    [(0, 0, 1.0), (1_000, 0, 2.0), (3_000, 0, 8.0), (-1_000, 0, 0.5), (EPOCH_MS, 1, 1.0), (EPOCH_MS - 2_000, 1, 0.25)],
)
def test_growth_doubles_with_each_half_life_from_the_start_of_the_epoch(
    time_ms: int, epoch: int, expected: float
) -> None:
    assert growth(time_ms, epoch, HALF_LIFE_MS) == expected


def test_half_a_half_life_grows_by_the_root_of_two() -> None:
    assert growth(500, 0, HALF_LIFE_MS) == pytest.approx(1.414_213_562, rel=1e-9)


@pytest.mark.parametrize(
    ("time_ms", "expected"),
    [(0, 0), (EPOCH_MS - 1, 0), (EPOCH_MS, 1), (EPOCH_MS + 1, 1), (-1, -1), (-EPOCH_MS, -1), (-EPOCH_MS - 1, -2)],
)
def test_an_epoch_starts_at_its_first_millisecond(time_ms: int, expected: int) -> None:
    assert epoch_of(time_ms, HALF_LIFE_MS) == expected


def test_growth_within_an_epoch_stays_far_from_overflow() -> None:
    assert 1.0 <= growth(EPOCH_MS - 1, 0, HALF_LIFE_MS) < 2.0**16


def test_one_epoch_later_a_stored_weight_is_2_to_the_minus_16() -> None:
    assert rescale(1) == 1 / 65_536
    assert rescale(0) == 1.0
    assert rescale(2) == rescale(1) * rescale(1)


@given(weight=weights, epochs=st.integers(0, 20))
def test_rescaling_is_exact(weight: float, epochs: int) -> None:
    assert weight * rescale(epochs) * 2.0 ** (16 * epochs) == weight


@given(time_ms=times, first=st.integers(-5, 5), second=st.integers(-5, 5))
def test_growth_in_a_later_epoch_is_the_rescaled_growth_in_an_earlier_one(
    time_ms: int, first: int, second: int
) -> None:
    earlier, later = sorted((first, second))
    expected = growth(time_ms, earlier, HALF_LIFE_MS) * rescale(later - earlier)
    assert growth(time_ms, later, HALF_LIFE_MS) == pytest.approx(expected, rel=1e-9)


@given(start=times, middle=times, end=times)
def test_decay_composes(start: int, middle: int, end: int) -> None:
    def decay(since: int, now: int) -> float:
        return growth(since, 0, HALF_LIFE_MS) / growth(now, 0, HALF_LIFE_MS)

    assert decay(start, middle) * decay(middle, end) == pytest.approx(decay(start, end), rel=1e-9)


@given(first=times, second=times, epoch=st.integers(-5, 5))
def test_the_ratio_of_two_weights_does_not_depend_on_the_epoch(first: int, second: int, epoch: int) -> None:
    ratio = growth(first, epoch, HALF_LIFE_MS) / growth(second, epoch, HALF_LIFE_MS)
    assert ratio == pytest.approx(2.0 ** ((first - second) / HALF_LIFE_MS), rel=1e-9)


@pytest.mark.parametrize(
    ("time_ms", "speed", "expected"),
    [(0, 30, 1.0), (1_000, 1, 2.0), (1_000, 3, 8.0), (500, 2, 2.0), (100, 30, 8.0), (-1_000, 2, 0.25)],
)
def test_what_decays_so_many_times_as_fast_doubles_so_many_times_as_often(
    time_ms: int, speed: int, expected: float
) -> None:
    assert growth(time_ms, 0, HALF_LIFE_MS, speed) == expected


def test_one_epoch_later_what_decays_twice_as_fast_is_2_to_the_minus_32() -> None:
    assert rescale(1, 2) == 1 / 4_294_967_296
    assert rescale(0, 2) == 1.0


@pytest.mark.parametrize("speed", [2, 5, 30])
def test_an_epoch_at_a_speed_is_as_many_epochs_at_none(speed: int) -> None:
    assert rescale(1, speed) == rescale(speed)


@given(time_ms=times, first=st.integers(-5, 5), second=st.integers(-5, 5))
def test_fast_growth_in_a_later_epoch_is_the_rescaled_growth_in_an_earlier_one(
    time_ms: int, first: int, second: int
) -> None:
    earlier, later = sorted((first, second))
    expected = growth(time_ms, earlier, HALF_LIFE_MS, 2) * rescale(later - earlier, 2)
    assert growth(time_ms, later, HALF_LIFE_MS, 2) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("half_lives", "exponent"), [(17, 510), (18, 512), (-17, -510), (-18, -512)])
def test_what_decays_fast_meets_the_same_bound(half_lives: int, exponent: int) -> None:
    assert growth(half_lives * HALF_LIFE_MS, 0, HALF_LIFE_MS, 30) == 2.0**exponent


def test_beyond_512_half_lives_nothing_overflows_or_vanishes() -> None:
    assert growth(10**18, 0, 1_000) == 2.0**512
    assert growth(-(10**18), 0, 1_000) == 2.0**-512


stored_weights = st.tuples(weights, st.integers(-3, 3)) | st.just((0.0, 2)) | st.just((-1e-20, 3))


@given(stored_weights, stored_weights, st.sampled_from([1, 5]))
def test_levels_order_stored_weights_of_all_epochs_as_what_they_are_worth(
    one: tuple[float, int], other: tuple[float, int], speed: int
) -> None:
    def worth(stored: tuple[float, int]) -> float:
        return max(0.0, stored[0]) * 2.0 ** (EPOCH_HALF_LIVES * speed * stored[1])

    assert (level(*one, speed) < level(*other, speed)) == (worth(one) < worth(other))
    assert (level(*one, speed) == level(*other, speed)) == (worth(one) == worth(other))
