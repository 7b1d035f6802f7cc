"""An evaluation as tables for a terminal, one row a model, the best of each column in bold.

One table a protocol; below it the hit rates by moment and by category, where there is more than one moment or any
category; and last, where it was looked at, what it does to keep back the rivals of what is in the cart.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from models.evaluation.rivalry import RivalEffect
from models.evaluation.summary import PROTOCOLS, Figures, Summary

__all__ = ["evaluation_table"]

_UNKNOWN: Final = "–"
_TITLES: Final = {
    "frozen": "frozen (learns the train part only)",
    "prequential": "prequential (asked, then taught)",
}


class _Column(NamedTuple):
    """A figure, of one moment if so said: `best` picks the best of several, None where none is better than another."""

    header: str
    figure: str
    form: str
    best: Callable[[Iterable[float]], float] | None
    has_interval: bool = False
    moment: str | None = None


_BY_CATEGORY: Final = (
    _Column("category\nHR@4", "category_hr@4", ".3f", max),
    _Column("category\nHR@20", "category_hr@20", ".3f", max),
)

_COLUMNS: Final = (
    _Column("HR@4", "hr@4", ".3f", max),
    _Column("HR@20", "hr@20", ".3f", max, has_interval=True),
    _Column("MRR@20", "mrr@20", ".3f", max, has_interval=True),
    _Column("NDCG\n@20", "ndcg@20", ".3f", max),
    _Column("cover-\nage", "coverage", ".1%", max),
    _Column("ab-\nstained", "abstained", ".1%", min),
    _Column("query\nµs", "query_us", ",.0f", min),
    _Column("popu-\nlarity", "popularity", ".3f", None),
    _Column("learn\nµs", "learn_us", ",.1f", min),
    _Column("bytes/\nitem", "bytes_per_item", ",.0f", min),
)

#: Wider than any table: a measure of what it would take.
_UNBOUNDED: Final = 10_000

#: Columns that stay however narrow the terminal is.
_KEPT: Final = 3


def evaluation_table(summary: Summary) -> RenderableType:
    """Draw the tables of all protocols that were run, one after the other, and a note on how to read them.

    Models stand in the order of their HR@20, best first. A column without any known figure is left out, and so are
    the last columns where the terminal is too narrow for them; the note names these.
    """
    return _Tables(summary)


class _Tables:
    """Fits itself to the width that it is given: a cut number would mislead."""

    def __init__(self, summary: Summary) -> None:
        self._summary = summary

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        panels = {protocol: models for protocol in PROTOCOLS if (models := self._summary.get(protocol))}
        known = [column for column in _COLUMNS if any(_is_known(column, models) for models in panels.values())]
        columns = known
        unbounded = options.update(width=_UNBOUNDED)
        while len(columns) > _KEPT and any(
            Measurement.get(console, unbounded, _table(models, columns)).maximum > options.max_width
            for models in panels.values()
        ):
            columns = columns[:-1]
        for protocol, models in panels.items():
            title = f"{self._summary['dataset']}, target {self._summary['target']}, {_TITLES[protocol]}"
            yield Text(f"{title}, {_queries(models)} queries", "bold")
            yield _table(models, columns)
            if details := _details(models):
                yield Text(f"hit rate by {_divisions(models, details)}")
                yield _table(models, details)
        for protocol, all_effects in self._summary.get("rivals", {}).items():
            effects = {moment: effect for moment, effect in all_effects.items() if effect["offered"]["queries"]}
            if not effects:
                continue
            yield Text(f"rivals of what is in the cart, {_TITLES[protocol]}", "bold")
            yield _rivals(effects)
        note = "± half the width of the 95 % interval, sessions redrawn; bold: the best; –: unknown"
        if left_out := known[len(columns) :]:
            note += f"; too narrow for {', '.join(column.figure for column in left_out)}"
        yield Text(note, "dim")


def _table(models: Mapping[str, Figures], columns: Sequence[_Column]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True, vertical="bottom")
    rows = sorted(models.items(), key=lambda row: (-(row[1]["hr@20"] or 0.0), row[0]))
    cells = [[Text(model)] for model, _ in rows]
    for column in columns:
        values = [_value(figures, column) for _, figures in rows]
        table.add_column(column.header, justify="right", no_wrap=True)
        shown = [_shown(value, column.form) for value in values]
        best = _best(values, shown, column.best)
        for row, (_, figures), text in zip(cells, rows, shown, strict=True):
            cell = Text().append(text, "bold" if text == best else "")
            row.append(cell.append(_margin(figures, column), "dim"))
    for row in cells:
        table.add_row(*row)
    return table


def _details(models: Mapping[str, Figures]) -> list[_Column]:
    """Return the columns by moment, if there is more than one, and by category, if any is known."""
    moments = _moments(models)
    columns = [
        _Column(f"{moment}\n{header}", figure, ".3f", max, moment=moment)
        for moment in (moments if len(moments) > 1 else ())
        for header, figure in (("HR@4", "hr@4"), ("HR@20", "hr@20"))
    ]
    return columns + [column for column in _BY_CATEGORY if _is_known(column, models)]


def _moments(models: Mapping[str, Figures]) -> dict[str, int]:
    """Return how many queries there were at each moment that had any."""
    moments: dict[str, int] = {}
    for figures in models.values():
        for moment, parts in figures["moments"].items():
            if parts["queries"]:
                moments[moment] = max(parts["queries"], moments.get(moment, 0))
    return moments


def _divisions(models: Mapping[str, Figures], details: Sequence[_Column]) -> str:
    words = []
    if details[0].moment is not None:
        counts = ", ".join(f"{moment} {queries:,}" for moment, queries in _moments(models).items())
        words.append(f"the moment of the question ({counts} queries)")
    if details[-1].moment is None:
        words.append("the target's category")
    return " and ".join(words)


def _rivals(effects: Mapping[str, RivalEffect]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("moment", no_wrap=True, vertical="bottom")
    table.add_column("rivals", no_wrap=True, vertical="bottom")
    for header in ("queries", "same\ncateg.", "com-\npared", "HR@4", "HR@20", "cat.\nHR@4", "cat.\nHR@20", "empty"):
        table.add_column(header, justify="right", no_wrap=True)
    for moment, effect in effects.items():
        for name, figures in (("offered", effect["offered"]), ("kept back", effect["kept_back"])):
            table.add_row(
                moment,
                name,
                f"{figures['queries']:,}",
                *(_shown(figures[share], ".1%") for share in ("same_category@4", "compared@4")),
                *(_shown(figures[rate], ".3f") for rate in ("hr@4", "hr@20", "category_hr@4", "category_hr@20")),
                f"{figures['empty']:,}",
            )
    return table


def _shown(value: float | None, form: str) -> str:
    return _UNKNOWN if value is None else format(value, form)


def _value(figures: Figures, column: _Column) -> float | None:
    if column.moment is None:
        value = figures.get(column.figure)
    else:
        parts = figures["moments"].get(column.moment)
        value = None if parts is None else parts.get(column.figure)
    return value if isinstance(value, int | float) else None


def _is_known(column: _Column, models: Mapping[str, Figures]) -> bool:
    return any(_value(figures, column) is not None for figures in models.values())


def _best(
    values: Sequence[float | None], shown: Sequence[str], best: Callable[[Iterable[float]], float] | None
) -> str | None:
    """Return the best figure as it is shown, so that what looks equal is bold together; None if all look equal."""
    if best is None or len(set(shown)) < 2:
        return None
    return shown[values.index(best(value for value in values if value is not None))]


def _margin(figures: Figures, column: _Column) -> str:
    ends = figures.get(f"{column.figure}_ci")
    if not column.has_interval or not isinstance(ends, list):
        return ""
    low, high = ends
    return f" ±{(high - low) / 2:.3f}".replace("±0.", "±.")


def _queries(models: Mapping[str, Figures]) -> str:
    """Say how many queries there were: as a rule the same for all models."""
    counts = sorted({figures["queries"] for figures in models.values()})
    return " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
