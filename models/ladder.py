"""What to show: the best candidates with enough evidence; else what is popular; else nothing, and why.

What is ranked stands first, with the best evidence that it has: the rows of the session's items, their neighbours'
rows, or that it is popular. The places left are filled with what is popular in the newest item's category, then with
what is popular over all. Each says in its evidence which of these it is.
"""

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

import msgspec

from models.evidence import Evidence, candidate_evidence, is_popular, popular_evidence
from models.parameters import Parameters
from models.rounding import rounded
from models.rows import Rows
from models.substitutes import is_rival

__all__ = ["REASONS", "Query", "SuggestedItem", "answer"]

#: No item in the session; no row for any of them; all neighbours already in the session; too little evidence for any
#: candidate; only rivals of what is in the cart.
NO_ITEM: Final = "no-item"
UNKNOWN_ITEM: Final = "unknown-item"
NOTHING_NEW: Final = "nothing-new"
WEAK_EVIDENCE: Final = "weak-evidence"
ONLY_RIVALS: Final = "only-rivals"
REASONS: Final = (NO_ITEM, UNKNOWN_ITEM, NOTHING_NEW, WEAK_EVIDENCE, ONLY_RIVALS)


class Query(NamedTuple):
    """A session that asks.

    Attributes
    ----------
    positions : list of (item, time in ms)
        Its distinct items, newest first (`models.ranking.distinct`).
    category : str or None
        The newest item's, as far as known.
    held : collection of str
        What is in the cart or bought: no rival of it is shown. Empty while the shopper browses.
    excluded : set of str
        What is never shown.
    time_ms, now_ms : int
        Event time of the query, and the newest event time, as of which counts are read.
    """

    positions: list[tuple[str, int]]
    category: str | None
    held: Collection[str]
    excluded: set[str]
    time_ms: int
    now_ms: int


class SuggestedItem(msgspec.Struct, frozen=True):
    """One item of a suggestion; `rank` from 1; `score` from the ranking, zero for what only fills a place."""

    item_id: str
    rank: int
    score: float
    evidence: Evidence


def answer(rows: Rows, query: Query, most: int, parameters: Parameters) -> tuple[tuple[SuggestedItem, ...], str | None]:
    """Return at most `most` items to show, best first, or none and why, one of `REASONS`."""
    candidates = rows.rank(query.positions, query.excluded, query.time_ms)
    chosen: list[SuggestedItem] = []
    has_rival = False

    def is_kept_back(item: str) -> bool:
        nonlocal has_rival
        rivals = any(is_rival(rows, item, held, query.now_ms, parameters) for held in query.held)
        has_rival |= rivals
        return rivals

    for candidate in candidates:
        if len(chosen) == most:
            break
        evidence = candidate_evidence(rows, candidate, query.now_ms, parameters)
        if evidence is not None and not is_kept_back(candidate.item_id):
            chosen.append(SuggestedItem(candidate.item_id, len(chosen) + 1, rounded(candidate.score, 6), evidence))
    if query.positions and len(chosen) < most:
        taken = query.excluded | {item.item_id for item in chosen}
        for item, anchor in _popular(rows, query, parameters):
            if len(chosen) == most:
                break
            if item not in taken and not is_kept_back(item):
                taken.add(item)
                evidence = popular_evidence(rows, item, anchor, query.now_ms)
                chosen.append(SuggestedItem(item, len(chosen) + 1, 0.0, evidence))
    if chosen:
        return tuple(chosen), None
    if not query.positions:
        return (), NO_ITEM
    if has_rival:
        return (), ONLY_RIVALS
    if candidates:
        return (), WEAK_EVIDENCE
    is_known = any(rows.has_neighbours(item) for item, _ in query.positions)
    return (), NOTHING_NEW if is_known else UNKNOWN_ITEM


def _popular(rows: Rows, query: Query, parameters: Parameters) -> Iterator[tuple[str, str | None]]:
    """Yield popular items with the anchor whose category they are of, None for those popular over all."""
    rungs: list[tuple[str | None, str | None]] = [(None, None)]
    if query.category is not None:
        rungs.insert(0, (query.category, query.positions[0][0]))
    for category, anchor in rungs:
        for item in rows.leaders(category):
            if not is_popular(rows, item, anchor, query.now_ms, parameters):
                break  # nor are those that follow, which fewer sessions met
            # An item may have changed its category since it was counted.
            if category is None or rows.category(item) == category:
                yield item, anchor
