"""Vector multiplication session-kNN (V-SKNN): items of the past sessions most like the running one.

    vector(s)  = Σ w_i / number of different items in the running session            over the shared items i
    cosine(s)  = Σ w_i / √(Σ w² of all items of the running session · different items of s)
    score(j)   = (1 + idf_weight · log(S / n_j)) · Σ similarity(s) · decay(g_s)    over the k nearest sessions s with j

w_i weighs the last place of i in the running session; g_s says how many events back the newest item lies that s
shares; S counts the past sessions, n_j the events of j. Compared are the `sample_size` latest sessions with any item
of the running one; of sessions equally near the k-th place goes to the one that ended last.

M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms, UMUAI 28 (2018); the idf
term and the choice of similarity as in its code (github.com/rn5l/session-rec).
"""

from collections.abc import Sequence

import numpy as np

from models.evaluation.baselines.past_sessions import SessionNeighbours, Similarity, compare, last_places, nearest
from models.evaluation.baselines.weighting import Weighting, distance_weight, place_weight
from models.evaluation.recommender import Interaction

__all__ = ["VSknn"]


class VSknn(SessionNeighbours):
    """Score the items of the past sessions that share most, and the newest, with the running one.

    Parameters
    ----------
    k : int
        How many sessions vote.
    sample_size : int
        How many sessions are compared.
    similarity : Similarity
        How a past session is compared with the running one.
    weighting : Weighting
        The weight w of a place in the running session.
    weighting_score : Weighting
        The decay of a past session's vote by the distance of the newest shared item.
    idf_weighting : float
        How much rare items are lifted.

    Notes
    -----
    The defaults are the best of hill climbs from four starts for each similarity, on rsc15, trained on train_tr, by
    HR@20 + MRR@20 of the next new item on train_valid (.491 + .235): k 50 to 2000, sample_size 500 to 10,000, all
    weightings, idf_weighting 0 to 10. The best with "vector" reaches .485 + .230.

    The lists published by the study come from k 500, sample_size 5000, "vector", weighting "quadratic",
    weighting_score "div" and idf_weighting 5 (its conf/example_next.yml).

    Examples
    --------
    >>> model = VSknn()
    >>> model.learn_session([Interaction("a", item, 0) for item in ("tea", "cup")])
    >>> model.learn_session([Interaction("b", item, 0) for item in ("jug", "pot")])
    >>> [model.recommend([Interaction("c", item, 0)], 20, {item}) for item in ("tea", "mug")]
    [['cup'], []]
    """

    def __init__(
        self,
        *,
        k: int = 500,
        sample_size: int = 5000,
        similarity: Similarity = "cosine",
        weighting: Weighting = "div",
        weighting_score: Weighting = "quadratic",
        idf_weighting: float = 1.0,
    ) -> None:
        super().__init__()
        self._k = k
        self._sample_size = sample_size
        self._similarity = similarity
        self._weighting = weighting
        self._weighting_score = weighting_score
        self._idf_weighting = idf_weighting

    def scores(self, session: Sequence[Interaction]) -> dict[str, float]:
        length = len(session)
        places = last_places(session)
        weights = {item: place_weight(self._weighting, place, length) for item, place in places.items()}
        matches = self._past.matches(places, weights, self._sample_size)
        similarity = compare(self._similarity, matches, weights)
        chosen = nearest(similarity, self._k)
        decays = np.array(
            [distance_weight(self._weighting_score, length + 1 - place) for place in range(1, length + 1)]
        )
        votes = similarity[chosen] * decays[matches.newest_place[chosen] - 1]
        entries = self._past.entries(matches.sessions[chosen])
        return self._past.scores(entries.items, votes[entries.owners], self._idf_weighting)
