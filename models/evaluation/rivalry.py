"""What it does to keep back the rivals of what is in the cart, in the moments cart and order: with and without it.

Judged by the recording's own categories, not by those that have been learnt, which the rule goes by.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

import numpy as np

from models.confidence import share
from models.evaluation.metrics import DIGITS, gains, mean
from models.evaluation.recommender import Interaction, Recommender
from models.evaluation.replay import Replay
from models.evaluation.sidecart import Sidecart
from models.parameters import DEFAULTS, Parameters
from models.records import MOMENTS, Kind
from models.rows import Rows
from models.substitutes import comparisons

__all__ = ["RivalEffect", "RivalFigures", "rival_effect"]

#: The kinds of the moments in which something is held.
_HOLDING: Final[tuple[Kind, ...]] = ("add-to-cart", "orders")
#: What a slot shows (`models.parameters.Parameters.suggestions_max`).
_SLOT: Final = 4

#: Of the first four places of all lists: the share of the same category as an item held, and the share that most of
#: the sessions which met it with an item held compared with that (`models.pairs`). `category_hr@k` as in
#: `models.evaluation.summary.Figures`; `empty` counts the queries without any suggestion. Null without queries.
RivalFigures = TypedDict(
    "RivalFigures",
    {
        "queries": int,
        "same_category@4": float | None,
        "compared@4": float | None,
        "hr@4": float | None,
        "hr@20": float | None,
        "category_hr@4": float | None,
        "category_hr@20": float | None,
        "empty": int,
    },
)


class RivalEffect(TypedDict):
    """The same queries with rivals kept back, as the worker does, and with rivals offered."""

    kept_back: RivalFigures
    offered: RivalFigures


def rival_effect(
    replay: Callable[[Recommender], Replay],
    categories: Mapping[str, str],
    new_rows: Callable[[Parameters], Rows],
    parameters: Parameters = DEFAULTS,
) -> dict[str, RivalEffect]:
    """Return the figures with and without the rule, for the moments cart and order.

    Parameters
    ----------
    replay : callable
        Replays what is asked through a model, with the categories.
    categories : mapping of item to category
        The recording's.

    Examples
    --------
    >>> from models.evaluation.replay import ANY, replay_frozen
    >>> from models.rows import PlainRows
    >>> past = [Interaction(f"s{n}", item, n, "browse", "tea") for n in range(9) for item in ("green", "black")]
    >>> past += [Interaction(f"t{n}", "cup", n, "browse", "pots") for n in range(9)]
    >>> visit = [Interaction("ann", "green", 20, "add-to-cart", "tea"), Interaction("ann", "black", 21)]
    >>> categories = {"green": "tea", "black": "tea"}
    >>> effect = rival_effect(
    ...     lambda model: replay_frozen(model, past, visit, ANY, categories=categories), categories, PlainRows
    ... )["cart"]
    >>> effect["offered"]["same_category@4"], effect["kept_back"]["empty"]
    (1.0, 1)
    """
    offered, kept_back = (
        _moments(replay, _Witness(Sidecart(parameters, new_rows, is_keeping_back_rivals=rule), categories, parameters))
        for rule in (False, True)
    )
    return {moment: {"kept_back": kept_back[moment], "offered": offered[moment]} for moment in offered}


@dataclass(slots=True)
class _Places:
    """Of the places of a slot: how many were filled, and how many with which kind of rival."""

    filled: int = 0
    same_category: int = 0
    compared: int = 0


class _Witness:
    """Passes everything on to Sidecart, and looks at what it shows."""

    def __init__(self, model: Sidecart, categories: Mapping[str, str], parameters: Parameters) -> None:
        self.places = {kind: _Places() for kind in _HOLDING}
        self._model = model
        self._categories = categories
        self._parameters = parameters

    def learn(self, session: Sequence[Interaction]) -> None:
        """Learn."""
        self._model.learn(session)

    def learn_session(self, session: Sequence[Interaction]) -> None:
        """Learn a session that has ended."""
        self._model.learn_session(session)

    def recommend(self, session: Sequence[Interaction], n: int, excluded: Collection[str]) -> list[str]:
        """Return what Sidecart shows."""
        shown = self._model.recommend(session, n, excluded)
        places = self.places.get(session[-1].kind)
        if places is not None:
            asked = self._model.query(session, excluded)
            held_categories = {self._categories.get(held) for held in asked.held} - {None}
            for item in shown[:_SLOT]:
                places.filled += 1
                places.same_category += self._categories.get(item) in held_categories
                places.compared += any(self._is_mostly_compared(item, held, asked.now_ms) for held in asked.held)
        return shown

    def _is_mostly_compared(self, item: str, held: str, now_ms: int) -> bool:
        pairs = comparisons(self._model.rows, item, held, now_ms)
        return any(share(compared, met) > self._parameters.rival_share for met, compared in pairs)


def _moments(replay: Callable[[Recommender], Replay], witness: _Witness) -> dict[str, RivalFigures]:
    done = replay(witness)
    return {MOMENTS[kind]: _figures(done, kind, places) for kind, places in witness.places.items()}


def _figures(replay: Replay, kind: Kind, places: _Places) -> RivalFigures:
    is_asked = replay.at(kind)
    ranks = replay.ranks[is_asked]
    category_ranks = np.zeros(0, np.int8) if replay.category_ranks is None else replay.category_ranks[is_asked]
    known = category_ranks[category_ranks >= 0]
    return {
        "queries": ranks.size,
        "same_category@4": _ratio(places.same_category, places.filled),
        "compared@4": _ratio(places.compared, places.filled),
        "hr@4": mean(gains("hr", ranks, 4)),
        "hr@20": mean(gains("hr", ranks, 20)),
        "category_hr@4": mean(gains("hr", known, 4)),
        "category_hr@20": mean(gains("hr", known, 20)),
        "empty": int(np.count_nonzero(replay.lengths[is_asked] == 0)),
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, DIGITS) if whole else None
