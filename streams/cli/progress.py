"""The progress bar of the commands that take a while."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["RecordsBar", "progress_bar", "records_bar"]


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


class RecordsBar:
    """A bar of steps, with the records read so far behind it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, records=0)
        self._records = 0

    def expect(self, steps: int) -> None:
        """Say how many steps there are."""
        self._progress.update(self._task, total=steps)

    def advance(self, records: int, steps: int) -> None:
        """Add records and steps."""
        self._records += records
        self._progress.update(self._task, advance=steps, records=self._records)


@contextmanager
def records_bar() -> Iterator[RecordsBar]:
    """Show a bar of steps and records."""
    with progress_bar("{task.fields[records]:,} records") as progress:
        yield RecordsBar(progress)
