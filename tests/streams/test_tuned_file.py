"""What is written of tuned parameters is what a worker reads, to the last digit, and says what it is."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.parameters import DEFAULTS
from models.tunable import TUNABLES, Tunable
from streams.context import model_parameters
from streams.settings import load_settings
from streams.tuned_file import tuned_file


@given(st.lists(st.tuples(st.sampled_from(TUNABLES), st.floats(-1, 1)), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_worker_reads_what_was_tuned(tmp_path: Path, moves: list[tuple[Tunable, float]]) -> None:
    tuned = DEFAULTS
    for tunable, by in moves:
        tuned = tunable.moved(tuned, by)
    file = tmp_path / "tuned.toml"
    file.write_text(tuned_file(tuned, "Found."))
    assert model_parameters(load_settings({"SIDECART_CONFIG": str(file)})) == tuned


@pytest.mark.parametrize("tunable", TUNABLES, ids=[each.name for each in TUNABLES])
def test_only_what_differs_from_the_default_is_written(tunable: Tunable) -> None:
    written = tomllib.loads(tuned_file(tunable.moved(DEFAULTS, 0.1), "Found."))
    keys = [*written, *written.get("model", {})]
    assert keys == (["half_life_days"] if tunable.name == "half_life_ms" else ["model", tunable.name])


def test_the_origin_may_have_several_lines_and_is_a_comment() -> None:
    text = tuned_file(DEFAULTS, "Found by the search.\nhop_weight = 1")
    assert text == "# Found by the search.\n# hop_weight = 1\n"
