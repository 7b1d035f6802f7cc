"""The search climbs, repeats itself by its seed and stops when told; the judgement is on sessions no trial has seen."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from models.errors import ConfigurationError
from models.evaluation.recommender import Interaction
from models.evaluation.replay import NOVEL, Replay, replay_prequential
from models.evaluation.sidecart import Sidecart
from models.evaluation.summary import Comparison
from models.evaluation.tuning import Trial, Tuner, search
from models.parameters import DEFAULTS, Parameters
from models.rows import PlainRows
from models.tunable import TUNABLES

TUNED = replace(DEFAULTS, popularity_exponent=0.2, mass_prior=50.0)


def hill(parameters: Parameters) -> NDArray[np.float64]:
    """Highest where three of the parameters, and no others, are elsewhere than by default."""
    peak = {"compression": 0.8, "hop_weight": 1.2, "mass_prior": 20.0}
    by_name = {each.name: each for each in TUNABLES}
    away = sum(
        abs(by_name[name].place(parameters) - by_name[name].place(by_name[name].put(parameters, value)))
        for name, value in peak.items()
    )
    return np.full(25, (1 - away) / 25)


def best_of(trials: list[Trial]) -> Trial:
    return [trial for trial in trials if trial.is_best][-1]


# -- the search


def test_the_first_trial_is_the_start() -> None:
    trial = next(search(hill, 60, seed=0, start=TUNED))
    assert (trial.parameters, trial.is_best) == (TUNED, True)


@pytest.mark.parametrize("seed", range(5))
def test_it_climbs_near_to_the_top_and_leaves_alone_what_changes_nothing(seed: int) -> None:
    best = best_of(list(search(hill, 60, seed)))
    assert best.score > 0.95 > float(hill(DEFAULTS).sum()) + 0.2
    idle = [each for each in TUNABLES if each.name not in ("compression", "hop_weight", "mass_prior")]
    assert all(each.of(best.parameters) == each.default for each in idle)


def test_no_parameters_are_tried_twice_and_no_more_than_asked_for() -> None:
    trials = list(search(hill, 40, seed=3))
    assert len(trials) == len({trial.parameters for trial in trials}) == 41


def test_it_ends_by_itself_when_all_steps_are_small() -> None:
    assert len(list(search(lambda parameters: np.ones(3), 1000, seed=0))) == 1 + len(TUNABLES)


def test_the_seed_decides_the_trials() -> None:
    first, again, other = (list(search(hill, 20, seed)) for seed in (1, 1, 2))
    assert [trial.parameters for trial in first] == [trial.parameters for trial in again]
    assert [trial.parameters for trial in first] != [trial.parameters for trial in other]


def test_nothing_is_tried_before_it_is_asked_for() -> None:
    tried = []

    def parts_of(parameters: Parameters) -> NDArray[np.float64]:
        tried.append(parameters)
        return hill(parameters)

    assert len(list(islice(search(parts_of, 60, seed=0), 4))) == len(tried) == 4


def test_only_the_named_parameters_are_moved() -> None:
    [compression] = [each for each in TUNABLES if each.name == "compression"]
    trials = list(search(hill, 60, seed=0, tunables=[compression]))
    assert all(compression.put(trial.parameters, compression.default) == DEFAULTS for trial in trials)


@pytest.mark.parametrize(("gains", "is_better"), [((2.0, 1.0), True), ((2.0, -1.0), False), ((-1.0, -1.0), False)])
def test_a_trial_is_better_by_more_than_the_error_of_the_paired_difference(
    gains: tuple[float, float], is_better: bool
) -> None:
    # 3 > sqrt(5), 1 < sqrt(5)
    answers = iter([np.array([5.0, 7.0]), np.array([5.0, 7.0]) + gains])
    _, second = search(lambda parameters: next(answers), 1, seed=0)
    assert second.is_best is is_better


# -- the two halves


def traffic(sessions: range, follower: Callable[[int], str]) -> list[Interaction]:
    """One session a minute: a popular item, one of five kinds of tea, and what follows that kind."""
    found = []
    for n in sessions:
        kind = n % 5
        items = ["front-page", f"tea{kind}", follower(kind)]
        found += [Interaction(f"s{n:04}", item, 60_000 * n + 1000 * place) for place, item in enumerate(items)]
    return found


def cup(kind: int) -> str:
    return f"cup{kind}"


def tuner(
    train: list[Interaction], validation: list[Interaction], on_progress: Callable[[int], None] | None = None
) -> Tuner:
    return Tuner(train, validation, PlainRows, on_progress)


TRAIN, CHOOSE, CONFIRM = (traffic(sessions, cup) for sessions in (range(40), range(40, 60), range(60, 80)))


def replayed(parameters: Parameters, train: list[Interaction], test: list[Interaction]) -> Replay:
    return replay_prequential(Sidecart(parameters), train, test, NOVEL)


def figures(replay: Replay) -> tuple[float, float]:
    ranks = replay.ranks[replay.ranks > 0]
    return ranks.size / replay.ranks.size, float((1 / ranks).sum()) / replay.ranks.size


def test_the_earlier_half_chooses_and_the_later_confirms() -> None:
    ours = tuner(TRAIN, CHOOSE + CONFIRM)
    assert ours.sessions == {"train": 40, "choose": 20, "confirm": 20}
    list(ours.trials(0, seed=0))
    verdict = ours.judge(DEFAULTS)
    assert verdict.choose == verdict.tuned_choose == figures(replayed(DEFAULTS, TRAIN, CHOOSE))
    assert verdict.confirm == verdict.tuned_confirm == figures(replayed(DEFAULTS, TRAIN + CHOOSE, CONFIRM))
    assert verdict.queries == 40


def test_a_score_is_the_mean_of_both_figures_over_those_of_the_defaults() -> None:
    messy = traffic(range(40, 60), lambda kind: f"cup{(kind * kind) % 3}")
    first, *others = tuner(TRAIN, messy + CONFIRM).trials(8, seed=0)
    hr, mrr = figures(replayed(DEFAULTS, TRAIN, messy))
    assert first.score == pytest.approx(1.0)
    for trial in others:
        tuned_hr, tuned_mrr = figures(replayed(trial.parameters, TRAIN, messy))
        assert trial.score == pytest.approx((tuned_hr / hr + tuned_mrr / mrr) / 2)


def test_no_trial_sees_anything_of_what_confirms() -> None:
    other = [each._replace(item_id=f"{each.item_id}-other") for each in CONFIRM]
    scores, others = (
        [trial.score for trial in tuner(TRAIN, CHOOSE + confirm).trials(6, seed=0)] for confirm in (CONFIRM, other)
    )
    assert scores == others


def test_what_a_session_does_after_the_later_half_has_begun_is_in_no_trial() -> None:
    late = Interaction("s0040", "cup4", 60_000 * 70)
    scores, others = (
        [trial.score for trial in tuner(TRAIN, part).trials(6, seed=0)]
        for part in (CHOOSE + CONFIRM, [*CHOOSE, *CONFIRM, late])
    )
    assert scores == others


def test_progress_adds_up_to_the_sizes() -> None:
    done: list[int] = []
    ours = tuner(TRAIN, CHOOSE + CONFIRM, done.append)
    trials = list(ours.trials(2, seed=0))
    assert sum(done) == len(trials) * ours.trial_size == 3 * len(TRAIN + CHOOSE)
    done.clear()
    [other] = {trial.parameters for trial in trials[-1:]}
    ours.judge(other)
    assert sum(done) == ours.judgement_size == 2 * len(TRAIN + CHOOSE + CONFIRM)


# -- the verdict


def quiet(sessions: int) -> list[Interaction]:
    """28 sessions in a half-life: by default counts fade before they are evidence enough."""
    found = []
    for n in range(sessions):
        items = [f"tea{n % 3}", f"cup{n % 3}-{n // 8 * 5 % 7}"]
        found += [
            Interaction(f"s{n:04}", item, DEFAULTS.half_life_ms // 28 * n + 1000 * place)
            for place, item in enumerate(items)
        ]
    return found


def test_what_is_right_for_the_traffic_is_found_and_confirmed() -> None:
    met = quiet(160)
    ours = tuner(met[:160], met[160:])
    best = best_of(list(ours.trials(20, seed=0)))
    verdict = ours.judge(best.parameters)
    assert verdict.is_better
    assert best.parameters.half_life_ms > DEFAULTS.half_life_ms


@pytest.mark.parametrize(
    ("gain", "is_better"),
    [
        (Comparison(1.02, (1.001, 1.05)), True),
        (Comparison(1.02, (1.0, 1.05)), False),
        (Comparison(0.9, (0.8, 0.99)), False),
        (Comparison(1.02, None), False),
        (Comparison(None, None), False),
    ],
)
def test_the_low_end_of_the_interval_decides(gain: Comparison, is_better: bool) -> None:
    ours = tuner(TRAIN, CHOOSE + CONFIRM)
    list(ours.trials(0, seed=0))
    assert replace(ours.judge(DEFAULTS), gain=gain).is_better is is_better


def test_the_gain_is_the_objective_where_it_is_confirmed() -> None:
    messy = traffic(range(60, 80), lambda kind: f"cup{(kind * kind) % 3}")
    ours = tuner(TRAIN, CHOOSE + messy)
    trial = list(ours.trials(5, seed=1))[-1]
    verdict = ours.judge(trial.parameters)
    ratios = [tuned / default for tuned, default in zip(verdict.tuned_confirm, verdict.confirm, strict=True)]
    assert verdict.gain.ratio == pytest.approx(sum(ratios) / 2)
    assert [verdict.comparisons[name].ratio for name in ("hr@20", "mrr@20")] == pytest.approx(ratios)


# -- what is refused


@pytest.mark.parametrize(
    "validation",
    [
        [],
        CHOOSE[:3],
        [each for each in CHOOSE + CONFIRM if each.item_id == "front-page"],
        [*CHOOSE, *(each for each in CONFIRM if each.item_id == "front-page")],
    ],
)
def test_too_few_sessions_are_refused(validation: list[Interaction]) -> None:
    count = len({each.session_id for each in validation})
    with pytest.raises(ConfigurationError, match=f"^{count} sessions are too few to choose by and to confirm: "):
        tuner(TRAIN, validation)


def test_without_an_answer_to_compare_with_it_is_refused() -> None:
    strange = [each._replace(item_id=f"{each.session_id}-{each.item_id}") for each in CHOOSE + CONFIRM]
    with pytest.raises(ConfigurationError, match=r"^the defaults find none of the next items"):
        list(tuner(TRAIN, strange).trials(3, seed=0))
