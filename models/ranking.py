"""Score the candidates of a session from the rows of its items, in two hops.

    r_p   = (p+1)^-1.5 · exp(-|t - t_p| / 900 s)       p = 0, 1, …: distinct session items, newest first
    a_pk  = v_pk / (m_p + 5)                            v_pk weight, m_p mass of the row of the item at p
    F_j   = Σ_p r_p · a_pj^0.6                          first hop
    u_k   = Σ_p r_p^(1/0.6) · a_pk                      how near k is to the session: a path over p counts like p
    G_j   = Σ_k (0.8 · u_k · v_kj / m_k)^0.6            second hop, over the 32 items k with the greatest u_k
    S_j   = (F_j + G_j) · (n_j + 5)^-0.25 · (min(1, l_j / n_j) + 0.02)^0.2

n_j counts the arrivals of j, l_j those of the last day or so. All counts are read as of the query's time
(`models.decay`). The compression counts paths more than their weights; session items and whatever else is excluded
may be passed through, but are not suggested.
"""

from collections.abc import Iterable, Mapping
from math import exp
from typing import NamedTuple

from models.cooccurrence import Row
from models.decay import growth
from models.parameters import Parameters

__all__ = ["Candidate", "distinct", "rank"]


class Candidate(NamedTuple):
    """A scored item, with the strongest path to it in each hop.

    `anchor` is the session item in whose row it weighs most; `path` the session item and the neighbour that lead to it
    best in the second hop. One of the two is there.
    """

    item_id: str
    score: float
    anchor: str | None
    path: tuple[str, str] | None = None


class _Reach:
    """How near an item is to the session, and by which session item most."""

    __slots__ = ("anchor", "greatest", "total")

    def __init__(self) -> None:
        self.total = self.greatest = 0.0
        self.anchor = ""

    def add(self, part: float, anchor: str) -> None:
        self.total += part
        if part > self.greatest:
            self.greatest, self.anchor = part, anchor


class _Tally:
    """What speaks for a candidate: the sum over all paths, and the best of each hop."""

    __slots__ = ("anchor", "best_pair", "best_path", "path", "total")

    def __init__(self) -> None:
        self.total = self.best_pair = self.best_path = 0.0
        self.anchor: str | None = None
        self.path: tuple[str, str] | None = None

    def add_pair(self, part: float, anchor: str) -> None:
        self.total += part
        if part > self.best_pair:
            self.best_pair, self.anchor = part, anchor

    def add_path(self, part: float, anchor: str, via: str) -> None:
        self.total += part
        if part > self.best_path:
            self.best_path, self.path = part, (anchor, via)


def rank(
    rows: Mapping[str, Row],
    positions: Iterable[tuple[str, int]],
    excluded: set[str],
    time_ms: int,
    parameters: Parameters,
) -> list[Candidate]:
    """Return the best ``parameters.candidates_max`` candidates of a session, best first; ties by item id.

    Parameters
    ----------
    rows : mapping of item to Row
        The replica.
    positions : iterable of (item, time in ms)
        The session's arrivals, newest first; repeats of an item count once, as the newest.
    excluded : set of str
        Items never to be suggested.

    Examples
    --------
    >>> from models.cooccurrence import Increment, fold
    >>> from models.parameters import DEFAULTS
    >>> tea = fold(None, Increment("tea", 1, 1, (("cup", 0.5, 1, 0), ("pot", 0.2, 1, 0))), 0, DEFAULTS)
    >>> cup = fold(None, Increment("cup", 1, 1, (("saucer", 0.5, 1, 0),)), 0, DEFAULTS)
    >>> [(c.item_id, c.path) for c in rank({"tea": tea, "cup": cup}, [("tea", 0)], {"tea"}, 0, DEFAULTS)]
    [('cup', None), ('saucer', ('tea', 'cup')), ('pot', None)]
    """
    half_life, compression = parameters.half_life_ms, parameters.compression
    tallies: dict[str, _Tally] = {}
    reach: dict[str, _Reach] = {}
    for place, (anchor, anchor_time) in enumerate(distinct(positions)[: parameters.query_items]):
        row = rows.get(anchor)
        if row is None:
            continue
        age = abs(time_ms - anchor_time) / parameters.query_time_constant_ms
        recency = (place + 1) ** parameters.query_place_exponent * exp(-age)
        grown = growth(time_ms, row.epoch, half_life)
        mass = row.mass + parameters.mass_prior * grown
        path_recency = recency ** (1 / compression)
        for item, weight in row.weights.items():
            association = weight / mass
            tallies.setdefault(item, _Tally()).add_pair(recency * association**compression, anchor)
            reach.setdefault(item, _Reach()).add(path_recency * association, anchor)
    nearest = sorted(reach.items(), key=lambda item: (-item[1].total, item[0]))
    for via, near in nearest[: parameters.hop_neighbours]:
        row = rows.get(via)
        if row is None or row.mass <= 0:
            continue
        path = parameters.hop_weight * near.total / row.mass
        for item, weight in row.weights.items():
            tallies.setdefault(item, _Tally()).add_path((path * weight) ** compression, near.anchor, via)
    candidates = []
    for item, tally in tallies.items():
        if item not in excluded:
            score = tally.total * _prior(rows.get(item), time_ms, parameters)
            candidates.append(Candidate(item, score, tally.anchor, tally.path))
    candidates.sort(key=lambda candidate: (-candidate.score, candidate.item_id))
    return candidates[: parameters.candidates_max]


def distinct(positions: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return each item once, at its first place."""
    newest: dict[str, int] = {}
    for item, time_ms in positions:
        newest.setdefault(item, time_ms)
    return list(newest.items())


def _prior(row: Row | None, time_ms: int, parameters: Parameters) -> float:
    events = recent = 0.0
    if row is not None:
        events = row.events / growth(time_ms, row.epoch, parameters.half_life_ms)
        recent = row.recent / growth(time_ms, row.epoch, parameters.half_life_ms, parameters.trend_speed)
    popularity = (events + parameters.popularity_prior) ** parameters.popularity_exponent
    # Long after its last arrival an item has decayed to nothing in both counts, of which rounding could make much.
    trend = (min(1.0, recent / events) if events > 0 else 0.0) + parameters.trend_floor
    return float(popularity * trend**parameters.trend_exponent)
