"""Why an item is suggested: support, confidence and lift of the pair; and the reasons for silence."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from models.cooccurrence import TOTALS, Row
from models.decay import growth
from models.parameters import Parameters
from models.ranking import Candidate

__all__ = ["REASONS", "Evidence", "SuggestedItem", "choose", "pair_evidence"]

#: No item in the session; no row for any of them; all neighbours already in the session; no pair above the floor.
NO_ITEM: Final = "no-item"
UNKNOWN_ITEM: Final = "unknown-item"
NOTHING_NEW: Final = "nothing-new"
WEAK_EVIDENCE: Final = "weak-evidence"
REASONS: Final = (NO_ITEM, UNKNOWN_ITEM, NOTHING_NEW, WEAK_EVIDENCE)


class Evidence(msgspec.Struct, frozen=True):
    """The pair of the anchor and the suggested item, in decayed counts of sessions.

    `pair_count`: sessions with both; `support`: their share of all sessions; `confidence`: their share of the
    sessions with the anchor; `lift`: confidence over the share of sessions with the item (null while unknown).
    """

    anchor: str
    pair_count: float
    support: float
    confidence: float
    lift: float | None


class SuggestedItem(msgspec.Struct, frozen=True):
    """One item of a suggestion; `rank` from 1."""

    item_id: str
    rank: int
    score: float
    evidence: Evidence


def choose(
    rows: Mapping[str, Row],
    candidates: Sequence[Candidate],
    items: Sequence[str],
    time_ms: int,
    parameters: Parameters,
) -> tuple[tuple[SuggestedItem, ...], str | None]:
    """Take the best candidates whose evidence is above the floor.

    Parameters
    ----------
    candidates : sequence of Candidate
        Best first, as from `models.ranking.rank`.
    items : sequence of str
        The session's items that the query started from.

    Returns
    -------
    chosen : tuple of SuggestedItem
        At most ``parameters.suggestions_max``.
    reason : str or None
        Why nothing was chosen, one of `REASONS`.
    """
    chosen: list[SuggestedItem] = []
    for candidate in candidates:
        evidence = pair_evidence(rows, candidate.anchor, candidate.item_id, time_ms, parameters)
        if evidence.pair_count >= parameters.pair_count_floor:
            chosen.append(SuggestedItem(candidate.item_id, len(chosen) + 1, round(candidate.score, 6), evidence))
            if len(chosen) == parameters.suggestions_max:
                break
    if chosen:
        return tuple(chosen), None
    if candidates:
        return (), WEAK_EVIDENCE
    if not items:
        return (), NO_ITEM
    has_neighbour = any(item in rows and rows[item].weights for item in items)
    return (), NOTHING_NEW if has_neighbour else UNKNOWN_ITEM


def pair_evidence(rows: Mapping[str, Row], anchor: str, other: str, time_ms: int, parameters: Parameters) -> Evidence:
    """Return the evidence for showing an item beside `anchor`, in whose row it must be a neighbour.

    Examples
    --------
    >>> from models.parameters import DEFAULTS
    >>> tea, cup, totals = Row(0, sessions=4.0, pairs={"cup": 3.0}), Row(0, sessions=5.0), Row(0, sessions=10.0)
    >>> rows = {"tea": tea, "cup": cup, TOTALS: totals}
    >>> pair_evidence(rows, "tea", "cup", 0, DEFAULTS)
    Evidence(anchor='tea', pair_count=3.0, support=0.3, confidence=0.75, lift=1.5)
    """

    def sessions(item: str) -> float:
        row = rows.get(item)
        return row.sessions / growth(time_ms, row.epoch, parameters.half_life_ms) if row else 0.0

    row = rows[anchor]
    pair_count = row.pairs[other] / growth(time_ms, row.epoch, parameters.half_life_ms)
    confidence = _share(pair_count, sessions(anchor))
    total = sessions(TOTALS)
    popularity = _share(sessions(other), total)
    return Evidence(
        anchor=anchor,
        pair_count=round(pair_count, 3),
        support=round(_share(pair_count, total), 6),
        confidence=round(confidence, 4),
        lift=round(confidence / popularity, 3) if popularity else None,
    )


def _share(part: float, whole: float) -> float:
    # Rows of different partitions are read at slightly different moments: a part may be ahead of its whole.
    return min(1.0, part / whole) if whole else 0.0
