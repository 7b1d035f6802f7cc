"""What an evaluation found, as one object for machines: the figures of each model under each protocol."""

from collections.abc import Mapping
from math import isnan
from typing import Final, NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from models.errors import InvariantError
from models.evaluation.metrics import (
    DIGITS,
    Metric,
    abstention,
    coverage,
    gains,
    intervals,
    mean,
    popularity,
    ratio_intervals,
)
from models.evaluation.replay import Protocol, Replay
from models.evaluation.rivalry import RivalEffect
from models.records import MOMENTS

__all__ = ["PROTOCOLS", "Comparison", "Figures", "MomentFigures", "Summary", "compare", "summarise"]

#: In the order in which they are shown.
PROTOCOLS: Final[tuple[Protocol, ...]] = ("frozen", "prequential")

_METRICS: Final[tuple[Metric, ...]] = ("hr", "mrr", "ndcg")
#: 4 is what a slot shows (`models.parameters.Parameters.suggestions_max`), 20 what papers on such models report.
_CUTS: Final = (4, 20)
_FIGURES: Final = tuple((metric, k) for metric in _METRICS for k in _CUTS)
_NAMES: Final = tuple(f"{metric}@{k}" for metric, k in _FIGURES)

MomentFigures = TypedDict(
    "MomentFigures", {"queries": int, "hr@4": float | None, "hr@20": float | None, "mrr@20": float | None}
)

_Interval = list[float] | None

#: The figures of one model under one protocol; null where a figure is unknown, or undefined without queries. Intervals
#: are of 95 %. `moments` has the queries by the kind of their newest interaction; `category_hr@k` is the share of the
#: queries with a target of known category whose list holds an item of that category, absent without categories.
Figures = TypedDict(
    "Figures",
    {
        "hr@4": float | None,
        "hr@20": float | None,
        "mrr@4": float | None,
        "mrr@20": float | None,
        "ndcg@4": float | None,
        "ndcg@20": float | None,
        "hr@4_ci": _Interval,
        "hr@20_ci": _Interval,
        "mrr@4_ci": _Interval,
        "mrr@20_ci": _Interval,
        "ndcg@4_ci": _Interval,
        "ndcg@20_ci": _Interval,
        "coverage": float | None,
        "popularity": float | None,
        "abstained": float | None,
        "queries": int,
        "query_us": float | None,
        "learn_us": float | None,
        "bytes_per_item": float | None,
        "moments": dict[str, MomentFigures],
        "category_hr@4": NotRequired[float | None],
        "category_hr@20": NotRequired[float | None],
    },
)


class Summary(TypedDict):
    """The figures by model of each protocol that was run; `dataset` and `target` in words.

    `rivals`, where it was looked at, has the effect of the rule by protocol and moment.
    """

    dataset: str
    target: str
    frozen: NotRequired[dict[str, Figures]]
    prequential: NotRequired[dict[str, Figures]]
    rivals: NotRequired[dict[Protocol, dict[str, RivalEffect]]]


class Comparison(NamedTuple):
    """One metric of a model over that of its rival, with the paired 95 % interval; None where the rival has 0."""

    ratio: float | None
    interval: tuple[float, float] | None


def summarise(
    dataset: str,
    target: str,
    frozen: Mapping[str, Replay] | None = None,
    prequential: Mapping[str, Replay] | None = None,
    bytes_per_item: Mapping[Protocol, Mapping[str, float]] | None = None,
    seed: int = 0,
) -> Summary:
    """Return the figures of all models, ready for JSON.

    Parameters
    ----------
    dataset, target : str
        In words, such as ``retailrocket`` and ``novel``.
    frozen, prequential : mapping of model to Replay, optional
        A protocol that was not run is absent from the result.
    bytes_per_item : mapping of protocol to mapping of model to float, optional
        Where it was measured.
    seed : int
        Of the draws of sessions; with the same seed all models stand on the same draws.

    Examples
    --------
    >>> from models.evaluation.recommender import Interaction
    >>> from models.evaluation.replay import NOVEL, replay_frozen
    >>> class Cups:
    ...     def learn(self, session): ...
    ...     def learn_session(self, session): ...
    ...     def recommend(self, session, n, excluded):
    ...         return ["pot", "cup"]
    >>> test = [Interaction("ann", "tea", 1), Interaction("ann", "cup", 2)]
    >>> summary = summarise("shop", NOVEL.name, {"cups": replay_frozen(Cups(), [], test, NOVEL)})
    >>> list(summary), summary["frozen"]["cups"]["mrr@20"], summary["frozen"]["cups"]["mrr@20_ci"]
    (['dataset', 'target', 'frozen'], 0.5, [0.5, 0.5])
    """
    sizes = bytes_per_item or {}
    summary = Summary(dataset=dataset, target=target)
    if frozen is not None:
        summary["frozen"] = _all_figures(frozen, sizes.get("frozen", {}), seed)
    if prequential is not None:
        summary["prequential"] = _all_figures(prequential, sizes.get("prequential", {}), seed)
    return summary


def compare(replay: Replay, rival: Replay, seed: int = 0) -> dict[str, Comparison]:
    """Return each metric of a model (``hr@4`` to ``ndcg@20``) over its rival's, paired by session.

    Raises
    ------
    InvariantError
        If the two were not asked the same queries.
    """
    if replay.targets != rival.targets or not np.array_equal(replay.sessions, rival.sessions):
        raise InvariantError("the replays hold different queries; compare replays of the same test part and target")
    columns, rival_columns = _columns(replay.ranks), _columns(rival.ranks)
    ends = ratio_intervals(replay.sessions, columns, rival_columns, seed)
    result: dict[str, Comparison] = {}
    for name, ours, theirs, (low, high) in zip(_NAMES, columns, rival_columns, ends.tolist(), strict=True):
        ratio = float(ours.sum() / theirs.sum()) if theirs.any() else None
        result[name] = Comparison(ratio, None if isnan(low) else (low, high))
    return result


def _all_figures(replays: Mapping[str, Replay], sizes: Mapping[str, float], seed: int) -> dict[str, Figures]:
    return {model: _figures(replay, sizes.get(model), seed) for model, replay in replays.items()}


def _figures(replay: Replay, bytes_per_item: float | None, seed: int) -> Figures:
    columns = _columns(replay.ranks)
    means = [mean(column) for column in columns]
    hr_4, hr_20, mrr_4, mrr_20, ndcg_4, ndcg_20 = means
    ends = [
        None if isnan(low) else [round(low, DIGITS), round(high, DIGITS)]
        for low, high in intervals(replay.sessions, columns, seed).tolist()
    ]
    figures: Figures = {
        "hr@4": hr_4,
        "hr@20": hr_20,
        "mrr@4": mrr_4,
        "mrr@20": mrr_20,
        "ndcg@4": ndcg_4,
        "ndcg@20": ndcg_20,
        "hr@4_ci": ends[0],
        "hr@20_ci": ends[1],
        "mrr@4_ci": ends[2],
        "mrr@20_ci": ends[3],
        "ndcg@4_ci": ends[4],
        "ndcg@20_ci": ends[5],
        "coverage": _known(coverage(replay.exposure.keys(), replay.counts.keys())),
        "popularity": _known(popularity(replay.exposure, replay.counts)),
        "abstained": _known(abstention(replay.lengths)),
        "queries": replay.ranks.size,
        "query_us": _known(replay.query_us),
        "learn_us": _known(replay.learn_us),
        "bytes_per_item": bytes_per_item,
        "moments": {moment: _moment_figures(replay.ranks[replay.at(kind)]) for kind, moment in MOMENTS.items()},
    }
    if replay.category_ranks is not None:
        known = replay.category_ranks[replay.category_ranks >= 0]
        figures["category_hr@4"] = mean(gains("hr", known, 4))
        figures["category_hr@20"] = mean(gains("hr", known, 20))
    return figures


def _moment_figures(ranks: NDArray[np.integer]) -> MomentFigures:
    return {
        "queries": ranks.size,
        "hr@4": mean(gains("hr", ranks, 4)),
        "hr@20": mean(gains("hr", ranks, 20)),
        "mrr@20": mean(gains("mrr", ranks, 20)),
    }


def _columns(ranks: NDArray[np.integer]) -> list[NDArray[np.float64]]:
    return [gains(metric, ranks, k) for metric, k in _FIGURES]


def _known(value: float | None) -> float | None:
    """Return a figure as JSON can hold it: there is no nan."""
    return None if value is None or isnan(value) else round(value, DIGITS)
