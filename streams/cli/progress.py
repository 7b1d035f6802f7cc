"""The progress bar of the commands that take a while."""

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["progress_bar"]


def progress_bar(count: str) -> Progress:
    """Return a bar on stderr, or one that shows nothing when stderr is no terminal.

    Parameters
    ----------
    count : str
        What stands behind the bar, in rich's format of a task.
    """
    return Progress(
        BarColumn(),
        TextColumn(count),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
