"""Rivals: an item that a shopper would take instead of another, not with it."""

from models.confidence import lower_bound
from models.parameters import Parameters
from models.rows import Rows

__all__ = ["comparisons", "is_rival"]


def is_rival(rows: Rows, item: str, held: str, time_ms: int, parameters: Parameters) -> bool:
    """Tell whether `item` is a rival of `held`, an item in the cart or just ordered.

    Where both have a category, rivals share it. Else timing tells: with 95 % confidence most sessions that met both
    compared them (`models.pairs`), by the row of either.

    Examples
    --------
    >>> from models.cooccurrence import Row
    >>> from models.parameters import DEFAULTS
    >>> from models.rows import PlainRows
    >>> rows = PlainRows(DEFAULTS)
    >>> rows.update({item: Row(0, category="tea") for item in ("green", "black")})
    >>> rows["cup"] = Row(0, weights={"mug": 1.0}, pairs={"mug": 9.0}, comparisons={"mug": 8.0})
    >>> is_rival(rows, "green", "black", 0, DEFAULTS), is_rival(rows, "mug", "cup", 0, DEFAULTS)
    (True, True)
    """
    category, held_category = rows.category(item), rows.category(held)
    if category is not None and held_category is not None:
        return category == held_category
    return any(
        lower_bound(compared, met, parameters.confidence_z) > parameters.rival_share
        for met, compared in comparisons(rows, item, held, time_ms)
    )


def comparisons(rows: Rows, item: str, held: str, time_ms: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return in how many sessions two items met, and how often they were compared, by the row of either."""
    return rows.pair(held, item, time_ms), rows.pair(item, held, time_ms)
