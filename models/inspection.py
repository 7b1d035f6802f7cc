"""What has been learnt about one item, for people: its row, and each neighbour with its evidence."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from heapq import nlargest

import msgspec

from models.decay import growth
from models.evidence import Evidence, pair_evidence
from models.parameters import Parameters
from models.rows import Rows

__all__ = ["ItemReport", "Neighbour", "close_ids", "inspect_item"]

#: Ids that are compared in full, and the share of characters in common, as difflib counts it, that is much alike.
_JUDGED = 200
_LIKE = 0.6


class Neighbour(msgspec.Struct, frozen=True):
    """One neighbour of an item: the weight that ranking starts from, and the evidence for showing it."""

    item_id: str
    weight: float
    evidence: Evidence


class ItemReport(msgspec.Struct, frozen=True):
    """The row of one item, decayed to `time` (epoch ms).

    `sessions` and `events` count the item's own arrivals; `mass` is the sum of all weights; `neighbours` are the
    heaviest of `neighbour_count`, heaviest first.
    """

    item_id: str
    time: int
    sessions: float
    events: float
    mass: float
    neighbour_count: int
    neighbours: tuple[Neighbour, ...]


def inspect_item(rows: Rows, item: str, top: int, time_ms: int, parameters: Parameters) -> ItemReport:
    """Report on an item that has a row.

    Parameters
    ----------
    rows : Rows
        At least the rows of the item, of its neighbours, and of all sessions (`models.cooccurrence.TOTALS`).
    top : int
        Neighbours to report on, at most; of equal weight the one with the smaller id comes first.

    Examples
    --------
    >>> from models.cooccurrence import Row
    >>> from models.parameters import DEFAULTS
    >>> from models.rows import PlainRows
    >>> rows = PlainRows(DEFAULTS)
    >>> rows["tea"] = Row(0, 0.7, 4.0, 3.0, {"pot": 0.2, "cup": 0.5}, {"pot": 1.0, "cup": 1.0})
    >>> report = inspect_item(rows, "tea", 20, DEFAULTS.half_life_ms, DEFAULTS)
    >>> report.sessions, report.events, report.mass
    (1.5, 2.0, 0.35)
    >>> [(neighbour.item_id, neighbour.weight) for neighbour in report.neighbours]
    [('cup', 0.25), ('pot', 0.1)]
    """
    row = rows[item]
    grown = growth(time_ms, row.epoch, parameters.half_life_ms)
    heaviest = sorted(row.weights.items(), key=lambda pair: (-pair[1], pair[0]))[:top]
    return ItemReport(
        item_id=item,
        time=time_ms,
        sessions=round(row.sessions / grown, 3),
        events=round(row.events / grown, 3),
        mass=round(row.mass / grown, 6),
        neighbour_count=len(row.weights),
        neighbours=tuple(
            Neighbour(other, round(weight / grown, 6), pair_evidence(rows, item, other, time_ms))
            for other, weight in heaviest
        ),
    )


def close_ids(item: str, ids: Iterable[str], count: int = 5) -> list[str]:
    """Return ids that may have been meant, regardless of case: those that contain `item`, then those much like it.

    Examples
    --------
    >>> close_ids("TEA-1", ["tea-12", "green-tea-1", "tae-1", "tea-2", "coffee-1", "cup"])
    ['tea-12', 'green-tea-1', 'tea-2', 'tae-1']
    """
    meant = item.casefold()
    known = set(ids)
    containing = sorted((each for each in known if meant in each.casefold()), key=lambda each: (len(each), each))
    # difflib takes a minute for a million ids: it judges those that begin and end most like `item`.
    nearest = nlargest(_JUDGED, known.difference(containing), key=lambda each: (_ends_shared(meant, each), each))
    likeness = {each: SequenceMatcher(None, each.casefold(), meant).ratio() for each in nearest}
    similar = sorted(
        (each for each in nearest if likeness[each] >= _LIKE),
        key=lambda each: (-likeness[each], -_ends_shared(meant, each), each),
    )
    return [*containing, *similar][:count]


def _ends_shared(meant: str, candidate: str) -> int:
    """Return how many characters two texts have in common at the beginning and at the end."""
    folded = candidate.casefold()
    return _beginning_shared(meant, folded) + _beginning_shared(meant[::-1], folded[::-1])


def _beginning_shared(left: str, right: str) -> int:
    for place, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return place
    return min(len(left), len(right))
