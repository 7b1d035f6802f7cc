"""An evaluation as a picture: hit rate and reciprocal rank of each model with 95 % intervals, one panel a protocol.

matplotlib is imported on use: it takes half a second and makes itself a folder.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from models.evaluation.summary import PROTOCOLS, Figures, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["evaluation_figure", "write_plot"]

#: 8 inches of 150 dots: 1200 pixels.
_WIDTH_IN: Final = 8.0
_DPI: Final = 150
_ROW_IN: Final = 0.5
#: Title, panel titles, axis, legend and note.
_FRAME_IN: Final = 1.6
_INK: Final = "#222222"
_FAINT: Final = "#6b6b6b"
_LINE: Final = "#d9d9d9"
_STRIPE: Final = "#f5f5f5"
_TITLES: Final = {
    "frozen": "frozen: learns the train part only",
    "prequential": "prequential: asked, then taught",
}
#: Inches right of the highest value for its label; and left of 0, so that no dot is cut.
_LABEL_IN: Final = 0.85
_LEFT_IN: Final = 0.05
#: About what the names of the models take.
_NAMES_IN: Final = 1.3


class _Series(NamedTuple):
    """A figure and how it is drawn; `shift` in rows, downwards."""

    figure: str
    label: str
    color: str
    marker: str
    shift: float


#: Colours that the colour-blind can tell apart (Okabe and Ito 2008), and markers for print without any.
_SERIES: Final = (
    _Series("hr@20", "HR@20", "#0072B2", "o", -0.26),
    _Series("hr@4", "HR@4", "#009E73", "D", 0.0),
    _Series("mrr@20", "MRR@20", "#D55E00", "s", 0.26),
)


def write_plot(summary: Summary, path: Path) -> None:
    """Write the picture as a PNG, 1200 pixels wide."""
    # Without the version of matplotlib, the same figures give the same bytes under any.
    evaluation_figure(summary).savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


def evaluation_figure(summary: Summary) -> "Figure":
    """Draw the picture: a dot with its interval for each of HR@20, HR@4 and MRR@20.

    Models stand in the order of their HR@20, best first, under the first protocol that was run; those that only
    another protocol has come after them. A figure that is not known is left out.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels = {protocol: models for protocol in PROTOCOLS if (models := summary.get(protocol))}
    all_models = list(panels.values())
    order = _order(all_models)
    height_in = _FRAME_IN + _ROW_IN * len(order)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08, wspace=0.06)
    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout=layout, facecolor="white")
    title = f"{summary['dataset']}, target {summary['target']}"
    figure.suptitle(title, x=0.0125, ha="left", fontsize=12, weight="bold", color=_INK)
    if not panels:
        return figure
    all_axes = figure.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (protocol, models) in zip(all_axes, panels.items(), strict=True):
        _draw(axes, models, order)
        axes.set_title(_TITLES[protocol], loc="left", fontsize=9.5, color=_INK)
    all_axes[0].set_yticks(range(len(order)), order)
    all_axes[0].set_ylim(len(order) - 0.5, -0.5)
    all_axes[0].set_xlim(*_limits(all_models))
    handles, labels = all_axes[0].get_legend_handles_labels()
    legend = figure.legend(
        handles,
        labels,
        title=_note(all_models),
        loc="outside lower center",
        ncols=len(_SERIES),
        frameon=False,
        fontsize=9,
        title_fontsize=8,
    )
    legend.get_title().set_color(_FAINT)
    return figure


def _order(panels: Sequence[Mapping[str, Figures]]) -> list[str]:
    ranked = (sorted(models, key=lambda model: (-(models[model]["hr@20"] or 0.0), model)) for models in panels)
    return list(dict.fromkeys(model for models in ranked for model in models))


def _draw(axes: "Axes", models: Mapping[str, Figures], order: Sequence[str]) -> None:
    for row in range(0, len(order), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=_STRIPE, linewidth=0, zorder=0)
    axes.grid(axis="x", color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.locator_params(axis="x", nbins=6)
    axes.tick_params(axis="x", labelsize=8.5, color=_LINE, labelcolor=_FAINT)
    axes.tick_params(axis="y", labelsize=9.5, length=0, labelcolor=_INK)
    for row, model in enumerate(order):
        if model not in models:
            axes.text(0.0, row, "  not run", va="center", fontsize=7.5, color=_FAINT)
    for series in _SERIES:
        points = [(row, *point) for row, model in enumerate(order) if (point := _point(models.get(model), series))]
        axes.errorbar(
            [value for _, value, _, _ in points],
            [row + series.shift for row, _, _, _ in points],
            xerr=[[value - low for _, value, low, _ in points], [high - value for _, value, _, high in points]],
            fmt=series.marker,
            color=series.color,
            markersize=4,
            elinewidth=1.4,
            capsize=2.0,
            label=series.label,
        )
        for row, value, low, high in points:
            axes.annotate(
                f"{value:.3f} ±{(high - low) / 2:.3f}".replace("±0.", "±."),
                (high, row + series.shift),
                xytext=(5, 0),
                textcoords="offset points",
                va="center_baseline",
                fontsize=7.5,
                color=series.color,
            )


def _point(figures: Figures | None, series: _Series) -> tuple[float, float, float] | None:
    """Return a figure and the ends of its interval; the figure itself where there is none."""
    if figures is None:
        return None
    value, ends = figures.get(series.figure), figures.get(f"{series.figure}_ci")
    if not isinstance(value, int | float):
        return None
    # An interval of percentiles may, in a few sessions, leave out the figure: its bar then begins at the dot.
    return (value, min(value, ends[0]), max(value, ends[1])) if isinstance(ends, list) else (value, value, value)


def _limits(panels: Sequence[Mapping[str, Figures]]) -> tuple[float, float]:
    """Return the ends of the axis that leave room for the dot at 0 and the label of the highest one."""
    points = [_point(figures, series) for models in panels for figures in models.values() for series in _SERIES]
    highest = max((point[2] for point in points if point), default=0.0) or 1.0
    panel_in = (_WIDTH_IN - _NAMES_IN) / len(panels)
    unit = highest / (panel_in - _LABEL_IN - _LEFT_IN)
    return -_LEFT_IN * unit, highest + _LABEL_IN * unit


def _note(panels: Sequence[Mapping[str, Figures]]) -> str:
    counts = sorted({figures["queries"] for models in panels for figures in models.values()})
    queries = " to ".join(f"{count:,}" for count in dict.fromkeys(counts[:1] + counts[-1:])) or "no"
    return f"{queries} queries; ± half the width of the 95 % interval, sessions redrawn"
