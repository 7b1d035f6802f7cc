"""The demo's view fits 100 × 30 on a terminal and becomes plain lines elsewhere."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from models.attribution import Outcome
from models.evidence import Evidence
from models.ladder import SuggestedItem
from models.suggesting import Suggestion
from streams.scoreboard import Scoreboard
from streams.view import PlainView, Status, TerminalView, open_view, render, summary

STARTING = Status(
    "starting", 0.0, "broker embedded at 127.0.0.1:9092", "Simulated.", "http://127.0.0.1:1/metrics", "w.log"
)
READY = replace(STARTING, state="ready", elapsed_s=12.3)


def filled_board(suggestions: int = 50) -> Scoreboard:
    board = Scoreboard({"coffee-grinder": frozenset({"filter-papers"})}, chance_share=0.023)
    for number in range(suggestions):
        evidence = Evidence("pair", "coffee-grinder", None, 17.0, 0.1, 0.2, 4.1)
        items = tuple(
            SuggestedItem(name, rank + 1, 1.0, evidence) for rank, name in enumerate(("filter-papers", "wok"))
        )
        board.add_sent("browse", f"e{number}", 1.0)
        board.add_suggestion(
            Suggestion(f"q{number}", f"e{number}", f"s{number}", 0, "cart", "coffee-grinder", items, None), 1.045
        )
    board.add_sent("orders", "e-last", 1.0)
    board.add_suggestion(Suggestion("q-last", "e-last", "s", 0, "order", None, (), "no-item"), 1.045)
    board.add_outcome(Outcome("o1", "q1", "s1", "wok", 2, "ordered", "cart", 0, 3.0, 45.0, "EUR", True))
    return board


def plain_console() -> Console:
    return Console(file=io.StringIO(), width=100, force_terminal=False)


def written(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("board", [Scoreboard({}, 0.02), filled_board()], ids=["empty", "filled"])
@pytest.mark.parametrize("status", [STARTING, READY], ids=["starting", "ready"])
def test_terminal_view_fills_100_by_30_exactly(board: Scoreboard, status: Status) -> None:
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True, color_system=None)
    console.print(render(board, status), end="")
    lines = written(console)
    assert len(lines) == 30
    assert {len(line.rstrip()) for line in lines} == {100}


def test_terminal_view_shows_the_latest_suggestions_and_cuts_long_lines() -> None:
    console = Console(file=io.StringIO(), width=60, height=30, force_terminal=True, color_system=None)
    console.print(render(filled_board(), READY))
    shown = [line for line in written(console) if "coffee-grinder →" in line]
    assert len(shown) == 8
    assert all("…" in line for line in shown)
    assert any("order  (no item) → nothing: no-item" in line for line in written(console))


def test_plain_view_prints_totals_and_at_most_two_fresh_suggestions() -> None:
    console, board = plain_console(), filled_board()
    with PlainView(console) as view:
        view.refresh(board, READY)
        first = written(console)
        view.refresh(board, READY)
    assert first[2] == (
        "12 s: sent 51; suggestions 51, 50 with items, 50% planted complements; ordered 1, acceptance 2%, "
        "revenue 45.00 EUR; dead letters 0"
    )
    assert (
        first[3:]
        == [
            "  cart   coffee-grinder → filter-papers (seen together 17×, lift 4.1), wok (17×, lift 4.1)",
        ]
        * 2
    )
    assert written(console)[5:] == [first[2]]


def test_plain_view_introduces_itself_once() -> None:
    console = plain_console()
    with PlainView(console) as view:
        for _ in range(2):
            view.refresh(Scoreboard({}, 0.02), STARTING)
    assert written(console) == [
        "Simulated.",
        "broker embedded at 127.0.0.1:9092; metrics http://127.0.0.1:1/metrics; worker's log w.log",
        "starting the worker",
        "starting the worker",
    ]


def test_view_suits_the_console() -> None:
    assert isinstance(open_view(plain_console()), PlainView)
    assert isinstance(open_view(Console(file=io.StringIO(), force_terminal=True)), TerminalView)


def test_summary_says_everything_in_plain_lines() -> None:
    assert summary(filled_board(), READY) == [
        "Sidecart demo, 12 s. Simulated.",
        "  events sent   51 (browse 50, orders 1)",
        "  suggestions   51, 50 with items; empty: no-item 1",
        "  planted       50% of items, 100% of first ranks are planted complements (2% by blind choice)",
        "  outcomes      ordered 1; revenue of ordered items 45.00 EUR",
        "  acceptance    2% (accepted items over suggestions with items)",
        "  latency       median 45 ms, p99 45 ms from event sent to suggestion received",
        "  dead letters  0",
        "  metrics       http://127.0.0.1:1/metrics",
    ]


def test_summary_of_a_run_without_suggestions() -> None:
    lines = summary(Scoreboard({}, 0.02), READY)
    assert lines[3].startswith("  planted       – of items")
    assert lines[6] == "  latency       no suggestion received"
