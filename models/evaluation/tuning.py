"""A search for the parameters that suit one shop, on a validation part only, and an honest word on what it found.

The validation part is split by time into two halves of its sessions. On the first, *choose*, parameters are tried; on
the second, *confirm*, the best of them meet the defaults once. The best of sixty tries looks better than it is where it
was chosen; what it is worth shows on sessions that had no part in the choice.

The objective is the mean of HR@20 and MRR@20, each over that of the defaults, for the next item that the session has
not met, tested and then learnt (`models.evaluation.replay.replay_prequential`): the defaults have 1.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import ConfigurationError
from models.evaluation.datasets import split_by_time
from models.evaluation.metrics import gains, ratio_intervals
from models.evaluation.recommender import Interaction
from models.evaluation.replay import DEPTH, NOVEL, Replay, replay_prequential
from models.evaluation.sidecart import Sidecart
from models.evaluation.summary import Comparison, compare
from models.parameters import DEFAULTS, Parameters
from models.rows import Rows
from models.tunable import TUNABLES, Tunable

__all__ = ["Figures", "Trial", "Tuner", "Verdict", "search"]

#: First step of a parameter, as a share of its range: a third of it is within two.
_FIRST_STEP: Final = 0.15
#: A parameter that is better neither way is next tried with this share of the step; below the last, no more.
_SHRINK: Final = 0.5
_LAST_STEP: Final = 0.02
#: What a trial must add to be taken, in standard errors of the paired difference: what adds less is as likely noise.
_LEAST_GAIN_SE: Final = 1.0


class Trial(NamedTuple):
    """One try of the search; `is_best` if it is better than the best before, by more than noise."""

    parameters: Parameters
    parts: NDArray[np.float64]
    is_best: bool

    @property
    def score(self) -> float:
        """The objective: 1 for the defaults."""
        return float(self.parts.sum())


class Figures(NamedTuple):
    """Two means over the queries of a part."""

    hr_20: float
    mrr_20: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the chosen parameters are worth on both halves.

    Attributes
    ----------
    tuned : Parameters
        The chosen ones.
    choose, tuned_choose, confirm, tuned_confirm : Figures
        Of the defaults and of the tuned parameters on either half.
    comparisons : dict of metric to Comparison
        Each metric on *confirm* over that of the defaults, as `models.evaluation.summary.compare` has it.
    gain : Comparison
        The objective on *confirm*, with its paired 95 % interval.
    queries : int
        Of *confirm*.
    """

    tuned: Parameters
    choose: Figures
    tuned_choose: Figures
    confirm: Figures
    tuned_confirm: Figures
    comparisons: dict[str, Comparison]
    gain: Comparison
    queries: int

    @property
    def is_better(self) -> bool:
        """Whether the tuned parameters are to be used: the interval of the gain is above 1."""
        return self.gain.interval is not None and self.gain.interval[0] > 1


class Tuner:
    """Tries parameters on one half of a validation part, and judges the best on the other.

    Parameters
    ----------
    train, validation : sequence of Interaction
        What is learnt first, and what is asked and then learnt; no session is in both. There is no test part here.
    new_rows : callable
        Makes the rows: plain or compiled, they answer alike.
    on_progress : callable, optional
        Called with the number of interactions done since the last call.

    Raises
    ------
    ConfigurationError
        If one of the halves asks for nothing, or the defaults know no answer.

    Examples
    --------
    >>> from models.rows import PlainRows
    >>> sessions = [[Interaction(f"s{n}", item, 60_000 * n + place) for place, item in enumerate(["tea", "cup"])]
    ...             for n in range(30)]
    >>> train, validation = sum(sessions[:20], []), sum(sessions[20:], [])
    >>> tuner = Tuner(train, validation, PlainRows)
    >>> trials = list(tuner.trials(3, seed=0))
    >>> [trial.score for trial in trials]
    [1.0, 1.0, 1.0, 1.0]
    >>> tuner.judge(trials[-1].parameters).is_better
    False
    """

    def __init__(
        self,
        train: Sequence[Interaction],
        validation: Sequence[Interaction],
        new_rows: Callable[[Parameters], Rows],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self._train = train
        self._choose, self._confirm = split_by_time(validation, 0.5)
        self._new_rows = new_rows
        self._on_progress = on_progress
        self._tried: dict[Parameters, Figures] = {}
        for part in (self._choose, self._confirm):
            if not _has_query(part):
                count = len({each.session_id for each in validation})
                raise ConfigurationError(
                    f"{count} sessions are too few to choose by and to confirm: in either half of them one must meet "
                    "two items; bring more traffic"
                )

    @property
    def trial_size(self) -> int:
        """Interactions that one try replays."""
        return len(self._train) + len(self._choose)

    @property
    def judgement_size(self) -> int:
        """Interactions that `judge` replays."""
        return 2 * (len(self._train) + len(self._choose) + len(self._confirm))

    @property
    def sessions(self) -> dict[str, int]:
        """How many sessions there are to learn first, to choose by and to confirm."""
        parts = {"train": self._train, "choose": self._choose, "confirm": self._confirm}
        return {name: len({each.session_id for each in part}) for name, part in parts.items()}

    def trials(self, count: int, seed: int, tunables: Sequence[Tunable] = TUNABLES) -> Iterator[Trial]:
        """Try the defaults and then at most `count` others on *choose*; see `search`."""
        return search(self._parts, count, seed, tunables=tunables)

    def judge(self, tuned: Parameters, seed: int = 0) -> Verdict:
        """Let parameters that were tried meet the defaults on *confirm*, of which no try has seen anything.

        Parameters
        ----------
        seed : int
            Of the draws of sessions.
        """
        default = self._replay_confirm(DEFAULTS)
        replay = default if tuned == DEFAULTS else self._replay_confirm(tuned)
        return Verdict(
            tuned=tuned,
            choose=self._tried[DEFAULTS],
            tuned_choose=self._tried[tuned],
            confirm=_figures(default),
            tuned_confirm=_figures(replay),
            comparisons=compare(replay, default, seed),
            gain=_gain(replay, default, seed),
            queries=replay.ranks.size,
        )

    def _parts(self, parameters: Parameters) -> NDArray[np.float64]:
        """Return what each session of *choose* adds to the objective."""
        replay = replay_prequential(
            Sidecart(parameters, self._new_rows), self._train, self._choose, NOVEL, on_progress=self._on_progress
        )
        self._tried[parameters] = _figures(replay)
        default = self._tried[DEFAULTS]
        if not default.mrr_20:
            raise ConfigurationError(
                "the defaults find none of the next items, so nothing can be compared with them; bring more traffic"
            )
        return np.bincount(replay.sessions, _objective(replay, default)) / replay.ranks.size

    def _replay_confirm(self, parameters: Parameters) -> Replay:
        learnt = [*self._train, *self._choose]
        model = Sidecart(parameters, self._new_rows)
        return replay_prequential(model, learnt, self._confirm, NOVEL, on_progress=self._on_progress)


def search(
    parts_of: Callable[[Parameters], NDArray[np.float64]],
    count: int,
    seed: int,
    start: Parameters = DEFAULTS,
    tunables: Sequence[Tunable] = TUNABLES,
) -> Iterator[Trial]:
    """Climb from `start`, one parameter after the other; yield each trial as soon as it has its score.

    Each parameter keeps a step and a direction of its own. In a sweep over all of them, in an order drawn anew, each is
    moved by its step, and if that is no better, the other way. What is better, by more than one standard error of the
    difference between the same sessions, is kept at once; what is better neither way gets a smaller step. A sweep that
    moved several parameters is followed by one trial that moves them all as much again (Hooke and Jeeves 1961,
    "Direct search" solution of numerical and statistical problems). A parameter that changes nothing is left alone from
    then on.

    Parameters
    ----------
    parts_of : callable
        What each session adds to the sum that is to be large; always the same sessions.
    count : int
        Trials after that of `start`, at most: the search ends by itself when all steps are small.
    seed : int
        Of the orders and the first directions.

    Examples
    --------
    >>> def parts_of(parameters):
    ...     return np.full(10, -abs(parameters.compression - 0.7))
    >>> best = [trial for trial in search(parts_of, 60, seed=0) if trial.is_best][-1]
    >>> abs(best.parameters.compression - 0.7) < 0.03
    True
    """
    return _Climb(parts_of, count, seed, tunables).run(start)


class _Climb:
    """One search: what is best so far, what has been tried, and how far each parameter is moved next."""

    def __init__(
        self,
        parts_of: Callable[[Parameters], NDArray[np.float64]],
        count: int,
        seed: int,
        tunables: Sequence[Tunable],
    ) -> None:
        self._parts_of = parts_of
        self._left = count
        self._generator = np.random.default_rng(seed)
        self._tunables = tunables
        self._steps = [float(_FIRST_STEP * sign) for sign in self._generator.choice([-1, 1], len(tunables))]
        self._tried: set[Parameters] = set()

    def run(self, start: Parameters) -> Iterator[Trial]:
        self._tried.add(start)
        self._best = Trial(start, self._parts_of(start), is_best=True)
        yield self._best
        while self._left and any(self._steps):
            before = self._best.parameters
            for index in self._generator.permutation(len(self._tunables)):
                if self._steps[index]:
                    yield from self._probe(int(index))
            yield from self._attempt(self._leap(before))

    def _probe(self, index: int) -> Iterator[Trial]:
        """Move one parameter one way, and if that is no better the other."""
        step = self._steps[index]
        smaller = step * _SHRINK
        self._steps[index] = smaller if abs(smaller) >= _LAST_STEP else 0.0
        for by in (step, -step):
            best = self._best
            for trial in self._attempt(self._tunables[index].moved(best.parameters, by)):
                yield trial
                if trial.is_best:
                    self._steps[index] = by
                    return
                if np.array_equal(trial.parts, best.parts):
                    self._steps[index] = 0.0
                    return

    def _attempt(self, candidate: Parameters) -> Iterator[Trial]:
        """Try a candidate, unless it was tried or there are no trials left."""
        if candidate in self._tried or not self._left:
            return
        self._tried.add(candidate)
        self._left -= 1
        parts = self._parts_of(candidate)
        added = parts - self._best.parts
        # The sum's standard error where the mean is near 0, as it is wherever there is a doubt.
        error = float(np.sqrt(np.square(added).sum()))
        trial = Trial(candidate, parts, is_best=float(added.sum()) > _LEAST_GAIN_SE * error)
        if trial.is_best:
            self._best = trial
        yield trial

    def _leap(self, before: Parameters) -> Parameters:
        """Return the best parameters moved once more by what the sweep has moved them."""
        moves = {each: each.place(self._best.parameters) - each.place(before) for each in self._tunables}
        moves = {each: by for each, by in moves.items() if by}
        leap = self._best.parameters
        if len(moves) > 1:
            for tunable, by in moves.items():
                leap = tunable.moved(leap, by)
        return leap


def _has_query(part: Sequence[Interaction]) -> bool:
    """Say whether a session meets two items, so that there is something to ask."""
    first: dict[str, str] = {}
    return any(first.setdefault(each.session_id, each.item_id) != each.item_id for each in part)


def _figures(replay: Replay) -> Figures:
    hr, mrr = _columns(replay)
    return Figures(float(hr.mean()), float(mrr.mean()))


def _gain(replay: Replay, default: Replay, seed: int) -> Comparison:
    """Return the objective: the ratio of the means of what a query adds to it, on the same draws for both."""
    means = _figures(default)
    if not means.mrr_20:
        return Comparison(None, None)
    ours, theirs = _objective(replay, means), _objective(default, means)
    [(low, high)] = ratio_intervals(replay.sessions, [ours], [theirs], seed).tolist()
    return Comparison(float(ours.sum() / theirs.sum()), None if isnan(low) else (low, high))


def _objective(replay: Replay, default: Figures) -> NDArray[np.float64]:
    """Return what each query adds: the mean over all is the mean of both figures, each over that of the defaults."""
    hr, mrr = _columns(replay)
    return (hr / default.hr_20 + mrr / default.mrr_20) / 2


def _columns(replay: Replay) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return gains("hr", replay.ranks, DEPTH), gains("mrr", replay.ranks, DEPTH)
