"""Recorded sessions replayed through a recommender: it learns, is asked at each position, and the target's rank noted.

Two protocols over the same train and test interactions; both ask the same queries:

- *frozen*: the model learns the train part, then answers for the test part and learns nothing of it;
- *prequential* (test, then learn; Gama, Sebastião and Rodrigues 2013, On evaluating stream learning algorithms): the
  model goes on learning from each test interaction, right after it was asked what comes next.

In both, a session counts as ended when its last recorded interaction is behind the clock. A live system knows that
only after an inactivity gap, so models that learn from ended sessions are favoured here.

What is asked is a `Task`: a `Target` asks at the positions of a session for what comes next;
`models.evaluation.baskets` asks for the lines of its orders.

The session and the excluded items are the replay's own, growing collections, so that a step costs the same however
long the session is: a recommender must neither keep nor change them. A session given to `learn_session` grows no more.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import InvariantError
from models.evaluation.recommender import Interaction, Recommender, is_same_order
from models.records import MOMENTS, Kind

__all__ = [
    "ANY",
    "DEPTH",
    "NOVEL",
    "Clock",
    "Course",
    "Protocol",
    "Question",
    "Replay",
    "Target",
    "Task",
    "has_questions",
    "replay_frozen",
    "replay_prequential",
]

Protocol = Literal["frozen", "prequential"]

#: Returns seconds from any fixed moment.
Clock = Callable[[], float]

#: Items that a model is asked for.
DEPTH: Final = 20

_KINDS: Final = tuple(MOMENTS)
_PROGRESS_EVERY: Final = 1000


class Question(NamedTuple):
    """A session as the model is shown it, at least one interaction; the item it should name; and what it may not."""

    session: Sequence[Interaction]
    target: str
    excluded: Collection[str]


@dataclass(slots=True)
class Course(ABC):
    """A session as far as it has gone; `whole` is known to the replay only, `index` counts sessions from 0."""

    index: int
    whole: list[Interaction]
    so_far: list[Interaction] = field(default_factory=list, init=False)

    def append(self, interaction: Interaction) -> None:
        """Go on by one interaction."""
        self.so_far.append(interaction)

    @abstractmethod
    def questions(self) -> Iterator[Question]:
        """Yield what is asked now, before the next interaction; it is not kept beyond the next step."""


class Task(ABC):
    """What models are asked.

    Attributes
    ----------
    is_taught_whole : bool
        Whether a session of the test is taught only when it has ended: for tasks that hide more of it than what lies
        ahead, which a model that had learnt it would know all the same.
    """

    is_taught_whole: ClassVar[bool] = False

    @abstractmethod
    def course(self, index: int, whole: list[Interaction]) -> Course:
        """Begin a session."""


@dataclass(frozen=True)
class Target(Task):
    """Ask at each position of a session for the item of its next interaction, or of a later one.

    Without `kinds` it is the interaction right after the position. With them it is the nearest later one of these
    kinds, however many others lie between: what is added next, seen from each interaction that leads there. Lines of
    one order (`models.evaluation.recommender.is_same_order`) come at once: none of them is the target of another.

    If `is_novel`, a position is a query only if the target's item has not been met yet, and the items that have are
    excluded from the list; else every position with a target is a query and nothing is excluded. Without `kinds` an
    item has been met that occurs in the session so far. With them, only one that occurs there in one of these kinds:
    an item that was looked at is still new to the cart. A position whose target is not novel is no query; no later
    interaction takes its place.

    Examples
    --------
    >>> NOVEL.name, ANY.name, Target(is_novel=True, kinds=frozenset({"orders", "add-to-cart"})).name
    ('novel', 'any', 'novel add-to-cart, orders')
    """

    is_novel: bool
    kinds: frozenset[Kind] | None = None

    @property
    def name(self) -> str:
        """The target in words."""
        name = "novel" if self.is_novel else "any"
        return name if self.kinds is None else f"{name} {', '.join(sorted(self.kinds))}"

    def course(self, index: int, whole: list[Interaction]) -> Course:
        """Begin a session."""
        return _TargetCourse(index, whole, self)


NOVEL: Final = Target(is_novel=True)
ANY: Final = Target(is_novel=False)


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What one model did under one protocol.

    Queries are ordered by session, then as the session goes, under either protocol: replays of the same test and task
    hold the same queries in the same order.

    Attributes
    ----------
    sessions : array of int, shape (queries,)
        The session of each query: test sessions in the order of their first interactions, from 0.
    targets : tuple of str
        The target's item of each query.
    moments : array of int, shape (queries,)
        The kind of the newest interaction of each query, as its place in `models.records.MOMENTS`; see `at`.
    ranks : array of int, shape (queries,)
        The target's place in the list of at most `DEPTH` items, from 1; 0 if it is not there.
    lengths : array of int, shape (queries,)
        How many items were shown.
    category_ranks : array of int, shape (queries,), or None
        The place of the first shown item of the target's category, from 1; 0 if there is none, -1 if the target's
        category is not known. None if no categories were given.
    exposure : dict of item to float
        For each shown item the sum of ``1 / length`` of the lists that show it.
    counts : dict of item to int
        Interactions learnt of each item: its keys are the catalogue.
    query_us, learn_us : float or None
        Mean microseconds a query, and an interaction learnt (with its share of the learning of ended sessions); None
        without a clock, and where there was none.
    """

    protocol: Protocol
    sessions: NDArray[np.int32]
    targets: tuple[str, ...]
    moments: NDArray[np.int8]
    ranks: NDArray[np.int8]
    lengths: NDArray[np.int8]
    category_ranks: NDArray[np.int8] | None
    exposure: Mapping[str, float]
    counts: Mapping[str, int]
    query_us: float | None
    learn_us: float | None

    def at(self, kind: Kind) -> NDArray[np.bool_]:
        """Say of each query whether its newest interaction is of this kind."""
        is_of_kind: NDArray[np.bool_] = self.moments == _KINDS.index(kind)
        return is_of_kind


def replay_frozen(
    recommender: Recommender,
    train: Iterable[Interaction],
    test: Iterable[Interaction],
    task: Task,
    *,
    categories: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Replay:
    """Let a model learn the train part, then ask it about the test part, of which it learns nothing.

    Train interactions are learnt in time order, each ended session before the next later interaction, the last ones
    at the end. Then the test sessions are walked one after the other.

    Parameters
    ----------
    train, test : iterable of Interaction
        In any order; of equal time the earlier in the input is the earlier. No session may be in both.
    categories : mapping of item to category, optional
        For `Replay.category_ranks`.
    clock : callable, optional
        Read before and after each call of the model.
    on_progress : callable, optional
        Called with the number of interactions done since the last call, every thousand and at the end; over all
        calls the numbers add up to those of train and test.

    Raises
    ------
    InvariantError
        If a session is in both parts, or a list is longer than asked for, holds an item twice or an excluded one.

    Examples
    --------
    >>> class Cups:
    ...     def learn(self, session): ...
    ...     def learn_session(self, session): ...
    ...     def recommend(self, session, n, excluded):
    ...         return ["pot", "cup"]
    >>> test = [Interaction("ann", "tea", 1), Interaction("ann", "cup", 2), Interaction("ann", "cup", 3)]
    >>> replay = replay_frozen(Cups(), [], test, NOVEL)
    >>> replay.targets, replay.ranks.tolist()
    (('cup',), [2])
    """
    run, ordered = _begin("frozen", recommender, train, test, task, categories, clock, on_progress)
    for course in _courses(ordered, task):
        for interaction in course.whole:
            run.ask(course)
            course.append(interaction)
            run.advance()
    return run.result()


def replay_prequential(
    recommender: Recommender,
    train: Iterable[Interaction],
    test: Iterable[Interaction],
    task: Task,
    *,
    categories: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Replay:
    """Let a model learn the train part, then ask and teach it in turn through the test part, in time order.

    Before an interaction is learnt, the model is asked about the session up to there; what it is asked about lies
    ahead of all that it has learnt of this session. A session that has ended is learnt as such before the next
    interaction with a later time is asked about: not among those of the same millisecond. That a session's end is
    known at once favours the models that learn from ended sessions. With the kinds of a `Target` a position is asked
    about before the next interaction is learnt, however far ahead its target lies.

    Parameters and errors are those of `replay_frozen`.

    Examples
    --------
    >>> class Latest:
    ...     item = "none"
    ...     def learn(self, session):
    ...         self.item = session[-1].item_id
    ...     def learn_session(self, session): ...
    ...     def recommend(self, session, n, excluded):
    ...         return [self.item]
    >>> test = [Interaction("ann", "tea", 1), Interaction("bob", "cup", 2), Interaction("ann", "cup", 3)]
    >>> replay_prequential(Latest(), [], test, ANY).ranks.tolist()
    [1]
    """
    run, ordered = _begin("prequential", recommender, train, test, task, categories, clock, on_progress)
    run.learn(ordered, is_asked=True)
    return run.result()


def has_questions(test: Iterable[Interaction], task: Task) -> bool:
    """Tell whether a test part holds anything that a task asks.

    Examples
    --------
    >>> has_questions([Interaction("ann", "tea", 1)], ANY)
    False
    """
    for course in _courses(_in_time_order(test), task):
        for interaction in course.whole:
            if any(True for _ in course.questions()):
                return True
            course.append(interaction)
    return False


@dataclass(slots=True)
class _TargetCourse(Course):
    target: Target
    met: set[str] = field(default_factory=set, init=False)
    ahead: list[Interaction | None] = field(default_factory=list, init=False)

    def append(self, interaction: Interaction) -> None:
        self.so_far.append(interaction)
        if self.target.is_novel and (self.target.kinds is None or interaction.kind in self.target.kinds):
            self.met.add(interaction.item_id)

    def questions(self) -> Iterator[Question]:
        if not self.so_far:
            return
        if not self.ahead:
            self.ahead = _targets(self.whole, self.target)
        ahead = self.ahead[len(self.so_far) - 1]
        if ahead is not None and ahead.item_id not in self.met:
            yield Question(self.so_far, ahead.item_id, self.met)


class _Run:
    """One replay under way."""

    def __init__(
        self,
        protocol: Protocol,
        recommender: Recommender,
        task: Task,
        categories: Mapping[str, str] | None,
        clock: Clock | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self._protocol = protocol
        self._recommender = recommender
        self._task = task
        self._categories = categories
        self._is_timed = clock is not None
        self._clock = clock or _no_clock
        self._on_progress = on_progress
        self._done = 0
        self._query_s = self._learn_s = 0.0
        self._sessions: list[int] = []
        self._targets: list[str] = []
        self._moments: list[int] = []
        self._ranks: list[int] = []
        self._lengths: list[int] = []
        self._category_ranks: list[int] = []
        self._exposure: dict[str, float] = {}
        self._counts: Counter[str] = Counter()

    def learn(self, ordered: Sequence[Interaction], is_asked: bool = False) -> None:
        """Learn interactions in their order, and each session when it has ended; ask first, if so wanted."""
        courses = {course.whole[0].session_id: course for course in _courses(ordered, self._task)}
        ended: list[Course] = []
        is_taught_whole = is_asked and self._task.is_taught_whole
        now_ms = ordered[0].time_ms if ordered else 0
        for interaction in ordered:
            if interaction.time_ms > now_ms:
                self._learn_ended(ended, is_taught_whole)
                now_ms = interaction.time_ms
            course = courses[interaction.session_id]
            if is_asked:
                self.ask(course)
            course.append(interaction)
            if not is_taught_whole:
                self._teach(course.so_far)
            if len(course.so_far) == len(course.whole):
                ended.append(courses.pop(interaction.session_id))
            self.advance()
        self._learn_ended(ended, is_taught_whole)

    def ask(self, course: Course) -> None:
        """Ask what is to be asked now, and note the answers."""
        for session, target, excluded in course.questions():
            began = self._clock()
            shown = self._recommender.recommend(session, DEPTH, excluded)
            self._query_s += self._clock() - began
            distinct = set(shown)
            if len(shown) > DEPTH or len(distinct) < len(shown) or not distinct.isdisjoint(excluded):
                raise InvariantError(
                    f"{type(self._recommender).__name__} answered {shown} in session {session[-1].session_id!r}; it "
                    f"may show at most {DEPTH} items, none of them twice, and none of the excluded "
                    f"{sorted(distinct.intersection(excluded))}"
                )
            self._sessions.append(course.index)
            self._targets.append(target)
            self._moments.append(_KINDS.index(session[-1].kind))
            self._ranks.append(shown.index(target) + 1 if target in distinct else 0)
            self._lengths.append(len(shown))
            if self._categories is not None:
                self._category_ranks.append(_category_rank(self._categories, target, shown))
            for item in shown:
                self._exposure[item] = self._exposure.get(item, 0.0) + 1.0 / len(shown)

    def advance(self) -> None:
        """Count an interaction as done."""
        self._done += 1
        if self._done == _PROGRESS_EVERY:
            self._report()

    def result(self) -> Replay:
        """Return what was noted, ordered by session and position."""
        if self._done:
            self._report()
        sessions = np.array(self._sessions, np.int32)
        order = np.argsort(sessions, kind="stable")
        learnt = self._counts.total()
        return Replay(
            protocol=self._protocol,
            sessions=sessions[order],
            targets=tuple(self._targets[place] for place in order),
            moments=np.array(self._moments, np.int8)[order],
            ranks=np.array(self._ranks, np.int8)[order],
            lengths=np.array(self._lengths, np.int8)[order],
            category_ranks=None if self._categories is None else np.array(self._category_ranks, np.int8)[order],
            exposure=self._exposure,
            counts=self._counts,
            query_us=1e6 * self._query_s / len(sessions) if self._is_timed and len(sessions) else None,
            learn_us=1e6 * self._learn_s / learnt if self._is_timed and learnt else None,
        )

    def _teach(self, session: Sequence[Interaction]) -> None:
        began = self._clock()
        self._recommender.learn(session)
        self._learn_s += self._clock() - began
        self._counts[session[-1].item_id] += 1

    def _learn_ended(self, ended: list[Course], is_taught_whole: bool) -> None:
        for course in ended:
            if is_taught_whole:
                for count in range(1, len(course.whole) + 1):
                    self._teach(course.whole[:count])
            began = self._clock()
            self._recommender.learn_session(course.so_far)
            self._learn_s += self._clock() - began
        ended.clear()

    def _report(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._done)
        self._done = 0


def _begin(
    protocol: Protocol,
    recommender: Recommender,
    train: Iterable[Interaction],
    test: Iterable[Interaction],
    task: Task,
    categories: Mapping[str, str] | None,
    clock: Clock | None,
    on_progress: Callable[[int], None] | None,
) -> tuple[_Run, list[Interaction]]:
    """Begin a replay, teach the train part and return the test part in time order."""
    past, ordered = _in_time_order(train), _in_time_order(test)
    common = {each.session_id for each in past} & {each.session_id for each in ordered}
    if common:
        raise InvariantError(
            f"session {min(common)!r} and {len(common) - 1} others are in train and in test; split by session"
        )
    run = _Run(protocol, recommender, task, categories, clock, on_progress)
    run.learn(past)
    return run, ordered


def _in_time_order(interactions: Iterable[Interaction]) -> list[Interaction]:
    return sorted(interactions, key=lambda each: each.time_ms)


def _courses(ordered: Sequence[Interaction], task: Task) -> list[Course]:
    """Return the sessions, none of them begun, in the order of their first interactions."""
    walks: dict[str, list[Interaction]] = {}
    for interaction in ordered:
        walks.setdefault(interaction.session_id, []).append(interaction)
    return [task.course(index, walk) for index, walk in enumerate(walks.values())]


def _targets(session: Sequence[Interaction], target: Target) -> list[Interaction | None]:
    """Return the target of each position, novel or not; None where there is none."""
    found: list[Interaction | None] = [None] * len(session)
    for place in range(len(session) - 2, -1, -1):
        own, after = session[place], session[place + 1]
        if target.kinds is None or (after.kind in target.kinds and not is_same_order(own, after)):
            found[place] = after
        else:
            found[place] = found[place + 1]
    return found


def _category_rank(categories: Mapping[str, str], target: str, shown: Sequence[str]) -> int:
    category = categories.get(target)
    if category is None:
        return -1
    places = (place for place, item in enumerate(shown, start=1) if categories.get(item) == category)
    return next(places, 0)


def _no_clock() -> float:
    return 0.0
