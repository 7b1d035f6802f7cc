"""Score the candidates of a session from the rows of its items, in two hops.

    r_p   = (p+1)^-1.5 · exp(-|t - t_p| / 900 s)       p = 0, 1, …: distinct session items, newest first
    F_j   = Σ_p r_p · (v_pj / (m_p + 5))^0.6            first hop; v_pj weight, m_p mass of the row of the item at p
    G_j   = Σ_k F_k · (0.8 · v_kj / m_k)^0.6            second hop, over the 16 items k with the greatest F_k, to
                                                        the 32 heaviest of each
    S_j   = (F_j + G_j) · (n_j + 5)^-0.25 · (min(1, l_j / n_j) + 0.02)^0.2

n_j counts the arrivals of j, l_j those of the last day or so, both as of the hour in which the query's time is; all
other counts are read as of the query's time (`models.decay`). The compression counts paths more than their weights;
session items and whatever else is excluded may be passed through, but are not suggested.
"""

from collections.abc import Iterable, Mapping
from math import exp
from typing import NamedTuple

from models.cooccurrence import Row
from models.decay import growth
from models.parameters import Parameters

__all__ = ["Candidate", "distinct", "prior", "rank"]


class Candidate(NamedTuple):
    """A scored item, with the strongest path to it in each hop.

    `anchor` is the session item in whose row it weighs most; `path` the session item and the neighbour that lead to it
    best in the second hop. One of the two is there.
    """

    item_id: str
    score: float
    anchor: str | None
    path: tuple[str, str] | None = None


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
    for place, (anchor, anchor_time) in enumerate(distinct(positions)[: parameters.query_items]):
        row = rows.get(anchor)
        if row is None:
            continue
        age = abs(time_ms - anchor_time) / parameters.query_time_constant_ms
        recency = (place + 1) ** parameters.query_place_exponent * exp(-age)
        mass = row.mass + parameters.mass_prior * growth(time_ms, row.epoch, half_life)
        for item, weight in row.weights.items():
            tallies.setdefault(item, _Tally()).add_pair(recency * (weight / mass) ** compression, anchor)
    nearest = sorted(((tally.total, item) for item, tally in tallies.items()), key=lambda near: (-near[0], near[1]))
    for near, via in nearest[: parameters.hop_neighbours]:
        row = rows.get(via)
        if row is None or row.mass <= 0:
            continue
        anchor = tallies[via].anchor or ""
        heaviest = sorted(row.weights.items(), key=lambda pair: (-pair[1], pair[0]))[: parameters.hop_row_size]
        for item, weight in heaviest:
            part = near * (parameters.hop_weight * weight / row.mass) ** compression
            tallies.setdefault(item, _Tally()).add_path(part, anchor, via)
    candidates = []
    prior_ms = time_ms - time_ms % parameters.prior_step_ms
    for item, tally in tallies.items():
        if item not in excluded:
            score = tally.total * prior(rows.get(item), prior_ms, parameters)
            candidates.append(Candidate(item, score, tally.anchor, tally.path))
    candidates.sort(key=lambda candidate: (-candidate.score, candidate.item_id))
    return candidates[: parameters.candidates_max]


def distinct(positions: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return each item once, at its first place."""
    newest: dict[str, int] = {}
    for item, time_ms in positions:
        newest.setdefault(item, time_ms)
    return list(newest.items())


def prior(row: Row | None, time_ms: int, parameters: Parameters) -> float:
    """Return what an item's own counts, as of a time, contribute to its score: rare and fashionable is more.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> round(prior(Row(0, events=11.0, recent=5.5), 0, DEFAULTS), 3), round(prior(None, 0, DEFAULTS), 3)
    (0.439, 0.306)
    """
    events = recent = 0.0
    if row is not None:
        events = row.events / growth(time_ms, row.epoch, parameters.half_life_ms)
        recent = row.recent / growth(time_ms, row.epoch, parameters.half_life_ms, parameters.trend_speed)
    popularity = (events + parameters.popularity_prior) ** parameters.popularity_exponent
    # Long after its last arrival an item has decayed to nothing in both counts, of which rounding could make much.
    trend = (min(1.0, recent / events) if events > 0 else 0.0) + parameters.trend_floor
    return float(popularity * trend**parameters.trend_exponent)
