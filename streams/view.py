"""The demo's view of what happens: panels on a terminal, plain lines elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.lines import outcome_line, suggestion_line
from streams.scoreboard import Scoreboard

__all__ = ["PlainView", "Status", "TerminalView", "View", "open_view", "render", "summary"]

_TERMINAL_INTERVAL_S: Final = 0.25
_PLAIN_INTERVAL_S: Final = 5.0
_PLAIN_SAMPLES: Final = 2
_HEADER_LINES: Final = 5
_TOTALS_LINES: Final = 7
_OUTCOME_LINES: Final = 7


@dataclass(frozen=True, slots=True)
class Status:
    """What a view says beside the totals; `elapsed_s` counts from the worker's readiness."""

    state: Literal["starting", "ready"]
    elapsed_s: float
    broker: str
    shop: str
    metrics_url: str
    log_file: str


class View(Protocol):
    """Something that shows the run; the caller refreshes it every `interval_s` seconds."""

    interval_s: float

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def refresh(self, board: Scoreboard, status: Status) -> None:
        """Show the run as it stands."""


class TerminalView:
    """The whole terminal, redrawn."""

    interval_s = _TERMINAL_INTERVAL_S

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def refresh(self, board: Scoreboard, status: Status) -> None:
        """Redraw."""
        self._live.update(render(board, status), refresh=True)


class PlainView:
    """A line of totals and a few suggestions now and then: for logs and pipes."""

    interval_s = _PLAIN_INTERVAL_S

    def __init__(self, console: Console) -> None:
        self._console = console
        self._samples_from = 0
        self._is_introduced = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def refresh(self, board: Scoreboard, status: Status) -> None:
        """Print what has come since the last time."""
        if not self._is_introduced:
            self._is_introduced = True
            self._print(Text(status.shop))
            self._print(Text(f"{status.broker}; metrics {status.metrics_url}; worker's log {status.log_file}"))
        if status.state == "starting":
            self._print(Text("starting the worker"))
            return
        self._print(Text(f"{status.elapsed_s:.0f} s: {_totals_line(board)}"))
        fresh = min(board.shown - self._samples_from, len(board.latest_suggestions))
        self._samples_from = board.shown
        samples = [suggestion for suggestion in board.latest_suggestions if suggestion.items]
        for suggestion in samples[-min(fresh, _PLAIN_SAMPLES) :] if fresh else ():
            self._print(Text("  ").append_text(suggestion_line(suggestion)))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def open_view(console: Console) -> View:
    """Return the view that suits the console."""
    return TerminalView(console) if console.is_terminal else PlainView(console)


def render(board: Scoreboard, status: Status) -> RenderableType:
    """Draw the whole view; it fits 100 columns and 30 rows and uses what more there is."""
    layout = Layout()
    layout.split_column(
        Layout(_header(status), size=_HEADER_LINES),
        Layout(_totals(board), size=_TOTALS_LINES),
        Layout(_Latest("suggestions", [suggestion_line(each) for each in board.latest_suggestions])),
        Layout(_Latest("outcomes", [outcome_line(each) for each in board.latest_outcomes]), size=_OUTCOME_LINES),
    )
    return layout


def summary(board: Scoreboard, status: Status) -> list[str]:
    """Say how the run went, in plain lines."""
    median, slowest = board.latency_ms(0.5), board.latency_ms(0.99)
    latency = "no suggestion received"
    if median is not None and slowest is not None:
        latency = f"median {median:.0f} ms, p99 {slowest:.0f} ms from event sent to suggestion received"
    rows = {
        "events sent": f"{board.sent.total()} ({_counts(board.sent.items())})",
        "suggestions": f"{board.suggestions}, {board.shown} with items; empty: {_counts(board.empty.items())}",
        "planted": _planted(board),
        "outcomes": f"{_counts(board.outcomes.items())}; revenue of ordered items {_revenue(board)}",
        "acceptance": f"{_percent(board.acceptance_rate)} (accepted items over suggestions with items)",
        "latency": latency,
        "dead letters": f"{board.dead_letters}",
        "metrics": status.metrics_url,
    }
    return [
        f"Sidecart demo, {status.elapsed_s:.0f} s. {status.shop}",
        *(f"  {name:<13} {text}" for name, text in rows.items()),
    ]


class _Latest:
    """A panel with as many of the latest lines as fit, the newest at the bottom."""

    def __init__(self, title: str, lines: list[Text]) -> None:
        self._title = title
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.max_height if options.height is None else options.height
        # Rich forgets the height on the way to what is yielded.
        yield _panel(self._title, self._lines[-max(1, height - 2) :], height)


def _panel(title: str, lines: Iterable[RenderableType], height: int | None = None) -> Panel:
    shown = list(lines)
    for line in shown:
        if isinstance(line, Text):
            line.no_wrap, line.overflow = True, "ellipsis"
    return Panel(Group(*shown), title=title, title_align="left", border_style="dim", padding=(0, 1), height=height)


def _header(status: Status) -> Panel:
    if status.state == "ready":
        state = Text("ready", "bold green").append(f" {status.elapsed_s:.0f} s", "default")
    else:
        state = Text("starting the worker", "bold yellow")
    return _panel(
        "Sidecart demo",
        [
            state.append(f"   {status.shop}", "dim"),
            Text(f"{status.broker}   metrics {status.metrics_url}"),
            Text(f"worker's log {status.log_file}   stop with Ctrl-C", style="dim"),
        ],
    )


def _totals(board: Scoreboard) -> Panel:
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    median, slowest = board.latency_ms(0.5), board.latency_ms(0.99)
    latency = "" if median is None or slowest is None else f"   after {median:.0f} ms (median), {slowest:.0f} ms (p99)"
    grid.add_row("events sent", f"{board.sent.total()}   {_counts(board.sent.items())}")
    grid.add_row("suggestions", f"{board.suggestions}{latency}   empty: {_counts(board.empty.items())}")
    grid.add_row("planted", _planted(board))
    grid.add_row("outcomes", f"{_counts(board.outcomes.items())}   acceptance {_percent(board.acceptance_rate)}")
    grid.add_row("accepted", f"{_revenue(board)} ordered   dead letters {board.dead_letters}")
    return _panel("totals", [grid])


def _totals_line(board: Scoreboard) -> str:
    return (
        f"sent {board.sent.total()}; suggestions {board.suggestions}, {board.shown} with items, "
        f"{_percent(board.planted_share)} planted complements; {_counts(board.outcomes.items())}, acceptance "
        f"{_percent(board.acceptance_rate)}, revenue {_revenue(board)}; dead letters {board.dead_letters}"
    )


def _counts(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(pairs, key=lambda pair: -pair[1])) or "none"


def _planted(board: Scoreboard) -> str:
    return (
        f"{_percent(board.planted_share)} of items, {_percent(board.planted_first_share)} of first ranks are planted "
        f"complements ({_percent(board.chance_share)} by blind choice)"
    )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _revenue(board: Scoreboard) -> str:
    return ", ".join(f"{amount:.2f} {currency}".rstrip() for currency, amount in board.revenue.items()) or "none"
