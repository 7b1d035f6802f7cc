"""Take the n best of scored items."""

from collections.abc import Collection, Mapping
from heapq import nlargest

__all__ = ["top_n"]


def top_n(scores: Mapping[str, float], n: int, excluded: Collection[str]) -> list[str]:
    """Return the n items of greatest score, best first, without the excluded; ties by item id.

    Examples
    --------
    >>> top_n({"tea": 1.0, "pot": 2.0, "cup": 2.0, "jug": 9.0}, 2, {"jug"})
    ['cup', 'pot']
    """
    barred = frozenset(excluded)
    # Only what can be among the n best is sorted: lists are short, the scored items many.
    floor = min(nlargest(n + len(barred), scores.values()), default=0.0)
    ranked = sorted((-score, item) for item, score in scores.items() if score >= floor and item not in barred)
    return [item for _, item in ranked[:n]]
