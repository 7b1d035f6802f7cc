"""A bench as a picture: CPU an event of each system above, waits at each rate below."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from results import Report
from systems import SYSTEMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bench_figure", "write_plot"]

#: 8 inches of 150 dots: 1200 pixels.
_WIDTH_IN: Final = 8.0
_DPI: Final = 150
#: Colours that the colour-blind can tell apart (Okabe and Ito 2008).
_OURS: Final = "#0072B2"
_HOP: Final = "#E69F00"
_OTHERS: Final = "#9a9a9a"
_INK: Final = "#222222"
_FAINT: Final = "#6b6b6b"
_LINE: Final = "#d9d9d9"


def write_plot(report: Report, path: Path) -> None:
    """Write the picture as a PNG, 1200 pixels wide."""
    # Without the version of matplotlib, the same figures give the same bytes under any.
    bench_figure(report).savefig(path, format="png", dpi=_DPI, metadata={"Software": None})


def bench_figure(report: Report) -> "Figure":
    """Draw a panel for the systems and one for the waits, each only if there is something in it."""
    from matplotlib.figure import Figure

    panels = [(_draw_systems, 0.45 * len(report["systems"]) + 0.9)] if report["systems"] else []
    panels += [(_draw_latency, 2.6)] if report["latency"] else []
    heights = [height for _, height in panels] or [1.0]
    figure = Figure(figsize=(_WIDTH_IN, sum(heights) + 0.9), dpi=_DPI, layout="constrained", facecolor="white")
    figure.suptitle("Sidecart beside other ways to do it", x=0.0125, ha="left", fontsize=12, weight="bold", color=_INK)
    if panels:
        all_axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (draw, _) in zip(all_axes, panels, strict=True):
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(_LINE)
            axes.tick_params(labelsize=8.5, color=_LINE, labelcolor=_INK)
            draw(axes, report)
    figure.supxlabel(f"{report['broker']}; {report['machine']}", x=0.0125, ha="left", fontsize=7.5, color=_FAINT)
    return figure


def _draw_systems(axes: "Axes", report: Report) -> None:
    rows = sorted(report["systems"].items(), key=lambda row: row[1]["cpu_us_per_event"])
    costs = [figures["cpu_us_per_event"] for _, figures in rows]
    bars = axes.barh(
        range(len(rows)), costs, color=[_OURS if name == "sidecart" else _OTHERS for name, _ in rows], height=0.62
    )
    labels = [
        f"{figures['cpu_us_per_event']:,.1f} µs, {figures['events_per_s']:,.0f}/s{', durable' * figures['durable']}"
        for _, figures in rows
    ]
    axes.bar_label(bars, labels, padding=4, fontsize=8, color=_FAINT)
    axes.set_yticks(range(len(rows)), [f"{name}\n{SYSTEMS[name].about}" for name, _ in rows], fontsize=7.5)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(max(1.0, min(costs) / 2), max(costs) * 12)
    axes.set_title("CPU time of the process, µs an event (log scale; shorter is better)", loc="left", fontsize=9.5)


def _draw_latency(axes: "Axes", report: Report) -> None:
    rates = list(report["latency"].values())
    series = (
        ("whole path", _OURS, "p50_ms", "p99_ms", -0.2),
        ("bare hop", _HOP, "hop_p50_ms", "hop_p99_ms", 0.2),
    )
    for label, color, half, most, shift in series:
        places = [at + shift for at in range(len(rates))]
        # A rate at which nothing came back has no bar.
        lengths = [figures[most] or 0.0 for figures in rates]
        bars = axes.bar(places, lengths, width=0.36, color=color, alpha=0.35, label=f"{label}, p99")
        axes.bar_label(bars, [f"{length:,.0f}" for length in lengths], padding=2, fontsize=8, color=_FAINT)
        axes.bar(places, [figures[half] or 0.0 for figures in rates], width=0.36, color=color, label=f"{label}, p50")
    axes.set_xticks(range(len(rates)), [_rate_label(figures["rate"], figures["idle_pct"]) for figures in rates])
    axes.set_ylabel("ms", fontsize=8.5, color=_FAINT)
    axes.set_title("event to suggestion, ms", loc="left", fontsize=9.5, pad=20)
    axes.margins(y=0.12)
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower right", bbox_to_anchor=(1.0, 1.0), columnspacing=1.0)


def _rate_label(rate: float, idle_pct: float) -> str:
    return f"{rate:,.0f} events/s\n{idle_pct:.0f} % of the machine idle"
