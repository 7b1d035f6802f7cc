"""Acceptance by window: tallies of events folded into totals of tumbling event-time windows, by moment.

An outcome counts in the window in which it happens, under the moment of the suggestion that it judges.
"""

from collections.abc import Iterable, Mapping

import msgspec

from models.attribution import Outcome
from models.parameters import Parameters

__all__ = ["Tally", "Window", "WindowKey", "add", "metrics_message", "summed", "tallies", "window_start"]

#: Money is added in whole ten-thousandths of the currency's unit: sums do not depend on their order.
_MONEY_SCALE = 10_000
#: A sum stops here, in ten-thousandths, or a row with it could not be written.
_MONEY_MAX = 2**63 - 1

WindowKey = tuple[int, str]


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """What one event adds to the window (`start` in ms, `moment`); `revenue` in ten-thousandths by currency."""

    start: int
    moment: str
    suggestions: int = 0
    empty: int = 0
    viewed: int = 0
    added: int = 0
    ordered: int = 0
    accepted: int = 0
    revenue: tuple[tuple[str, int], ...] = ()


class Window(msgspec.Struct, array_like=True):
    """The totals of one window and moment; fields as in `Tally`."""

    suggestions: int = 0
    empty: int = 0
    viewed: int = 0
    added: int = 0
    ordered: int = 0
    accepted: int = 0
    revenue: dict[str, int] = msgspec.field(default_factory=dict)


class _Metrics(msgspec.Struct):
    window_start: int
    window_end: int
    moment: str
    suggestions: int
    empty: int
    viewed: int
    added: int
    ordered: int
    accepted: int
    acceptance_rate: float | None
    revenue: dict[str, float]
    revision: int


def window_start(time_ms: int, parameters: Parameters) -> int:
    """Return the start of the window that holds a time, in ms."""
    return time_ms - time_ms % parameters.kpi_window_ms


def tallies(time_ms: int, moment: str, is_empty: bool, outcomes: list[Outcome], parameters: Parameters) -> list[Tally]:
    """Return what one event with one suggestion and these outcomes adds: one tally for it, and one an outcome."""
    start = window_start(time_ms, parameters)
    result = [Tally(start, moment, suggestions=1, empty=int(is_empty))]
    for outcome in outcomes:
        revenue: tuple[tuple[str, int], ...] = ()
        if outcome.stage == "ordered" and outcome.value is not None:
            revenue = ((outcome.currency or "", round(outcome.value * _MONEY_SCALE)),)
        result.append(
            Tally(
                start,
                outcome.moment,
                viewed=int(outcome.stage == "viewed"),
                added=int(outcome.stage == "added"),
                ordered=int(outcome.stage == "ordered"),
                accepted=int(outcome.is_first),
                revenue=revenue,
            )
        )
    return result


def summed(tallies: Iterable[Tally]) -> list[Tally]:
    """Return one tally for each window, in ascending order.

    Examples
    --------
    >>> summed([Tally(0, "cart", suggestions=1), Tally(60_000, "cart", empty=1), Tally(0, "cart", viewed=1)])[0]
    Tally(start=0, moment='cart', suggestions=1, empty=0, viewed=1, added=0, ordered=0, accepted=0, revenue=())
    """
    windows: dict[WindowKey, Window] = {}
    for tally in tallies:
        add(windows.setdefault((tally.start, tally.moment), Window()), tally)
    return [
        Tally(
            start,
            moment,
            window.suggestions,
            window.empty,
            window.viewed,
            window.added,
            window.ordered,
            window.accepted,
            tuple(window.revenue.items()),
        )
        for (start, moment), window in sorted(windows.items(), key=lambda item: item[0])
    ]


def add(window: Window, tally: Tally) -> None:
    """Add a tally to the totals of its window, in place."""
    window.suggestions += tally.suggestions
    window.empty += tally.empty
    window.viewed += tally.viewed
    window.added += tally.added
    window.ordered += tally.ordered
    window.accepted += tally.accepted
    for currency, amount in tally.revenue:
        window.revenue[currency] = min(window.revenue.get(currency, 0) + amount, _MONEY_MAX)


def metrics_message(key: WindowKey, window: Window, revision: int, parameters: Parameters) -> Mapping[str, object]:
    """Return the message of `acceptance-metrics` for a window.

    `acceptance_rate` is accepted items over non-empty suggestions, null without any. A later message of the same
    window and moment has a higher `revision` and replaces the earlier one.
    """
    start, moment = key
    shown = window.suggestions - window.empty
    message = _Metrics(
        window_start=start,
        window_end=start + parameters.kpi_window_ms,
        moment=moment,
        suggestions=window.suggestions,
        empty=window.empty,
        viewed=window.viewed,
        added=window.added,
        ordered=window.ordered,
        accepted=window.accepted,
        acceptance_rate=round(window.accepted / shown, 6) if shown else None,
        revenue={currency: amount / _MONEY_SCALE for currency, amount in sorted(window.revenue.items())},
        revision=revision,
    )
    return msgspec.structs.asdict(message)
