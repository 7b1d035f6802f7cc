"""A soak as a picture: memory above, rows and disk below, over wall time."""

from collections.abc import Sequence
from pathlib import Path

from soak_verdict import Sample

__all__ = ["write_plot"]

_MB = 1e6


def write_plot(samples: Sequence[Sample], title: str, file: Path) -> None:
    """Draw the samples of a soak as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    minutes = [sample.seconds / 60 for sample in samples]
    figure = Figure(figsize=(8, 9), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    memory, rows, disk = figure.subplots(3, 1, sharex=True)
    memory.set_title(title, fontsize=10, loc="left")
    memory.plot(minutes, [sample.rss / _MB for sample in samples], label="resident memory of the worker")
    memory.plot(minutes, [sample.replica / _MB for sample in samples], label="arrays of the replica")
    rows.plot(minutes, [sample.sessions for sample in samples], label="session rows")
    rows.plot(minutes, [sample.items for sample in samples], label="items with counts")
    disk.plot(minutes, [sample.state / _MB for sample in samples], label="state folder")
    disk.plot(minutes, [sample.changelog / _MB for sample in samples], label="changelogs at the broker")
    middle = (minutes[0] + minutes[-1]) / 2
    memory.axvspan(middle, minutes[-1], color="#f0f0f0", label="judged")
    for axes, unit in ((memory, "MB"), (rows, "rows"), (disk, "MB")):
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)
        axes.grid(color="#e4e4e4")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    disk.set_xlabel("minutes")
    figure.savefig(file)
