"""From the ranks of the targets and the lists shown to figures: accuracy, coverage, popularity, and their intervals.

A query has one relevant item, its target. With its rank r in the list (from 1; 0 where the list does not hold it), a
query counts, if 1 <= r <= k, and nothing otherwise:

    HR@k    1                 hit rate, which is recall where one item is relevant
    MRR@k   1 / r             mean reciprocal rank
    NDCG@k  1 / log2(r + 1)   Järvelin and Kekäläinen 2002; the ideal gain of one relevant item is 1

A figure is the mean over all queries; one with an empty list is a miss. Intervals are percentile intervals (Efron and
Tibshirani 1993, ch. 13) of the bootstrap over whole sessions, as the queries of one session are not independent of
each other.
"""

from collections.abc import Iterable, Mapping, Set
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DIGITS",
    "Metric",
    "abstention",
    "coverage",
    "gains",
    "intervals",
    "mean",
    "popularity",
    "ratio_intervals",
]

Metric = Literal["hr", "mrr", "ndcg"]

#: Digits of a figure for machines.
DIGITS: Final = 6

#: The least that Efron and Tibshirani advise where percentiles are wanted.
_RESAMPLES: Final = 1000
_PERCENTILES: Final = (2.5, 97.5)


def gains(metric: Metric, ranks: NDArray[np.integer], k: int) -> NDArray[np.float64]:
    """Return what each query counts for a metric at `k`, from the rank of its target (0 for a miss).

    Examples
    --------
    >>> ranks = np.array([1, 3, 5, 0])
    >>> gains("hr", ranks, 4).tolist()
    [1.0, 1.0, 0.0, 0.0]
    >>> gains("ndcg", ranks, 4).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    found = (ranks >= 1) & (ranks <= k)
    # A miss is divided like a first place, and then counts nothing.
    places = np.where(found, ranks, 1).astype(np.float64)
    if metric == "mrr":
        return found / places
    if metric == "ndcg":
        return found / np.log2(places + 1.0)
    return found.astype(np.float64)


def mean(gained: NDArray[np.float64]) -> float | None:
    """Return the figure of a metric from what each query counts, rounded; None without queries.

    Examples
    --------
    >>> mean(np.array([1.0, 0.0, 0.0])), mean(np.array([]))
    (0.333333, None)
    """
    return round(float(gained.mean()), DIGITS) if gained.size else None


def coverage(shown: Set[str], catalogue: Set[str]) -> float:
    """Return the share of the catalogue that stood in at least one list; nan for an empty catalogue.

    An item outside the catalogue (one of the session itself that was never learnt) counts on neither side.

    Examples
    --------
    >>> coverage({"tea", "never-learnt"}, {"tea", "cup", "pot", "wok"})
    0.25
    """
    return len(shown & catalogue) / len(catalogue) if catalogue else float("nan")


def popularity(exposure: Mapping[str, float], counts: Mapping[str, int]) -> float:
    """Return how popular the shown items are: the mean over non-empty lists of the mean of their items' popularity.

    An item's popularity is its number of interactions over that of the most frequent item, 0 if it was never learnt
    (popularity bias of Ludewig and Jannach 2018, Evaluation of session-based recommendation algorithms, as their
    session-rec computes it). A model that shows the most frequent item and nothing else has 1; nan where nothing was
    shown.

    Parameters
    ----------
    exposure : mapping of item to float
        For each item the sum of ``1 / length`` of the lists that show it.
    counts : mapping of item to int
        The number of learnt interactions with each item.

    Examples
    --------
    Two lists, [tea, cup] and [tea]: the mean of (1 + 0.25) / 2 and 1.

    >>> popularity({"tea": 1.5, "cup": 0.5}, {"tea": 8, "cup": 2, "pot": 2})
    0.8125
    """
    lists = sum(exposure.values())
    if not lists or not counts:
        return float("nan")
    most = max(counts.values())
    return sum(weight * counts.get(item, 0) for item, weight in exposure.items()) / (most * lists)


def abstention(lengths: NDArray[np.integer]) -> float:
    """Return the share of queries with an empty list; nan without queries.

    Examples
    --------
    >>> abstention(np.array([20, 0, 3, 20]))
    0.25
    """
    return float(np.mean(lengths == 0)) if lengths.size else float("nan")


def intervals(
    sessions: NDArray[np.integer],
    columns: Iterable[NDArray[np.float64]],
    seed: int = 0,
    resamples: int = _RESAMPLES,
) -> NDArray[np.float64]:
    """Return the 95 % interval of the mean over queries of each column.

    Sessions are drawn with replacement, as many as have queries, and with a session all of its queries. All columns
    stand on the same draws.

    Parameters
    ----------
    sessions : array of int, shape (queries,)
        The session of each query, from 0.
    columns : iterable of arrays, shape (queries,)
        What each query counts, as from `gains`.

    Returns
    -------
    array of float, shape (columns, 2)
        Lower and upper end; nan without queries.

    Examples
    --------
    One session always hit, one always missed: a draw of two has a mean of 0, 0.5 or 1.

    >>> intervals(np.array([0, 0, 1]), [np.array([1.0, 1.0, 0.0])]).tolist()
    [[0.0, 1.0]]
    """
    sums = _resampled_sums(_session_sums(sessions, [np.ones(sessions.size), *columns]), seed, resamples)
    return _percentiles(sums[:, 1:] / sums[:, :1])


def ratio_intervals(
    sessions: NDArray[np.integer],
    columns: Iterable[NDArray[np.float64]],
    rival_columns: Iterable[NDArray[np.float64]],
    seed: int = 0,
    resamples: int = _RESAMPLES,
) -> NDArray[np.float64]:
    """Return the paired 95 % interval of each column's mean over that of the rival's column.

    Both models stand on the same draws of sessions: what is hard in a session is hard for both, so the interval is
    narrower than two separate ones suggest. A ratio whose interval holds 1 is no proof of a difference.

    Parameters
    ----------
    sessions, columns
        As for `intervals`.
    rival_columns : iterable of arrays, shape (queries,)
        The rival's, for the same queries in the same order.

    Returns
    -------
    array of float, shape (columns, 2)
        nan without queries, and where the rival's mean is 0 in one of the draws.

    Examples
    --------
    >>> sessions, ours, rival = np.array([0, 1, 2]), np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.25, 0.0])
    >>> ratio_intervals(np.repeat(sessions, 9), [np.repeat(ours, 9)], [np.repeat(rival, 9)], resamples=20).tolist()
    [[2.0, 2.0]]
    """
    ours, rivals = list(columns), list(rival_columns)
    sums = _resampled_sums(_session_sums(sessions, [*ours, *rivals]), seed, resamples)
    tops, bottoms = sums[:, : len(ours)], sums[:, len(ours) :]
    ratios = np.full_like(tops, np.nan)
    np.divide(tops, bottoms, out=ratios, where=bottoms > 0)
    return _percentiles(ratios)


def _session_sums(sessions: NDArray[np.integer], columns: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Add up each column over the queries of each session that has any; shape (columns, sessions)."""
    _, index = np.unique(sessions, return_inverse=True)
    return np.stack([np.bincount(index, column) for column in columns])


def _resampled_sums(sums: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    """Add up the sessions of each draw; shape (resamples, columns), no draw where there is no session."""
    columns, count = sums.shape
    if not count:
        return np.empty((0, columns))
    generator = np.random.default_rng(seed)
    # One draw at a time: all of them at once would take gigabytes for a hundred thousand sessions.
    draws = (np.bincount(generator.integers(0, count, count), minlength=count) for _ in range(resamples))
    # Not sums @ draw: BLAS splits this small product among threads, and on a busy machine that takes ten times as long.
    return np.stack([np.einsum("cs,s->c", sums, draw.astype(np.float64)) for draw in draws])


def _percentiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(values):
        return np.full((values.shape[1], 2), np.nan)
    return np.percentile(values, _PERCENTILES, axis=0).T
