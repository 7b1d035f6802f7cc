"""What a search for parameters found, for people: the parameters, the figures on both halves, and the verdict."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.evaluation.summary import Comparison
from models.evaluation.tuning import Figures, Verdict
from models.parameters import DEFAULTS
from models.tunable import TUNABLES

__all__ = ["gain", "tuning_table", "verdict_sentence"]

_UNKNOWN = "–"


def tuning_table(title: str, verdict: Verdict) -> RenderableType:
    """Return both tables; a parameter that stays as it is stands dim."""
    return Group(Text(title, "bold"), _parameters(verdict), _figures(verdict))


def verdict_sentence(verdict: Verdict) -> str:
    """Say whether to use the tuned parameters, and why."""
    if verdict.tuned == DEFAULTS:
        return "The defaults are as good: no trial was better on the sessions to choose by."
    shown = f"on {verdict.queries:,} queries that no trial had seen, they gain {gain(verdict.gain)}"
    if verdict.is_better:
        return f"Use the tuned parameters: {shown}."
    return f"Keep the defaults, the tuned parameters are not surely better: {shown}."


def gain(comparison: Comparison) -> str:
    """Return how much more a figure is than that of the defaults, with the 95 % interval.

    Examples
    --------
    >>> gain(Comparison(1.0132, (1.0021, 1.0249)))
    '+1.3 % (95 %: +0.2 to +2.5)'
    """
    if comparison.ratio is None:
        return _UNKNOWN
    text = f"{comparison.ratio - 1:+.1%}".replace("%", " %")
    if comparison.interval is None:
        return text
    low, high = (100 * (end - 1) for end in comparison.interval)
    return f"{text} (95 %: {low:+.1f} to {high:+.1f})"


def _parameters(verdict: Verdict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("parameter", no_wrap=True)
    for name in ("default", "tuned"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for tunable in TUNABLES:
        default, tuned = tunable.shown(DEFAULTS), tunable.shown(verdict.tuned)
        row = (f"{default:,.6g}", f"{tuned:,.6g}" if tuned != default else "same", tunable.unit)
        table.add_row(tunable.name, *row, style="" if tuned != default else "dim")
    return table


def _figures(verdict: Verdict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("sessions", no_wrap=True)
    for name in ("HR@20", "tuned", "MRR@20", "tuned"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("gain in HR@20, in MRR@20", no_wrap=True)
    plain = ", ".join(f"{ratio - 1:+.1%}".replace("%", " %") for ratio in _ratios(verdict.choose, verdict.tuned_choose))
    confirmed = ", ".join(gain(verdict.comparisons[name]) for name in ("hr@20", "mrr@20"))
    table.add_row("to choose by", *_pairs(verdict.choose, verdict.tuned_choose), plain)
    table.add_row("to confirm", *_pairs(verdict.confirm, verdict.tuned_confirm), confirmed)
    return table


def _pairs(default: Figures, tuned: Figures) -> list[str]:
    return [f"{value:.3f}" for pair in zip(default, tuned, strict=True) for value in pair]


def _ratios(default: Figures, tuned: Figures) -> list[float]:
    return [ours / theirs for ours, theirs in zip(tuned, default, strict=True)]
