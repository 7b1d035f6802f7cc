"""The guard that would see a leak: honest models fall to the level of popularity, models that cheat do not."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pytest

from models.errors import InvariantError, RecordingError
from models.evaluation.leak import ShuffleVerdict, judge_shuffled, shuffle_targets
from models.evaluation.recommender import Interaction
from models.evaluation.replay import ANY, NOVEL, Replay, Target, replay_frozen, replay_prequential
from models.evaluation.sidecart import Sidecart
from models.kernel.rows import DenseRows
from models.parameters import DEFAULTS
from streams.datasets import load


class Silent:
    """Shows nothing."""

    def learn(self, session: Sequence[Interaction]) -> None: ...

    def learn_session(self, session: Sequence[Interaction]) -> None: ...

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        return []


class Rules:
    """Honest and simple: the items that followed the newest one, most frequent first, then all others likewise."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.followers: dict[str, Counter[str]] = {}

    def learn(self, session: Sequence[Interaction]) -> None:
        self.counts[session[-1].item_id] += 1
        if len(session) > 1:
            self.followers.setdefault(session[-2].item_id, Counter())[session[-1].item_id] += 1

    def learn_session(self, session: Sequence[Interaction]) -> None: ...

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        followers = self.followers.get(session[-1].item_id, Counter[str]())
        ranked = sorted(self.counts, key=lambda item: (-followers[item], -self.counts[item], item))
        return [item for item in ranked if item not in excluded][:n]


def chains(prefix: str, sessions: int) -> list[Interaction]:
    """Make sessions of six items each from a ring of 300, each item followed by the next one of the ring."""
    starts = np.random.default_rng(len(prefix)).integers(0, 300, sessions).tolist()
    return [
        Interaction(f"{prefix}{number}", f"i{(start + step) % 300}", 1_000 * number + step, category=f"c{start % 7}")
        for number, start in enumerate(starts)
        for step in range(6)
    ]


TAUGHT, SHOWN = chains("a", 400), chains("bb", 400)


def test_shuffling_deals_out_the_same_items_and_leaves_all_else() -> None:
    shuffled = shuffle_targets(SHOWN, seed=1)
    assert Counter((each.item_id, each.category) for each in shuffled) == Counter(
        (each.item_id, each.category) for each in SHOWN
    )
    assert [each._replace(item_id="", category="") for each in shuffled] == [
        each._replace(item_id="", category="") for each in SHOWN
    ]
    assert sum(new.item_id == old.item_id for new, old in zip(shuffled, SHOWN, strict=True)) < len(SHOWN) / 50
    assert shuffle_targets(SHOWN, seed=1) == shuffled != shuffle_targets(SHOWN, seed=2)


@pytest.mark.parametrize("target", [NOVEL, ANY, Target(True, frozenset({"browse"}))])
@pytest.mark.parametrize("replay", [replay_frozen, replay_prequential])
def test_an_honest_model_falls_to_the_level_of_popularity(replay: Callable[..., Replay], target: Target) -> None:
    assert (replay(Rules(), TAUGHT, SHOWN, target).ranks == 1).mean() > 0.9
    shuffled = shuffle_targets(SHOWN)
    verdict = judge_shuffled(replay(Rules(), TAUGHT, shuffled, target), shuffled, target)
    assert verdict.is_clean
    assert verdict.hr < verdict.ceiling < 0.15
    assert verdict.excess[0] < verdict.hr - verdict.ceiling < verdict.excess[1]


def test_a_model_that_has_learnt_the_test_part_is_found_out() -> None:
    shuffled = shuffle_targets(SHOWN)
    leaky = Rules()
    replay_frozen(leaky, shuffled, [], ANY)
    verdict = judge_shuffled(replay_frozen(leaky, TAUGHT, shuffled, ANY), shuffled, ANY)
    assert not verdict.is_clean
    assert verdict.hr > 0.9


def test_a_replay_that_teaches_before_it_asks_would_be_found_out() -> None:
    class Early(Rules):
        """Learns the interaction that it is asked about, as if the replay had the two the wrong way round."""

        def __init__(self, test: Sequence[Interaction]) -> None:
            super().__init__()
            self._ahead: dict[str, list[Interaction]] = {}
            for each in test:
                self._ahead.setdefault(each.session_id, []).append(each)

        def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
            self.learn(self._ahead[session[-1].session_id][: len(session) + 1])
            return super().recommend(session, n, excluded)

    shuffled = shuffle_targets(SHOWN)
    assert not judge_shuffled(replay_prequential(Early(shuffled), TAUGHT, shuffled, NOVEL), shuffled, NOVEL).is_clean


def test_the_ceiling_is_the_best_fixed_list_with_excluded_items_passed_over() -> None:
    # Of the 30 targets 21 are b0 to b20, once each, and 9 are top; top is excluded where the session begins with it.
    rows = [(f"s{number}", f"b{number}") for number in range(21)] + [(f"t{number}", "top") for number in range(9)]
    test = [
        Interaction(session, item, time_ms)
        for session, target in rows
        for time_ms, item in enumerate(("top" if session in ("s8", "s20") else f"first-{session}", target))
    ]
    shuffled = replay_frozen(Silent(), [], test, NOVEL)
    # After top come b0, b1, b10 to b19, b2, b20, b3 to b9: the list ends with b7, or with b8 where top is passed over.
    # So of the single ones only that of s9 is missed.
    assert judge_shuffled(shuffled, test, NOVEL).ceiling == pytest.approx((9 + 20) / 30)


@pytest.mark.parametrize(("low", "is_clean"), [(-0.01, True), (0.0, True), (0.001, False), (float("nan"), True)])
def test_a_model_is_guilty_if_all_of_the_interval_is_above_the_ceiling(low: float, is_clean: bool) -> None:
    assert ShuffleVerdict(0.11, 0.1, (low, 0.02)).is_clean == is_clean


def test_a_replay_of_something_else_is_not_judged() -> None:
    replay = replay_frozen(Rules(), TAUGHT, SHOWN, NOVEL)
    with pytest.raises(InvariantError, match="not one of this test part and task"):
        judge_shuffled(replay, shuffle_targets(SHOWN), NOVEL)


def test_without_queries_nothing_is_held_against_a_model() -> None:
    test = [Interaction("s", "a", 1)]
    assert judge_shuffled(replay_frozen(Silent(), [], test, ANY), test, ANY).is_clean


# -- Sidecart on real clicks


@pytest.fixture(scope="module")
def clicks() -> tuple[list[Interaction], list[Interaction]]:
    """The last clicks of rsc15's training, and the sessions of the first 2,000 of its test."""
    try:
        dataset = load("rsc15", os.environ)
    except RecordingError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    sessions = {each.session_id for each in dataset.test[:2000]}
    return dataset.train[-8_000:], [each for each in dataset.test if each.session_id in sessions]


@pytest.mark.parametrize("replay", [replay_frozen, replay_prequential])
def test_sidecart_falls_to_the_level_of_popularity(
    replay: Callable[..., Replay], clicks: tuple[list[Interaction], list[Interaction]]
) -> None:
    train, test = clicks
    assert (replay(Sidecart(DEFAULTS, DenseRows), train, test, NOVEL).ranks > 0).mean() > 0.35
    shuffled = shuffle_targets(test)
    verdict = judge_shuffled(replay(Sidecart(DEFAULTS, DenseRows), train, shuffled, NOVEL), shuffled, NOVEL)
    assert verdict.is_clean
    assert verdict.hr < verdict.ceiling


def test_sidecart_that_has_learnt_the_test_part_is_found_out(
    clicks: tuple[list[Interaction], list[Interaction]],
) -> None:
    train, test = clicks
    shuffled = shuffle_targets(test)
    leaky = Sidecart(DEFAULTS, DenseRows)
    replay_frozen(leaky, [each._replace(session_id=f"past-{each.session_id}") for each in shuffled], [], NOVEL)
    verdict = judge_shuffled(replay_frozen(leaky, train, shuffled, NOVEL), shuffled, NOVEL)
    assert not verdict.is_clean
    assert verdict.hr > 2 * verdict.ceiling
