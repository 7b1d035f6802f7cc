"""Association rules of size two (AR): what shares most sessions with the newest item.

    score(i → j) = number of pairs (event of i, event of j) in one session

M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms, UMUAI 28 (2018); a
simplified form of R. Agrawal, T. Imieliński, A. Swami, SIGMOD 1993. Events are counted, not sessions, as in the
authors' code (github.com/rn5l/session-rec), and an item met again is paired with itself, twice. That code keeps the
20 best rules of an item; here all are kept, which is the same for lists of at most 20 with nothing excluded.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from models.evaluation.baselines.top_n import top_n
from models.evaluation.recommender import Interaction

__all__ = ["AssociationRules"]


class AssociationRules:
    """Rank items by how often they met the session's newest item in a session, in any order.

    Examples
    --------
    >>> model = AssociationRules()
    >>> session = [Interaction("s", item, 0) for item in ("tea", "cup", "pot", "cup")]
    >>> for end in (1, 2, 3, 4):
    ...     model.learn(session[:end])
    >>> model.recommend(session[:1], 20, ()), model.recommend([Interaction("r", "jug", 0)], 20, ())
    (['cup', 'pot'], [])
    """

    def __init__(self) -> None:
        self._rules: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))

    def learn(self, session: Sequence[Interaction]) -> None:
        """Pair the newest interaction with each earlier one, both ways."""
        newest = session[-1].item_id
        rules = self._rules[newest]
        for place in range(len(session) - 1):
            earlier = session[place].item_id
            rules[earlier] += 1
            self._rules[earlier][newest] += 1

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Do nothing: all is learnt in `learn`."""

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return the n items with the strongest rules from the newest item, without the excluded; ties by item id."""
        return top_n(self.scores(session), n, excluded)

    def scores(self, session: Sequence[Interaction]) -> Mapping[str, float]:
        """Return the strength of each rule from the newest item."""
        return self._rules.get(session[-1].item_id, {})
