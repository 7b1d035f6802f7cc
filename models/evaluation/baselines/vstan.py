"""V-STAN: session-kNN that weighs places, session ages and item rarity.

    w_i           = exp(-(events after the last i in the running session) / place_decay)
    vector(s)     = Σ w_i / number of different items in the running session            over the shared items i
    cosine(s)     = Σ w_i / √(Σ w² of all items of the running session · different items of s)
    similarity(s) = vector(s) or cosine(s), times exp(-age(s) / session_days)
    score(j)      = (1 + idf_weighting · log(S / n_j)) · Σ similarity(s) · exp(-g_s / match_decay)
                    · exp(-|place of j in s - place of the last shared item in s| / item_decay)    over the k nearest s

g_s counts the events after the newest item that s shares, S the past sessions, n_j the events of j; ages are from the
latest session compared, which scales all scores alike. Compared are the `sample_size` latest sessions with any item
of the running one; of sessions equally near the k-th place goes to the one that ended last. An infinite decay
switches its term off.

D. Garg, P. Gupta, P. Malhotra, L. Vig, G. Shroff: Sequence and time aware neighborhood for session-based
recommendations (STAN), SIGIR 2019; with the decay by newest shared item and the idf of V-SKNN: M. Ludewig, N. Mauro,
S. Latifi, D. Jannach: Empirical analysis of session-based recommendation algorithms, UMUAI 31 (2021), and its code
(github.com/rn5l/session-rec), where the decays are lambda_spw, lambda_snh, lambda_ipw and lambda_inh.
"""

from collections.abc import Sequence
from math import exp

import numpy as np

from models.evaluation.baselines.past_sessions import (
    Floats,
    Integers,
    SessionNeighbours,
    Similarity,
    compare,
    last_places,
    nearest,
)
from models.evaluation.recommender import Interaction

__all__ = ["VStan"]

#: Milliseconds in a day.
DAY_MS = 86_400_000


class VStan(SessionNeighbours):
    """Score the items of the past sessions that are most like the running one, by place and by age.

    Parameters
    ----------
    k : int
        How many sessions vote.
    sample_size : int
        How many sessions are compared.
    similarity : Similarity
        How a past session is compared with the running one, before its age.
    place_decay : float
        Of an item's weight in the running session, in events.
    session_days : float
        Of a past session's similarity by its age, in days.
    item_decay : float
        Of an item's score by its distance, in a past session, from the last shared item, in events.
    match_decay : float
        Of a past session's vote by the distance of the newest shared item, in events of the running session.
    idf_weighting : float
        How much rare items are lifted.

    Notes
    -----
    The defaults are the best of hill climbs from three starts for each similarity, on rsc15, trained on train_tr, by
    HR@20 + MRR@20 of the next new item on train_valid (.496 + .237): k 50 to 2000, sample_size 500 to 10,000, decays
    0.25 to 16 events and infinite, session_days 1 to 100 and infinite, idf_weighting 0 to 10. The best with "cosine"
    reaches .496 + .236.

    Examples
    --------
    >>> model = VStan()
    >>> model.learn_session([Interaction("a", item, 0) for item in ("tea", "cup")])
    >>> model.learn_session([Interaction("b", item, 0) for item in ("jug", "pot")])
    >>> [model.recommend([Interaction("c", item, 0)], 20, {item}) for item in ("tea", "mug")]
    [['cup'], []]
    """

    def __init__(
        self,
        *,
        k: int = 700,
        sample_size: int = 5000,
        similarity: Similarity = "vector",
        place_decay: float = 2.0,
        session_days: float = 5.0,
        item_decay: float = 8.0,
        match_decay: float = 2.0,
        idf_weighting: float = 5.0,
    ) -> None:
        super().__init__()
        self._k = k
        self._sample_size = sample_size
        self._similarity = similarity
        self._place_decay = place_decay
        self._session_days = session_days
        self._item_decay = item_decay
        self._match_decay = match_decay
        self._idf_weighting = idf_weighting

    def scores(self, session: Sequence[Interaction]) -> dict[str, float]:
        length = len(session)
        places = last_places(session)
        weights = {item: exp((place - length) / self._place_decay) for item, place in places.items()}
        matches = self._past.matches(places, weights, self._sample_size)
        similarity = compare(self._similarity, matches, weights) * self._youth(matches.sessions)
        chosen = nearest(similarity, self._k)
        votes = similarity[chosen] * np.exp((matches.newest_place[chosen] - length) / self._match_decay)
        entries = self._past.entries(matches.sessions[chosen])
        distances = np.abs(entries.places - matches.shared_place[chosen][entries.owners])
        parts = votes[entries.owners] * np.exp(-distances / self._item_decay)
        return self._past.scores(entries.items, parts, self._idf_weighting)

    def _youth(self, sessions: Integers) -> Floats:
        ends_ms = self._past.ends_ms(sessions)
        youth: Floats = np.exp((ends_ms - ends_ms.max(initial=0)) / (self._session_days * DAY_MS))
        return youth
