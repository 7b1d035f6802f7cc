"""Score the candidates of a session from the rows of its items.

    r_p   = (p+1)^-1.5 · exp(-|t - t_p| / 900 s)       p = 0, 1, …: distinct session items, newest first
    pop_j = (n_j + 5)^-0.4                              n_j: arrivals of j
    a_ij  = v_ij / (m_i + 5)^0.5                        v_ij weight, m_i mass of the row of i
    S_j   = Σ_p r_p · (a_ij · pop_j)^0.6,   times 1 + 0.1 · (session items that lead to j - 1)

All counts are read as of the query's time (`models.decay`). The session's own items are dropped.
"""

from collections.abc import Iterable, Mapping
from math import exp
from typing import NamedTuple

from models.cooccurrence import Row
from models.decay import growth
from models.parameters import Parameters

__all__ = ["Candidate", "distinct", "rank"]


class Candidate(NamedTuple):
    """A scored item; `anchor` is the session item that contributed most to its score."""

    item_id: str
    score: float
    anchor: str


def rank(
    rows: Mapping[str, Row],
    positions: Iterable[tuple[str, int]],
    excluded: set[str],
    time_ms: int,
    parameters: Parameters,
) -> list[Candidate]:
    """Return the candidates of a session, best first; ties by item id.

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
    >>> rows = {"tea": fold(None, Increment("tea", 1, 1, (("cup", 0.5, 1), ("pot", 0.2, 1))), 0, DEFAULTS)}
    >>> [c.item_id for c in rank(rows, [("tea", 0)], {"tea"}, 0, DEFAULTS)]
    ['cup', 'pot']
    """
    half_life = parameters.half_life_ms
    scores: dict[str, float] = {}
    hits: dict[str, int] = {}
    best: dict[str, tuple[float, str]] = {}
    popularity: dict[str, float] = {}
    for place, (anchor, anchor_time) in enumerate(distinct(positions)[: parameters.query_items]):
        row = rows.get(anchor)
        if row is None:
            continue
        age = abs(time_ms - anchor_time) / parameters.query_time_constant_ms
        recency = (place + 1) ** parameters.query_place_exponent * exp(-age)
        grown = growth(time_ms, row.epoch, half_life)
        mass_factor = (row.mass / grown + parameters.mass_prior) ** parameters.mass_exponent / grown
        for item, weight in row.weights.items():
            if item in excluded:
                continue
            pop = popularity.get(item)
            if pop is None:
                pop = popularity[item] = _popularity(rows.get(item), time_ms, parameters)
            part = recency * (weight * mass_factor * pop) ** parameters.compression
            if item in scores:
                scores[item] += part
                hits[item] += 1
                if part > best[item][0]:
                    best[item] = (part, anchor)
            else:
                scores[item] = part
                hits[item] = 1
                best[item] = (part, anchor)
    candidates = [
        Candidate(item, score * (1 + parameters.hit_bonus * (hits[item] - 1)), best[item][1])
        for item, score in scores.items()
    ]
    candidates.sort(key=lambda candidate: (-candidate.score, candidate.item_id))
    return candidates


def distinct(positions: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return each item once, at its first place."""
    newest: dict[str, int] = {}
    for item, time_ms in positions:
        newest.setdefault(item, time_ms)
    return list(newest.items())


def _popularity(row: Row | None, time_ms: int, parameters: Parameters) -> float:
    events = row.events / growth(time_ms, row.epoch, parameters.half_life_ms) if row else 0.0
    return float((events + parameters.popularity_prior) ** parameters.popularity_exponent)
