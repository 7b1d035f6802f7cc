"""In small (CONTRIBUTING.md): nothing is lost or counted twice in any schedule, and each rule is needed."""

import pytest
from rules import RULES
from schedule import run_schedule

#: Schedules of the product as it is, in portions that a failure names.
PORTIONS = range(0, 200, 20)
#: The first seed that notices, where that is rare (CONTRIBUTING.md says how rare). When the steps have changed,
#: another seed notices: `run_schedules.py --without` finds it.
FIRST = {
    "4 commits of an old generation are refused": 110,
    "5 a fresh end": 202,
    "5 fence before the load": 226,
    "6 the disk is a cache": 26,
}
#: Schedules in which a rule that is missing must be noticed.
MOST = 3_000


@pytest.mark.parametrize("first", PORTIONS)
def test_no_schedule_finds_a_difference(first: int) -> None:
    outcomes = [run_schedule(seed) for seed in range(first, first + PORTIONS.step)]
    assert {each.seed: each.differences[:3] for each in outcomes if each.differences} == {}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    switch, often = RULES[rule]
    seeds = range(FIRST.get(rule, 0), FIRST.get(rule, 0) + MOST)
    assert any(run_schedule(seed, switch, often).differences for seed in seeds)


def test_a_schedule_is_the_same_whenever_it_is_run() -> None:
    first, second = run_schedule(7), run_schedule(7)
    assert first.happened == second.happened and first.happened["deliver"] > 50


def test_every_kind_of_step_and_accident_happens() -> None:
    happened = sum((run_schedule(seed).happened for seed in range(20)), run_schedule(0).happened)
    expected = {"crash", "expire", "lose_answer", "lose", "hurry", "compact", "set_back", "move_commits", "snapshot"}
    expected |= {"windows", "abort", "stall", "disk kept", "disk lost", "disk old", "rebalance", "complete"}
    assert expected <= happened.keys()
    assert {"ProducerFenced", "LateWriterError", "KafkaTimeoutError"} <= happened.keys()
