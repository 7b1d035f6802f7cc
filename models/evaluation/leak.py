"""The guard against leaks: on targets that have been shuffled no model can be better than popularity."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import InvariantError
from models.evaluation.metrics import gains, intervals
from models.evaluation.recommender import Interaction
from models.evaluation.replay import DEPTH, Replay, Task, replay_frozen

__all__ = ["ShuffleVerdict", "judge_shuffled", "shuffle_targets"]


def shuffle_targets(test: Sequence[Interaction], seed: int = 0) -> list[Interaction]:
    """Deal the items (with their categories) out anew among all interactions; sessions, times and kinds stay.

    What comes next then has nothing to do with what came before, and every item is as frequent as it was. The shuffled
    interactions go through the whole replay, so a model that scores on them has been shown what it was asked about
    (`judge_shuffled`).

    Examples
    --------
    >>> test = [Interaction("ann", "tea", 1), Interaction("ann", "cup", 2), Interaction("bob", "pot", 3)]
    >>> [(each.session_id, each.item_id) for each in shuffle_targets(test)]
    [('ann', 'pot'), ('ann', 'tea'), ('bob', 'cup')]
    """
    order = np.random.default_rng(seed).permutation(len(test))
    dealt = (test[place] for place in order)
    return [
        each._replace(item_id=other.item_id, category=other.category) for each, other in zip(test, dealt, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class ShuffleVerdict:
    """Whether a model knew shuffled targets better than can be: HR@20 of it, of the ceiling, and the difference.

    `excess` is the paired 95 % interval of the model's HR@20 less the ceiling.
    """

    hr: float
    ceiling: float
    excess: tuple[float, float]

    @property
    def is_clean(self) -> bool:
        """Whether the replay shows no leak: the interval reaches down to 0 or below."""
        return not self.excess[0] > 0


def judge_shuffled(shuffled: Replay, test: Iterable[Interaction], task: Task, seed: int = 0) -> ShuffleVerdict:
    """Compare a replay of shuffled targets with the most that popularity can give.

    A popularity model's own figure is no measure: it knows the train part's favourites, and another model may well
    know those of the test part better. The ceiling does not depend on any model. Where the target has nothing to do
    with what a model knows, no list hits more often than that of the items that are most often the target, less the
    excluded ones. The ceiling takes them from these very queries, hence is a little too high rather than too low. A
    model above it, by more than the draw of sessions explains, has seen what it was asked about.

    With few items the ceiling is near 1, and the guard is blind.

    Parameters
    ----------
    shuffled : Replay
        Of the shuffled test part, under either protocol.
    test, task
        What it was a replay of: the shuffled test part.
    seed : int
        Of the draws of sessions.
    """
    ceiling = replay_frozen(_FixedList(shuffled.targets), [], test, task)
    if ceiling.targets != shuffled.targets:
        raise InvariantError("the replay is not one of this test part and task; judge it with what it was made from")
    hits, ceiling_hits = gains("hr", shuffled.ranks, DEPTH), gains("hr", ceiling.ranks, DEPTH)
    [(low, high)] = intervals(shuffled.sessions, [hits - ceiling_hits], seed).tolist()
    return ShuffleVerdict(_mean(hits), _mean(ceiling_hits), (low, high))


class _FixedList:
    """Shows the most frequent of some items, the same to everybody."""

    def __init__(self, items: Iterable[str]) -> None:
        counts = Counter(items)
        self._ranked = sorted(counts, key=lambda item: (-counts[item], item))

    def learn(self, session: Sequence[Interaction]) -> None:
        """Learn nothing."""

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Learn nothing."""

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return the first n that are not excluded."""
        # At most as many are passed over as are excluded.
        nearest = self._ranked[: n + len(excluded)]
        return [item for item in nearest if item not in excluded][:n]


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")
