"""What may be set is a parameter, its default is in its range, and it changes what is suggested."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.recommender import Interaction
from models.evaluation.sidecart import Sidecart
from models.parameters import DEFAULTS, Parameters
from models.tunable import TUNABLES, Tunable

NAMES = [each.name for each in TUNABLES]

each_tunable = pytest.mark.parametrize("tunable", TUNABLES, ids=NAMES)


def test_each_is_named_once() -> None:
    assert len(set(NAMES)) == len(NAMES)


@each_tunable
def test_each_is_a_parameter_with_its_default_in_the_range(tunable: Tunable) -> None:
    assert tunable.name in {spec.name for spec in fields(Parameters)}
    assert tunable.low <= tunable.default <= tunable.high
    assert tunable.low < tunable.high


@each_tunable
def test_a_range_on_a_log_scale_is_above_zero_and_one_of_integers_has_whole_ends(tunable: Tunable) -> None:
    if tunable.scale == "log":
        assert tunable.low > 0
    if isinstance(tunable.default, int):
        assert tunable.low == int(tunable.low)
        assert tunable.high == int(tunable.high)
    else:
        assert tunable.scale != "integer"


def test_the_ranges_fit_together() -> None:
    high = {each.name: each.high for each in TUNABLES}
    assert high["hop_neighbours"] <= DEFAULTS.row_size
    assert max(high["query_items"], high["pair_positions"]) <= DEFAULTS.positions_max


@each_tunable
@pytest.mark.parametrize("by", [-5, -0.3, -0.001, 0.001, 0.3, 5])
def test_a_move_stays_in_the_range_and_keeps_the_type_and_all_else(tunable: Tunable, by: float) -> None:
    moved = tunable.moved(DEFAULTS, by)
    assert tunable.low <= tunable.of(moved) <= tunable.high
    assert type(tunable.of(moved)) is type(tunable.default)
    assert tunable.put(moved, tunable.default) == DEFAULTS


@given(st.sampled_from(TUNABLES), st.floats(-1, 1))
def test_a_moved_value_has_three_digits_in_the_unit_it_is_shown_in(tunable: Tunable, by: float) -> None:
    moved = tunable.moved(DEFAULTS, by)
    if tunable.of(moved) not in (tunable.low, tunable.high):
        assert tunable.shown(moved) == pytest.approx(float(f"{tunable.shown(moved):.3g}"), rel=1e-9)


@each_tunable
def test_the_ends_of_the_range_are_at_0_and_1_and_are_reached(tunable: Tunable) -> None:
    assert tunable.of(tunable.moved(DEFAULTS, -1)) == tunable.low
    assert tunable.of(tunable.moved(DEFAULTS, 1)) == tunable.high
    assert tunable.place(tunable.put(DEFAULTS, tunable.low)) == 0
    assert tunable.place(tunable.put(DEFAULTS, tunable.high)) == pytest.approx(1)


def test_a_step_on_a_log_scale_is_a_factor_and_on_a_linear_one_a_difference() -> None:
    log = Tunable("mass_prior", 0.05, 500, "log", "")
    linear = Tunable("hop_weight", 0.0, 2.0, "linear", "")
    assert [log.moved(DEFAULTS, by).mass_prior for by in (-0.25, 0.25)] == [0.5, 50.0]
    assert [linear.moved(DEFAULTS, by).hop_weight for by in (-0.1, 0.1)] == [0.6, 1.0]


def sessions() -> list[list[Interaction]]:
    """Twenty sessions of up to six items each, of which some come back, hours and days apart."""
    found = []
    for n in range(20):
        start_ms = n * 40_000_000
        items = [f"i{(n * n + place * (3 + n % 4)) % 11}" for place in range(2 + n % 5)]
        found.append([Interaction(f"s{n}", item, start_ms + 45_000 * place) for place, item in enumerate(items)])
    return found


def scores(parameters: Parameters) -> list[tuple[str, float]]:
    model = Sidecart(parameters)
    *past, present = sessions()
    for session in past:
        for place in range(len(session)):
            model.learn(session[: place + 1])
    positions = [(each.item_id, each.time_ms) for each in reversed(present)]
    return [(found.item_id, found.score) for found in model.rows.rank(positions, set(), present[-1].time_ms)]


@each_tunable
def test_each_changes_the_ranking(tunable: Tunable) -> None:
    low, high = (scores(tunable.put(DEFAULTS, value)) for value in (tunable.low, tunable.high))
    assert low
    assert low != high
