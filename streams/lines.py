"""Published messages as lines for people: the one wording that `tail` and the demo share."""

from collections.abc import Callable
from typing import Final

import msgspec
from rich.text import Text

from models.attribution import Outcome
from models.ladder import SuggestedItem
from models.suggesting import Suggestion
from streams.wire import DeadLetter

__all__ = ["READABLE", "message_line", "outcome_line", "printable", "suggestion_line"]

_MOMENT_WIDTH: Final = 6
_STAGE_WIDTH: Final = 7
_MOMENT_STYLES: Final = {"browse": "cyan", "cart": "yellow", "order": "green"}
_STAGE_STYLES: Final = {"viewed": "cyan", "added": "yellow", "ordered": "green"}


class _Window(msgspec.Struct, frozen=True):
    moment: str
    window_start: int
    window_end: int
    suggestions: int
    empty: int
    viewed: int
    added: int
    ordered: int
    acceptance_rate: float | None
    revenue: dict[str, float]


def suggestion_line(suggestion: Suggestion) -> Text:
    """Write one suggestion: the moment, the anchor, then each item with its evidence, or the reason for none.

    Counts are sessions in which both were seen, decayed and rounded; ``with …`` names the session's item that an
    item goes with, where that is not the anchor, ``over …`` the item between.
    """
    moment = printable(suggestion.moment)
    line = Text(f"{moment:<{_MOMENT_WIDTH}} ", style=_MOMENT_STYLES.get(moment, ""))
    line.append(printable(suggestion.anchor or "(no item)"), style="default")
    line.append(" → ", style="dim")
    if not suggestion.items:
        return line.append(f"nothing: {printable(suggestion.reason or 'no reason given')}", style="dim")
    for place, item in enumerate(suggestion.items):
        line.append(", " if place else "", style="default")
        line.append(printable(item.item_id), style="bold default")
        line.append(f" ({_evidence(item, suggestion.anchor, is_first=place == 0)})", style="dim")
    return line


def outcome_line(outcome: Outcome) -> Text:
    """Write one outcome: what happened to a suggested item, how long after, and its value."""
    line = Text(f"{outcome.stage:<{_STAGE_WIDTH}} ", style=_STAGE_STYLES[outcome.stage])
    line.append(printable(outcome.item_id), style="bold default")
    since = f"suggested {outcome.seconds_since:.1f} s before, at {printable(outcome.moment)}, as number {outcome.rank}"
    line.append(f"  {since}", style="dim")
    if outcome.value is not None:
        line.append(f"  {outcome.value:.2f} {printable(outcome.currency or '')}".rstrip(), style="default")
    return line


def message_line(row: str, value: bytes) -> Text:
    """Write one message of an output topic.

    Parameters
    ----------
    row : str
        The topic's row in `streams.topics`, one of `READABLE`.
    value : bytes
        The message; one that is not what the topic should hold becomes a line that says so.
    """
    try:
        return READABLE[row](value)
    except msgspec.DecodeError as error:
        return Text(
            f"{row}: not a message of Sidecart ({error}): {printable(value[:80].decode(errors='replace'))}", "red"
        )


def _evidence(item: SuggestedItem, anchor: str | None, is_first: bool) -> str:
    evidence = item.evidence
    together = "seen together " if is_first else ""
    if evidence.via is not None:
        together = f"over {printable(evidence.via)} "
    elif evidence.source in ("category", "popular"):
        where = " in the category" if evidence.source == "category" else ""
        return f"popular{where}, {evidence.pair_count:.0f}×"
    elif evidence.anchor is not None and evidence.anchor != anchor:
        together = f"with {printable(evidence.anchor)} "
    lift = "" if evidence.lift is None else f", lift {evidence.lift:.1f}"
    return f"{together}{evidence.pair_count:.0f}×{lift}"


def _dead_letter_line(letter: DeadLetter) -> Text:
    line = Text(printable(letter.reason), style="red")
    line.append(f"  {printable(letter.detail)}", style="default")
    return line.append(f"  ({printable(letter.topic)} {letter.partition}:{letter.offset})", style="dim")


def _window_line(window: _Window) -> Text:
    seconds = (window.window_end - window.window_start) / 1000
    line = Text(f"{printable(window.moment):<{_MOMENT_WIDTH}} ", style=_MOMENT_STYLES.get(window.moment, ""))
    line.append(f"{seconds:.0f} s from {window.window_start}: ", style="dim")
    rate = "–" if window.acceptance_rate is None else f"{window.acceptance_rate:.1%}"
    revenue = "".join(f", {amount:.2f} {printable(currency)}" for currency, amount in window.revenue.items())
    return line.append(
        f"{window.suggestions} suggestions, {window.empty} empty; viewed {window.viewed}, added {window.added}, "
        f"ordered {window.ordered}; accepted {rate}{revenue}",
        style="default",
    )


def printable(text: str) -> str:
    """Replace what could steer a terminal: texts come from a shop's visitors."""
    return "".join(char if char.isprintable() else "�" for char in text)


#: How to read and write a message of each output topic.
READABLE: Final[dict[str, Callable[[bytes], Text]]] = {
    "suggestions": lambda value: suggestion_line(msgspec.json.decode(value, type=Suggestion)),
    "acceptance": lambda value: outcome_line(msgspec.json.decode(value, type=Outcome)),
    "acceptance-metrics": lambda value: _window_line(msgspec.json.decode(value, type=_Window)),
    "dead-letters": lambda value: _dead_letter_line(msgspec.json.decode(value, type=DeadLetter)),
}
