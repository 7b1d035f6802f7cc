"""Recommend what is met most often."""

from bisect import bisect_left, insort
from collections.abc import Collection, Sequence
from itertools import islice

from models.evaluation.recommender import Interaction

__all__ = ["Popularity"]


class Popularity:
    """Rank items by their number of interactions, whatever the session holds.

    Examples
    --------
    >>> model = Popularity()
    >>> session = [Interaction("s", item, 0) for item in ("tea", "cup", "cup")]
    >>> for end in (1, 2, 3):
    ...     model.learn(session[:end])
    >>> model.recommend(session, 20, {"tea"}), model.recommend(session, 1, ())
    (['cup'], ['cup'])
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._ranking: list[tuple[int, str]] = []

    def learn(self, session: Sequence[Interaction]) -> None:
        """Count the newest interaction."""
        item = session[-1].item_id
        count = self._counts.get(item, 0)
        if count:
            del self._ranking[bisect_left(self._ranking, (-count, item))]
        self._counts[item] = count + 1
        insort(self._ranking, (-count - 1, item))

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Do nothing: all is learnt in `learn`."""

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return the n items met most often, without the excluded; ties by item id."""
        barred = frozenset(excluded)
        return list(islice((item for _, item in self._ranking if item not in barred), n))
