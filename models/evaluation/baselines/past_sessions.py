"""Ended sessions, numbered in the order in which they ended, found again by the items that they hold.

What a session holds is kept as *entries*: one an item and session, with the item's last place in it. A query works on
all its sessions at once, as arrays.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.evaluation.baselines.top_n import top_n
from models.evaluation.recommender import Interaction

__all__ = [
    "Entries",
    "Floats",
    "Integers",
    "Matches",
    "PastSessions",
    "SessionNeighbours",
    "Similarity",
    "compare",
    "last_places",
    "nearest",
]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Similarity = Literal["vector", "cosine"]


class Matches(NamedTuple):
    """The sessions that share an item with a running one; the arrays are parallel, the latest ended last.

    `sizes` holds how many different items the past session has, `overlap` the sum of the weights of the shared items,
    `newest_place` the greatest place of a shared item in the running session, `shared_place` that in the past one.
    """

    sessions: Integers
    sizes: Integers
    overlap: Floats
    newest_place: Integers
    shared_place: Integers


class Entries(NamedTuple):
    """What some sessions hold: item numbers, their last places, and the index of their session among those asked."""

    items: Integers
    places: Integers
    owners: Integers


class PastSessions:
    """An append-only index of sessions.

    Examples
    --------
    >>> past = PastSessions()
    >>> past.add([Interaction("a", "tea", 0), Interaction("a", "cup", 1), Interaction("a", "tea", 2)])
    >>> past.add([Interaction("b", "pot", 3), Interaction("b", "cup", 4)])
    >>> matches = past.matches({"cup": 1, "tea": 2}, {"cup": 0.5, "tea": 1.0}, 1000)
    >>> matches.sessions.tolist(), matches.overlap.tolist(), matches.newest_place.tolist()
    ([0, 1], [1.5, 0.5], [2, 1])
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._events = array("q")
        self._postings: list[array[int]] = []
        self._entry_sessions = array("q")
        self._entry_items = array("q")
        self._entry_places = array("q")
        self._starts = array("q", [0])
        self._ends_ms = array("q")

    def add(self, session: Sequence[Interaction]) -> None:
        """Append a session that ended after all those before."""
        for interaction in session:
            if interaction.item_id not in self._numbers:
                self._numbers[interaction.item_id] = len(self._names)
                self._names.append(interaction.item_id)
                self._events.append(0)
                self._postings.append(array("q"))
            self._events[self._numbers[interaction.item_id]] += 1
        for item, place in last_places(session).items():
            number = self._numbers[item]
            self._postings[number].append(len(self._entry_items))
            self._entry_sessions.append(len(self._ends_ms))
            self._entry_items.append(number)
            self._entry_places.append(place)
        self._starts.append(len(self._entry_items))
        self._ends_ms.append(session[-1].time_ms)

    def matches(self, places: Mapping[str, int], weights: Mapping[str, float], sample_size: int) -> Matches:
        """Return the `sample_size` latest sessions that hold any of some items.

        Parameters
        ----------
        places : mapping of item to int
            Each item's last place in the running session, in ascending order (`last_places`).
        weights : mapping of item to float
            What each shared item adds to the overlap.
        """
        # No session that the slice cuts off can be among the latest of all items' sessions either.
        entries_of = {
            item: _view(self._postings[self._numbers[item]])[-sample_size:] for item in places if item in self._numbers
        }
        is_match = np.zeros(len(self._ends_ms), np.bool_)
        for entries in entries_of.values():
            is_match[_view(self._entry_sessions)[entries]] = True
        sessions = np.flatnonzero(is_match)[-sample_size:]
        overlap = np.zeros(len(sessions))
        newest_place = np.zeros(len(sessions), np.int64)
        shared_place = np.zeros(len(sessions), np.int64)
        for item, entries in entries_of.items():
            sharing = _view(self._entry_sessions)[entries]
            late = sharing >= sessions[0]
            at = np.searchsorted(sessions, sharing[late])
            overlap[at] += weights[item]
            newest_place[at] = places[item]
            shared_place[at] = np.maximum(shared_place[at], _view(self._entry_places)[entries[late]])
        sizes = _view(self._starts)[sessions + 1] - _view(self._starts)[sessions]
        return Matches(sessions, sizes, overlap, newest_place, shared_place)

    def entries(self, sessions: Integers) -> Entries:
        """Return all that the given sessions hold."""
        starts = _view(self._starts)[sessions]
        lengths = _view(self._starts)[sessions + 1] - starts
        owners = np.repeat(np.arange(len(sessions)), lengths)
        first_of_owner = np.cumsum(lengths) - lengths
        numbers = np.arange(len(owners)) + (starts - first_of_owner)[owners]
        return Entries(_view(self._entry_items)[numbers], _view(self._entry_places)[numbers], owners)

    def ends_ms(self, sessions: Integers) -> Integers:
        """Return when each session ended, in epoch milliseconds."""
        return _view(self._ends_ms)[sessions]

    def scores(self, items: Integers, parts: Floats, idf_weight: float) -> dict[str, float]:
        """Return the sum of each item's parts times 1 + idf_weight · log(sessions / events of the item).

        Parameters
        ----------
        items, parts : parallel arrays
            Item numbers, each as often as it has parts.
        """
        sums = np.bincount(items, parts)
        items = np.flatnonzero(sums != 0)
        # Events, not sessions, as in the published code: an item repeated in most sessions has a negative one.
        idf = np.log(len(self._ends_ms) / _view(self._events)[items])
        scores = sums[items] * (1 + idf_weight * idf)
        return dict(zip(map(self._names.__getitem__, items.tolist()), scores.tolist(), strict=True))


def last_places(session: Sequence[Interaction]) -> dict[str, int]:
    """Return the last place of each item, counted from 1, in ascending order.

    Examples
    --------
    >>> last_places([Interaction("s", item, 0) for item in ("tea", "cup", "tea")])
    {'cup': 2, 'tea': 3}
    """
    places: dict[str, int] = {}
    for place, interaction in enumerate(session, start=1):
        places.pop(interaction.item_id, None)
        places[interaction.item_id] = place
    return places


def compare(similarity: Similarity, matches: Matches, weights: Mapping[str, float]) -> Floats:
    """Return how similar each session, a vector of ones, is to the running one, a vector of weights.

    "vector" is the inner product over the number of different items of the running session, "cosine" the cosine.
    """
    if similarity == "vector":
        return matches.overlap / len(weights)
    squares = sum(weight * weight for weight in weights.values())
    return matches.overlap / np.sqrt(squares * matches.sizes)


def nearest(similarity: Floats, k: int) -> Integers:
    """Return the indices of the k greatest similarities, in no order; of equal ones the last, which ended latest.

    Examples
    --------
    >>> sorted(nearest(np.array([0.5, 0.2, 0.5, 0.9, 0.5]), 3).tolist())
    [2, 3, 4]
    """
    if len(similarity) <= k:
        return np.arange(len(similarity))
    least = np.partition(similarity, -k)[-k]
    above = np.flatnonzero(similarity > least)
    equal = np.flatnonzero(similarity == least)
    return np.concatenate([above, equal[len(above) - k :]])


def _view(numbers: "array[int]") -> Integers:
    """Return the array without a copy; it must be let go before more is appended."""
    return np.frombuffer(numbers, np.int64)


class SessionNeighbours(ABC):
    """A model that scores the items of past sessions that are like the running one, and learns from ended ones."""

    def __init__(self) -> None:
        self._past = PastSessions()

    def learn(self, session: Sequence[Interaction]) -> None:  # noqa: B027  nothing is what is to be done
        """Do nothing: a session is learnt when it has ended."""

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Keep an ended session; those before must have ended earlier."""
        self._past.add(session)

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return the n items of greatest score, without the excluded; ties by item id."""
        return top_n(self.scores(session), n, excluded)

    @abstractmethod
    def scores(self, session: Sequence[Interaction]) -> dict[str, float]:
        """Return the score of each item of the nearest sessions; those of the running session are among them."""
