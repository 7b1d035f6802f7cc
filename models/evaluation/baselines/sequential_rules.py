"""Sequential rules (SR): what most often comes soon after the newest item.

    score(i → j) = Σ w(g)   over the events of j that follow an event of i by g <= steps events in one session

I. Kamehkhosh, D. Jannach, M. Ludewig: A comparison of frequent pattern techniques and a deep learning method for
session-based recommendation, TempRec workshop at RecSys 2017; M. Ludewig, D. Jannach: Evaluation of session-based
recommendation algorithms, UMUAI 28 (2018). An item that comes again leads to itself, as in the authors'
code (github.com/rn5l/session-rec). That code keeps the 20 best rules of an item; here all are kept, which is the
same for lists of at most 20 with nothing excluded.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from models.evaluation.baselines.top_n import top_n
from models.evaluation.baselines.weighting import Weighting, distance_weight
from models.evaluation.recommender import Interaction

__all__ = ["SequentialRules"]


class SequentialRules:
    """Rank items by how often and how soon they came after the session's newest item.

    Parameters
    ----------
    steps : int
        How many events a rule may span.
    weighting : Weighting
        The weight w of a distance.

    Notes
    -----
    The defaults are those of the study (its conf/example_next.yml), whose published lists they reproduce, and the best
    of 1 to 30 steps and all weightings on rsc15, trained on train_tr, by HR@20 + MRR@20 of the next new item on
    train_valid (.424 + .208).

    Examples
    --------
    >>> model = SequentialRules()
    >>> session = [Interaction("s", item, 0) for item in ("tea", "cup", "pot")]
    >>> for end in (1, 2, 3):
    ...     model.learn(session[:end])
    >>> model.recommend(session[:1], 20, ()), model.recommend(session, 20, ())
    (['cup', 'pot'], [])
    """

    def __init__(self, *, steps: int = 20, weighting: Weighting = "quadratic") -> None:
        self._weights = [distance_weight(weighting, distance) for distance in range(1, steps + 1)]
        self._rules: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))

    def learn(self, session: Sequence[Interaction]) -> None:
        """Add a rule to the newest interaction from each of the `steps` before it."""
        newest = session[-1].item_id
        for distance, weight in enumerate(self._weights[: len(session) - 1], start=1):
            self._rules[session[-1 - distance].item_id][newest] += weight

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Do nothing: all is learnt in `learn`."""

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return the n items with the strongest rules from the newest item, without the excluded; ties by item id."""
        return top_n(self.scores(session), n, excluded)

    def scores(self, session: Sequence[Interaction]) -> Mapping[str, float]:
        """Return the strength of each rule from the newest item."""
        return self._rules.get(session[-1].item_id, {})
