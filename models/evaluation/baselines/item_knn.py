"""Item-based nearest neighbours (item-kNN): the items most similar to the newest one.

    score(i → j) = c_ij / ((n_i + regularisation)^balance · (n_j + regularisation)^(1 - balance))

c_ij counts the sessions that hold both items, n_i the events of i.

B. Hidasi, A. Karatzoglou, L. Baltrunas, D. Tikk: Session-based recommendations with recurrent neural networks, ICLR
2016; the formula as documented in the authors' code (and in github.com/rn5l/session-rec). What that code
computes is another c_ij: a session counts once for each event of i in it. With both tuned, that loses 1.3 points of
HR@20 on rsc15's train_valid, so the rival here is the formula as documented.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from models.evaluation.baselines.top_n import top_n
from models.evaluation.recommender import Interaction

__all__ = ["ItemKnn"]


class ItemKnn:
    """Rank items by their similarity to the session's newest item.

    Parameters
    ----------
    regularisation : float
        Events added to each item's count, against chance meetings of rare items.
    balance : float
        0.5 is the cosine, 1 the confidence of a rule from the newest item.

    Notes
    -----
    The defaults are the best of regularisation 0 to 1000 and balance 0 to 1 on rsc15, trained on train_tr, by
    HR@20 + MRR@20 of the next new item on train_valid (.461 + .228).

    Examples
    --------
    >>> model = ItemKnn()
    >>> session = [Interaction("s", item, 0) for item in ("tea", "cup", "pot", "cup")]
    >>> for end in (1, 2, 3, 4):
    ...     model.learn(session[:end])
    >>> model.recommend(session[:1], 20, ()), model.scores(session[:1])["pot"] == 1 / (1 + 200)
    (['pot', 'cup'], True)
    """

    def __init__(self, *, regularisation: float = 200.0, balance: float = 0.5) -> None:
        self._regularisation = regularisation
        self._balance = balance
        self._events: defaultdict[str, int] = defaultdict(int)
        self._sessions: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))

    def learn(self, session: Sequence[Interaction]) -> None:
        """Count the newest interaction, and at an item's first in the session its meeting with each item before."""
        newest = session[-1].item_id
        self._events[newest] += 1
        earlier = {session[place].item_id for place in range(len(session) - 1)}
        if newest not in earlier:
            row = self._sessions[newest]
            for item in earlier:
                row[item] += 1
                self._sessions[item][newest] += 1

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Do nothing: all is learnt in `learn`."""

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return the n items most similar to the newest one, without the excluded; ties by item id."""
        return top_n(self.scores(session), n, excluded)

    def scores(self, session: Sequence[Interaction]) -> dict[str, float]:
        """Return the similarity of each item that met the newest one."""
        newest = session[-1].item_id
        if newest not in self._sessions:
            return {}
        events, regularisation, exponent = self._events, self._regularisation, 1 - self._balance
        own = (events[newest] + regularisation) ** self._balance
        return {
            item: count / (own * (events[item] + regularisation) ** exponent)
            for item, count in self._sessions[newest].items()
        }
